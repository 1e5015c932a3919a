//! What `scan` and `flows` share: which captures to read, and how.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::grade::{load, read_date};
use super::progress::Progress;
use super::{Outcome, complain, memory, warn};
use crate::capture::{self, Input};
use crate::error::{Error, Result};
use crate::grade::{Policy, Verdict};
use crate::model::{FlowSummary, Steps};
use crate::pipeline;
use crate::report::FlowRecord;
use crate::tally::Tally;

#[derive(Args)]
pub(super) struct Read {
    /// Captures: files, folders, globs, `-` for standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    /// Grade under this policy: a built-in name or a policy file; may be repeated
    #[arg(long, value_name = "NAME|FILE", default_value = "bcp195")]
    policy: Vec<String>,
    /// Grade by the rules in force on this day (YYYY-MM-DD) [default: the latest]
    #[arg(long, value_name = "DATE")]
    as_of: Option<String>,
    /// Threads to work with [default: all cores]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Memory to stay below; flows are closed early, and counted, when it is reached
    #[arg(long, value_name = "SIZE", value_parser = memory::parse, default_value = "1G")]
    max_memory: u64,
    /// Read the captures, in time order, as one rotated capture of one link: flows go on across files
    #[arg(long = "continue")]
    continued: bool,
    /// Length of the intervals of the timeline, aligned to UTC: 30s, 15m, 1h, 1d [default: by the length of the capture, 100
    /// intervals at most]. It is doubled when there would be more than 2,000
    #[arg(long, value_name = "TIME", value_parser = interval)]
    interval: Option<u32>,
    /// Stop at the first input that cannot be read
    #[arg(long)]
    strict: bool,
    /// Show neither progress nor warnings
    #[arg(short, long)]
    quiet: bool,
    /// Show progress even when stderr is no terminal
    #[arg(long, conflicts_with = "quiet")]
    progress: bool,
}

/// What is done with each flow record.
pub(super) type EachFlow<'a> = &'a mut dyn FnMut(&FlowRecord<'_>) -> Result<()>;

impl Read {
    /// The policies asked for, sorted by name.
    ///
    /// # Errors
    /// When one cannot be loaded, or two different ones have the same name.
    pub fn policies(&self) -> Result<Vec<Policy>> {
        let mut names = self.policy.clone();
        names.sort();
        names.dedup();
        let date = self.as_of.as_deref().map(read_date).transpose()?;
        let mut policies: Vec<Policy> = names.iter().map(|name| load(name, date)).collect::<Result<_>>()?;
        policies.sort_by(|a, b| a.name().cmp(b.name()));
        match policies.windows(2).find(|pair| pair[0].name() == pair[1].name()) {
            Some(pair) => Err(Error::usage("--policy", format!("two policies are called {:?}", pair[0].name()))),
            None => Ok(policies),
        }
    }

    /// Reads all captures. Inputs that fail, and warnings, are told on stderr; `None` when there is nothing to report.
    ///
    /// # Errors
    /// When an option cannot be used, or when `each_flow` fails.
    pub fn run(&self, policies: Vec<Policy>, each_flow: Option<EachFlow<'_>>) -> Result<(Option<Tally>, Outcome)> {
        let found = capture::expand(&self.paths);
        found.errors.iter().for_each(complain);
        let failed_early = !found.errors.is_empty();
        if found.inputs.is_empty() || (failed_early && self.strict) {
            if !failed_early {
                complain(&Error::usage(self.paths.join(" "), "no capture found there"));
            }
            return Ok((None, Outcome::SomeFailed));
        }
        if !self.quiet && !found.skipped.is_empty() {
            warn(&skipped(&found.skipped));
        }
        let policies = Arc::new(policies);
        let options = pipeline::Options {
            jobs: self.jobs.map(usize::from),
            max_memory: self.max_memory,
            strict: self.strict,
            continued: self.continued,
            policies: Arc::clone(&policies),
            steps: self.interval.map_or(Steps::Automatic, Steps::Every),
        };
        let total = found.inputs.iter().map(Input::stored_len).sum();
        let progress = Progress::new(total, self.quiet, self.progress);
        let scanned = scan(&found.inputs, &options, &progress, each_flow);
        progress.finish();
        let pipeline::Scan { tally, failed: errors, warnings } = scanned?;
        if !self.quiet {
            warnings.iter().for_each(|warning| warn(warning));
        }
        errors.iter().for_each(complain);
        let outcome = if failed_early || !errors.is_empty() { Outcome::SomeFailed } else { Outcome::Done };
        let nothing = tally.captures.is_empty() || (self.strict && !errors.is_empty());
        Ok(((!nothing).then_some(tally), outcome))
    }
}

/// Seconds in `text`: a whole number and a unit, one second to 366 days.
fn interval(text: &str) -> std::result::Result<u32, String> {
    let expected = || format!("`{text}` is no interval; write it as 30s, 15m, 1h or 1d, up to 366d");
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(expected()),
    };
    let seconds = number.parse::<u32>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(expected)?;
    if (1..=366 * 86_400).contains(&seconds) { Ok(seconds) } else { Err(expected()) }
}

fn scan(
    inputs: &[Input],
    options: &pipeline::Options,
    progress: &Progress,
    each_flow: Option<EachFlow<'_>>,
) -> Result<pipeline::Scan> {
    let advance = |bytes| progress.advance(bytes);
    let Some(each_flow) = each_flow else {
        return pipeline::scan(inputs, options, &advance, None);
    };
    let mut record = |capture: &str, flow: &FlowSummary, verdicts: &[Verdict]| {
        each_flow(&FlowRecord::new(capture, flow, verdicts, &options.policies))
    };
    pipeline::scan(inputs, options, &advance, Some(&mut record))
}

fn skipped(files: &[PathBuf]) -> String {
    match files {
        [one] => format!("{}: no capture, skipped", one.display()),
        [first, rest @ ..] => format!("{} and {} more files are no captures, skipped", first.display(), rest.len()),
        [] => String::new(),
    }
}
