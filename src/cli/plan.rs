//! `tlscov plan`: which captures belong to one link, in which order, as work for many machines. No packet is looked at.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use rayon::prelude::*;
use serde::Serialize;

use super::part::{link_name, sensor};
use super::read::interval;
use super::{Outcome, complain};
use crate::capture::{self, Input, Survey, survey};
use crate::error::{Error, Result};
use crate::report::rfc3339;

/// List captures as units of work, one line of JSON each: the files of one link in the order of their first frames
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Plan {
    /// Captures: files, folders, globs
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    /// What makes a unit of work
    #[arg(long, value_name = "WHAT", default_value = "link")]
    by: By,
    /// Silence between two files that is noted as a gap
    #[arg(long, value_name = "TIME", value_parser = interval, default_value = "60s")]
    min_gap: u32,
}

const EXAMPLES: &str = "\
Examples:
  tlscov plan /captures --by link > work.jsonl
  tlscov plan /captures | jq -r '[.link, .bytes, (.files | length), .gaps] | @tsv'
  tlscov plan /captures | jq -c '.files[].path' | head";

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    /// The folder that the files lie in, their interface and their link type
    Link,
}

/// One unit of work: what one machine reads in order.
#[derive(Serialize)]
struct Item {
    /// Tells this link from all others; `scan --partial` works out the same.
    link: String,
    /// The folder, as an absolute path.
    sensor: String,
    interfaces: Vec<String>,
    link_types: Vec<u16>,
    bytes: u64,
    first: Option<String>,
    /// Absent when the end of the last file is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<String>,
    gaps: usize,
    overlaps: usize,
    files: Vec<PlannedFile>,
}

#[derive(Serialize)]
struct PlannedFile {
    path: String,
    bytes: u64,
    format: String,
    /// Absent when it holds no frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<String>,
    /// Absent when it cannot be told without reading the file (compressed).
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<String>,
    /// Silence before the first frame, since the end of the file before.
    #[serde(skip_serializing_if = "Option::is_none")]
    gap_seconds: Option<f64>,
    /// Time that the file before goes on beyond the first frame of this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    overlap_seconds: Option<f64>,
}

impl Plan {
    pub fn run(&self) -> Result<Outcome> {
        let By::Link = self.by;
        let found = capture::expand(&self.paths);
        found.errors.iter().for_each(complain);
        let mut failed = !found.errors.is_empty();
        let look = |input: Input| match input {
            Input::File(path) => survey(&path).map(|survey| (path, survey)),
            Input::Stdin => Err(Error::usage("-", "standard input is no part of a plan; name files or folders")),
        };
        let surveys: Vec<Result<(PathBuf, Survey)>> = found.inputs.into_par_iter().map(look).collect();
        let mut links: BTreeMap<String, Vec<(PathBuf, Survey)>> = BTreeMap::new();
        for survey in surveys {
            match survey {
                Ok((path, survey)) => links.entry(link_name(&path, &survey)).or_default().push((path, survey)),
                Err(error) => {
                    failed = true;
                    complain(&error);
                }
            }
        }
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        for (link, files) in links {
            let line = serde_json::to_string(&self.item(link, files)).map_err(std::io::Error::from)?;
            writeln!(out, "{line}")?;
        }
        out.flush()?;
        Ok(if failed { Outcome::SomeFailed } else { Outcome::Done })
    }

    fn item(&self, link: String, mut files: Vec<(PathBuf, Survey)>) -> Item {
        files.sort_by(|(a_path, a), (b_path, b)| (a.first_ns, a_path).cmp(&(b.first_ns, b_path)));
        let (path, survey) = files.first().cloned().unwrap_or_default();
        let mut item = Item {
            link,
            sensor: sensor(&path),
            interfaces: survey.interfaces,
            link_types: survey.link_types,
            bytes: files.iter().map(|(_, survey)| survey.bytes).sum(),
            first: files.iter().find_map(|(_, survey)| survey.first_ns).map(rfc3339),
            last: None,
            gaps: 0,
            overlaps: 0,
            files: Vec::with_capacity(files.len()),
        };
        // The latest time up to here; `None` when the end of a file is not known.
        let mut end: Option<i64> = None;
        for (path, survey) in files {
            let silence = match (end, survey.first_ns) {
                (Some(end), Some(first)) => first.saturating_sub(end),
                _ => 0,
            };
            let seconds = silence.unsigned_abs() as f64 / 1e9;
            let gap = silence > 0 && seconds >= f64::from(self.min_gap);
            let overlap = silence < 0;
            item.gaps += usize::from(gap);
            item.overlaps += usize::from(overlap);
            item.files.push(PlannedFile {
                path: path.display().to_string(),
                bytes: survey.bytes,
                format: survey.format,
                first: survey.first_ns.map(rfc3339),
                last: survey.last_ns.map(rfc3339),
                gap_seconds: gap.then_some(seconds),
                overlap_seconds: overlap.then_some(seconds),
            });
            if survey.first_ns.is_some() {
                end = survey.last_ns.map(|last| end.map_or(last, |end| end.max(last)));
            }
        }
        item.last = end.map(rfc3339);
        item
    }
}
