//! What `scan` and `flows` share: which captures to read, and how.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use clap::Args;

use super::grade::{load, read_date};
use super::progress::Progress;
use super::{Outcome, complain, memory, warn};
use crate::capture::{self, Expanded, Input};
use crate::error::{Error, Result};
use crate::grade::{Policy, Verdict};
use crate::model::{FlowSummary, Steps};
use crate::pipeline::{self, FlowSink, Periodic};
use crate::report::FlowRecord;
use crate::report::anonymize::Anonymizer;
use crate::tally::{Geo, Labels, Networks, Plan, Tally};

#[derive(Args)]
pub(super) struct Read {
    /// Captures: files, folders, globs, `-` for standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    #[command(flatten)]
    pub how: How,
    /// Read the captures, in time order, as one rotated capture of one link: flows go on across files
    #[arg(long = "continue")]
    continued: bool,
    /// Put other addresses into flow records, which keep common prefixes (Crypto-PAn), and leave server names out; the key
    /// file holds 32 secret bytes, or 64 hexadecimal digits
    #[arg(long, value_name = "KEYFILE")]
    anonymize: Option<PathBuf>,
    /// Stop at the first input that cannot be read
    #[arg(long)]
    strict: bool,
    /// Show progress even when stderr is no terminal
    #[arg(long, conflicts_with = "quiet")]
    progress: bool,
}

/// How captures are read, wherever they come from.
#[derive(Args)]
pub(super) struct How {
    /// Grade under this policy: a built-in name or a policy file, with @DATE by the rules of that day; may be repeated
    #[arg(long, value_name = "NAME|FILE[@DATE]", default_value = "bcp195")]
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
    /// Length of the intervals of the timeline, aligned to UTC: 30s, 15m, 1h, 1d [default: by the length of the capture, 100
    /// intervals at most]. It is doubled when there would be more than 2,000
    #[arg(long, value_name = "TIME", value_parser = interval)]
    interval: Option<u32>,
    /// Break the totals down by this as well; may be repeated
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    by: Vec<ByOption>,
    /// Break the totals down by direction, seen from these networks: 10.0.0.0/8,2001:db8::/32
    #[arg(long, value_name = "NETWORKS", value_parser = Networks::parse)]
    local: Option<Networks>,
    /// Break the totals down by the names in this CSV file; a line is a network or domain, a comma, and a name
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Break the totals down by autonomous system of the server, from this MaxMind database (GeoLite2-ASN.mmdb); needs a
    /// program built with the feature `geo`
    #[arg(long, value_name = "FILE")]
    asn: Option<PathBuf>,
    /// Break the totals down by country of the server, from this MaxMind database (GeoLite2-Country.mmdb); needs a program
    /// built with the feature `geo`
    #[arg(long, value_name = "FILE")]
    country: Option<PathBuf>,
    /// Break the totals down by the registrable domain of the server names (public suffix and one label): the report then
    /// holds names
    #[arg(long)]
    names: bool,
    /// Show neither progress nor warnings
    #[arg(short, long)]
    pub quiet: bool,
}

/// What `--by` takes.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ByOption {
    /// The service registered for the server's port
    Service,
    /// The outermost VLAN of the first frame
    Vlan,
}

/// What is done with each flow record.
pub type EachFlow<'a> = &'a mut dyn FnMut(&FlowRecord<'_>) -> Result<()>;

impl How {
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
        policies.sort_by_key(|policy| (policy.name().to_owned(), policy.date()));
        let same = |pair: &&[Policy]| (pair[0].name(), pair[0].date()) == (pair[1].name(), pair[1].date());
        match policies.windows(2).find(same) {
            Some(pair) => {
                Err(Error::usage("--policy", format!("{} is asked for twice, for the same day", pair[0].label())))
            }
            None => Ok(policies),
        }
    }

    /// What to break down by; `None` when nothing was asked for.
    fn plan(&self) -> Result<Option<Arc<Plan>>> {
        let database = |path: &Option<PathBuf>, option| path.as_deref().map(|path| Geo::load(path, option)).transpose();
        let plan = Plan {
            by_service: self.by.contains(&ByOption::Service),
            by_vlan: self.by.contains(&ByOption::Vlan),
            by_name: self.names,
            local: self.local.clone(),
            labels: self.labels.as_deref().map(Labels::load).transpose()?,
            systems: database(&self.asn, "--asn")?,
            countries: database(&self.country, "--country")?,
        };
        Ok((!plan.is_empty()).then(|| Arc::new(plan)))
    }

    /// All that decides how captures are read, with the signals that stop it.
    ///
    /// # Errors
    /// When an option cannot be used.
    pub fn options(&self, policies: Vec<Policy>) -> Result<pipeline::Options> {
        Ok(pipeline::Options { stop: super::interrupt::stop(), ..self.without_signals(policies)? })
    }

    /// All that decides how captures are read; nothing stops it yet.
    ///
    /// # Errors
    /// When an option cannot be used.
    fn without_signals(&self, policies: Vec<Policy>) -> Result<pipeline::Options> {
        Ok(pipeline::Options {
            jobs: self.jobs.map(usize::from),
            max_memory: self.max_memory,
            policies: Arc::new(policies),
            steps: self.interval.map_or(Steps::Automatic, Steps::Every),
            plan: self.plan()?,
            ..pipeline::Options::default()
        })
    }
}

