//! A scan of a part of one link's traffic: the state at the end of the part before in, a partial report and a state out.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use clap::Args;
use rayon::prelude::*;

use super::output::AtomicFile;
use super::progress::Progress;
use super::read::{EachFlow, Read, with_records};
use super::{Outcome, complain, warn};
use crate::capture::{Input, Survey, survey};
use crate::error::{Error, Result};
use crate::grade::Policy;
use crate::pipeline;
use crate::report::{Report, format_named};
use crate::state::{self, Owner};

/// The options of a scan of a part.
#[derive(Args)]
pub(super) struct PartOptions {
    /// Read the captures as a part of the traffic of one link, and write the report of this part (JSON) to this file; `merge`
    /// joins the parts to the report of the whole
    #[arg(long, value_name = "FILE", conflicts_with_all = ["output", "format", "publish", "min_cell", "continued"])]
    pub partial: Option<PathBuf>,
    /// Go on with the flows that were open at the end of the part before, from this file
    #[arg(long, value_name = "FILE", requires = "partial")]
    state_in: Option<PathBuf>,
    /// Keep the flows that are open at the end for the next part, in this file; without it they are closed. The file holds
    /// addresses and first bytes of flows, and is readable for its owner only
    #[arg(long, value_name = "FILE", requires = "partial")]
    state_out: Option<PathBuf>,
    /// Name of the link that the captures are of [default: their folder, interface and link type]
    #[arg(long, value_name = "NAME", requires = "partial")]
    link: Option<String>,
}

impl PartOptions {
    /// Reads the part; writes its report to `partial`, then the state. When anything goes wrong neither is written.
    pub fn run(
        &self,
        read: &Read,
        partial: &Path,
        policies: Vec<Policy>,
        each_flow: Option<EachFlow<'_>>,
    ) -> Result<Outcome> {
        let report = AtomicFile::create(partial)?;
        let inputs = read.inputs_of_part()?;
        let options = pipeline::Options { strict: true, ..read.how.options(policies)? };
        let owner = Owner::new(self.link_of(&inputs)?, &options);
        let before = self.state_in.as_deref().map(|path| load(path, &owner)).transpose()?;
        let more = self.state_out.is_some();
        let progress = Progress::new(inputs.iter().map(Input::stored_len).sum(), read.how.quiet, false);
        let advance = |bytes| progress.advance(bytes);
        let anonymizer = read.anonymizer()?;
        let part = with_records(&options, anonymizer.as_ref(), each_flow, |records| {
            pipeline::scan_part(&inputs, &options, before.as_deref(), more, &advance, records)
        });
        progress.finish();
        let part = part?;
        if options.stop.load(Ordering::Relaxed) {
            warn("interrupted: neither a report nor a state is written");
            return Ok(Outcome::Interrupted);
        }
        if !read.how.quiet {
            part.scan.warnings.iter().for_each(|warning| warn(warning));
        }
        write_report(report, &Report::new(&part.scan.tally), "json")?;
        // The state last: when it is there, so is the report of the part before it.
        if let (Some(path), Some(state)) = (&self.state_out, &part.state) {
            store(path, &owner, state)?;
        }
        Ok(Outcome::Done)
    }

    fn link_of(&self, inputs: &[Input]) -> Result<String> {
        if let Some(link) = &self.link {
            return Ok(link.clone());
        }
        let mut link: Option<(String, String)> = None;
        let of = |input: &Input| match input {
            Input::Stdin => Ok("-".to_owned()),
            Input::File(path) => survey(path).map(|survey| link_name(path, &survey)),
        };
        let names: Vec<Result<String>> = inputs.par_iter().map(of).collect();
        for (input, name) in inputs.iter().zip(names) {
            let name = name?;
            match &link {
                Some((known, first)) if *known != name => {
                    let what = format!(
                        "{} is of the link {name:?}, {first} of {known:?}; a part has one link (--link says that it is one)",
                        input.name()
                    );
                    return Err(Error::usage("--partial", what));
                }
                Some(_) => {}
                None => link = Some((name, input.name())),
            }
        }
        Ok(link.map_or_else(String::new, |(name, _)| name))
    }
}

/// What tells one link from another: folder, interface and link type, joined by `:`.
pub(super) fn link_name(path: &Path, survey: &Survey) -> String {
    let types: Vec<String> = survey.link_types.iter().map(u16::to_string).collect();
    format!("{}:{}:{}", sensor(path), survey.interfaces.join("+"), types.join("+"))
}

/// The folder that a file lies in, as an absolute path.
pub(super) fn sensor(path: &Path) -> String {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let absolute = fs::canonicalize(folder).or_else(|_| std::path::absolute(folder));
    absolute.unwrap_or_else(|_| folder.to_path_buf()).display().to_string()
}

/// Reads the state file `path`.
///
/// # Errors
/// When it cannot be read, or `owner` cannot go on with it.
pub(super) fn load(path: &Path, owner: &Owner) -> Result<Vec<u8>> {
    let bytes = fs::read(path).map_err(|error| Error::file(path, format!("this state cannot be read: {error}")))?;
    state::decode(path, &bytes, owner)
}

/// Writes a state file, whole or not at all.
///
/// # Errors
/// When it cannot be written.
pub(super) fn store(path: &Path, owner: &Owner, content: &[u8]) -> Result<()> {
    let mut file = AtomicFile::private(path)?;
    file.write_all(&state::encode(owner, content))?;
    file.finish()
}

/// Writes `report` to `file` in the format of this name.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write_report(mut file: AtomicFile, report: &Report, format: &str) -> Result<()> {
    let format = format_named(format).ok_or_else(|| Error::usage("--format", "no such format"))?;
    let mut text = Vec::new();
    (format.write)(report, &mut text)?;
    file.write_all(&text)?;
    file.finish()
}

impl Read {
    /// The captures of a part: all that were named, or an error; a part with a hole would make all that follow wrong.
    fn inputs_of_part(&self) -> Result<Vec<Input>> {
        let found = self.expand();
        if !found.errors.is_empty() {
            found.errors.iter().skip(1).for_each(complain);
            return found.errors.into_iter().next().map_or(Ok(Vec::new()), Err);
        }
        if found.inputs.is_empty() {
            return Err(Error::usage("--partial", "no capture found"));
        }
        let once = found.inputs.iter().find(|input| input.stored_len().is_none());
        match once {
            Some(input) if found.inputs.len() > 1 => {
                let what =
                    format!("{} can be read only once, so it has to be the only capture of a part", input.name());
                Err(Error::usage("--partial", what))
            }
            _ => Ok(found.inputs),
        }
    }
}