impl Read {
    /// The captures that the paths name.
    pub fn expand(&self) -> Expanded {
        capture::expand(&self.paths)
    }

    /// What puts other addresses into records, if that was asked for.
    ///
    /// # Errors
    /// When the key cannot be read.
    pub fn anonymizer(&self) -> Result<Option<Anonymizer>> {
        self.anonymize.as_deref().map(Anonymizer::load).transpose()
    }

    /// What is asked for without any effect on this process, for programs that read captures in their own way.
    ///
    /// # Errors
    /// When an option cannot be used.
    pub fn options(&self) -> Result<pipeline::Options> {
        Ok(self.asked(self.how.without_signals(self.how.policies()?)?))
    }

    /// `options` with those that are not in [`How`].
    fn asked(&self, options: pipeline::Options) -> pipeline::Options {
        pipeline::Options { strict: self.strict, continued: self.continued, ..options }
    }

    /// Reads all captures. Inputs that fail, and warnings, are told on stderr; `None` when there is nothing to report.
    ///
    /// # Errors
    /// When an option cannot be used, or when `each_flow` fails.
    pub fn run(
        &self,
        policies: Vec<Policy>,
        each_flow: Option<EachFlow<'_>>,
        periodic: Option<Periodic<'_>>,
    ) -> Result<(Option<Tally>, Outcome)> {
        let found = self.expand();
        found.errors.iter().for_each(complain);
        let failed_early = !found.errors.is_empty();
        if found.inputs.is_empty() || (failed_early && self.strict) {
            if !failed_early {
                complain(&Error::usage(self.paths.join(" "), "no capture found there"));
            }
            return Ok((None, Outcome::SomeFailed));
        }
        if !self.how.quiet && !found.skipped.is_empty() {
            warn(&skipped(&found.skipped));
        }
        let anonymizer = self.anonymizer()?;
        let options = self.asked(self.how.options(policies)?);
        let total = found.inputs.iter().map(Input::stored_len).sum();
        // Reports that come again and again show how far it is.
        let progress = Progress::new(total, self.how.quiet || periodic.is_some(), self.progress);
        let scanned = with_records(&options, anonymizer.as_ref(), each_flow, |records| {
            pipeline::scan_with_reports(&found.inputs, &options, &|bytes| progress.advance(bytes), records, periodic)
        });
        progress.finish();
        let pipeline::Scan { tally, failed: errors, warnings } = scanned?;
        if !self.how.quiet {
            warnings.iter().for_each(|warning| warn(warning));
        }
        errors.iter().for_each(complain);
        let interrupted = options.stop.load(Ordering::Relaxed);
        if interrupted {
            warn("interrupted: what follows holds only what was read up to then");
        }
        let outcome = if interrupted {
            Outcome::Interrupted
        } else if failed_early || !errors.is_empty() {
            Outcome::SomeFailed
        } else {
            Outcome::Done
        };
        let nothing = tally.captures.is_empty() || (self.strict && !errors.is_empty());
        Ok(((!nothing).then_some(tally), outcome))
    }
}

/// Seconds in `text`: a whole number and a unit, one second to 366 days.
pub(super) fn interval(text: &str) -> std::result::Result<u32, String> {
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

/// Reads, with each flow as a record for `each_flow`.
///
/// # Errors
/// Those of `read`.
pub(super) fn with_records<T>(
    options: &pipeline::Options,
    anonymizer: Option<&Anonymizer>,
    each_flow: Option<EachFlow<'_>>,
    read: impl FnOnce(Option<FlowSink<'_>>) -> Result<T>,
) -> Result<T> {
    let Some(each_flow) = each_flow else { return read(None) };
    let mut record = |capture: &str, flow: &FlowSummary, verdicts: &[Verdict]| {
        let mut record = FlowRecord::new(capture, flow, verdicts, &options.policies);
        if let Some(anonymizer) = anonymizer {
            record.anonymize(anonymizer);
        }
        each_flow(&record)
    };
    read(Some(&mut record))
}

/// One line about files of a folder that are no captures.
pub(super) fn skipped(files: &[PathBuf]) -> String {
    match files {
        [one] => format!("{}: no capture, skipped", one.display()),
        [first, rest @ ..] => format!("{} and {} more files are no captures, skipped", first.display(), rest.len()),
        [] => String::new(),
    }
}
