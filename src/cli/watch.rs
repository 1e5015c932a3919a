//! `tlscov watch`: follows a folder into which a capturing program rotates its files.
//!
//! Everything that is known stands in one file, the state: what is open, the sums so far, and which files are in them. It is
//! written anew, whole or not at all, after each file. So whenever the program is stopped, a file is either in the sums and
//! in the list, or in neither. Reports follow from the state, never the other way round.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use serde::{Deserialize, Serialize};

use super::output::AtomicFile;
use super::part::{load, sensor, store, write_report};
use super::read::{How, interval};
use super::{Outcome, warn};
use crate::capture::{Input, Survey, survey};
use crate::error::{Error, Result};
use crate::pipeline::{self, Options};
use crate::report::Report;
use crate::state::Owner;
use crate::tally::Tally;

/// Follow a folder of rotating captures (`dumpcap -b`, `tcpdump -G`): reports as they come, and none of it lost in a restart
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Watch {
    /// The folder that captures of one link are rotated into
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    #[command(flatten)]
    how: How,
    /// Where to keep what is known between restarts [default: .tlscov-state in the folder]
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Write the report of all files so far to this file (JSON), again and again
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write the same figures for Prometheus to this file, again and again: the textfile collector of node_exporter reads it
    #[arg(long, value_name = "FILE.prom")]
    prometheus: Option<PathBuf>,
    /// Write a partial report of each interval, numbered, into this folder; `merge` joins them
    #[arg(long, value_name = "DIR")]
    reports: Option<PathBuf>,
    /// How often to write
    #[arg(long, value_name = "TIME", value_parser = interval, default_value = "60s")]
    every: u32,
    /// Take the newest file, too, when it has not changed for this long; else a file is taken when a newer one exists. Frames
    /// that come to a file after that are missing
    #[arg(long, value_name = "TIME", value_parser = idle)]
    closed_after: Option<u32>,
    /// Take what can be taken now, write, and end
    #[arg(long)]
    once: bool,
}

const EXAMPLES: &str = "\
Examples:
  dumpcap -i eth0 -b duration:60 -w /captures/eth0.pcapng &
  tlscov watch /captures --prometheus /var/lib/node_exporter/tlscov.prom
  tlscov watch /captures -o total.json --reports intervals/ --every 5m
  tlscov watch /captures -o total.json --once --closed-after 0s    (capturing has ended: take all)";

fn idle(text: &str) -> std::result::Result<u32, String> {
    if text == "0s" { Ok(0) } else { interval(text) }
}

/// What the state holds.
#[derive(Default, Serialize, Deserialize)]
struct Known {
    /// What is open.
    open: Option<Vec<u8>>,
    /// The report of all flows that were closed so far (JSON); empty before the first file.
    total: Vec<u8>,
    /// The same of the interval that runs.
    current: Vec<u8>,
    /// Number of the interval that runs.
    interval: u64,
    /// Files that were read and still exist.
    taken: BTreeMap<PathBuf, Taken>,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Taken {
    /// With the name, this tells a file from a later one of the same name (rings).
    first_ns: Option<i64>,
    /// Size, and time of the latest change, when it was last looked at.
    stamp: Stamp,
    /// Later frames of it were warned of.
    warned: bool,
}

/// Size (bytes) and time of the latest change of a file: as long as they are the same, it is.
type Stamp = (u64, Option<SystemTime>);

/// A watch that runs.
struct Run<'a> {
    watch: &'a Watch,
    options: Options,
    owner: Owner,
    state: PathBuf,
    known: Known,
    total: Tally,
    current: Tally,
}

impl Watch {
    pub fn run(&self) -> Result<Outcome> {
        if !self.folder.is_dir() {
            return Err(Error::file(&self.folder, "no folder; name the one that captures are rotated into"));
        }
        if let Some(reports) = &self.reports {
            fs::create_dir_all(reports)
                .map_err(|error| Error::file(reports, format!("this folder cannot be made: {error}")))?;
        }
        let options = Options { strict: true, ..self.how.options(self.how.policies()?)? };
        let owner = Owner::new(sensor(&self.folder.join("file")), &options);
        let state = self.state.clone().unwrap_or_else(|| self.folder.join(".tlscov-state"));
        let known = if state.exists() {
            postcard::from_bytes(&load(&state, &owner)?)
                .map_err(|error| Error::file(&state, format!("this is no state of a watch: {error}")))?
        } else {
            Known::default()
        };
        let (total, current) = (tally(&state, &known.total)?, tally(&state, &known.current)?);
        Run { watch: self, options, owner, state, known, total, current }.follow()
    }
}

impl Run<'_> {
    fn follow(mut self) -> Result<Outcome> {
        let every = Duration::from_secs(self.watch.every.into());
        let mut due = Instant::now() + every;
        loop {
            self.take_files()?;
            let stop = self.options.stop.load(Ordering::Relaxed);
            if stop || self.watch.once || Instant::now() >= due {
                self.write()?;
                due = Instant::now() + every;
            }
            if stop || self.watch.once {
                return Ok(Outcome::Done);
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Reads all files that are complete, in the order of their first frames.
    fn take_files(&mut self) -> Result<()> {
        let mut files = self.list()?;
        let newest = files.pop();
        let ready = newest.filter(|(path, found)| found.is_ok() && self.is_closed(path));
        for (path, found) in files.into_iter().chain(ready) {
            if self.options.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            match found {
                Ok(survey) => self.take(&path, &survey)?,
                Err(error) => self.leave_out(path, &error),
            }
        }
        Ok(())
    }

    /// Captures of the folder that are not in the sums, the oldest first.
    fn list(&mut self) -> Result<Vec<(PathBuf, Result<Survey>)>> {
        let folder = &self.watch.folder;
        let unreadable = |error: std::io::Error| Error::file(folder, format!("cannot be read: {error}"));
        let mut present = Vec::new();
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if is_capture(&path) && path.is_file() {
                present.push(path);
            }
        }
        self.known.taken.retain(|path, _| present.contains(path));
        let mut newest_taken: Option<i64> = None;
        let mut files = Vec::new();
        for path in present {
            let stamp = stamp(&path);
            let taken = self.known.taken.get_mut(&path);
            if let Some(taken) = taken.as_ref().filter(|taken| taken.stamp == stamp) {
                newest_taken = newest_taken.max(taken.first_ns);
                continue;
            }
            let found = survey(&path);
            let first_ns = found.as_ref().ok().and_then(|survey| survey.first_ns);
            match taken {
                Some(taken) if taken.first_ns == first_ns && first_ns.is_some() => {
                    if stamp.0 > taken.stamp.0 && !taken.warned {
                        taken.warned = true;
                        warn(&format!("{}: grew after it was read; what came then is missing", path.display()));
                    }
                    taken.stamp = stamp;
                    newest_taken = newest_taken.max(first_ns);
                }
                _ => files.push((path, found)),
            }
        }
        // A file without frames was opened just now, or closed without any (`tcpdump -G` in silence). The first is younger than
        // every change of those with frames.
        let first = |found: &Result<Survey>| found.as_ref().ok().and_then(|survey| survey.first_ns);
        let changed = |path: &Path| stamp(path).1;
        let with_frames = files.iter().filter(|(_, found)| first(found).is_some());
        let latest = with_frames.map(|(path, _)| changed(path)).max().flatten();
        files.sort_by_cached_key(|(path, found)| {
            let first_ns = first(found);
            (first_ns.is_none() && changed(path) >= latest, first_ns, path.clone())
        });
        // A file older than one that was read is no longer written; a place at the end keeps it from being the newest.
        let late = |file: &(PathBuf, Result<Survey>)| {
            let first_ns = file.1.as_ref().ok().and_then(|survey| survey.first_ns);
            first_ns.is_some() && first_ns < newest_taken
        };
        if files.len() == 1 && files.first().is_some_and(late) {
            let (path, found) = files.remove(0);
            if let Ok(survey) = found {
                self.take(&path, &survey)?;
            }
        }
        Ok(files)
    }

    fn is_closed(&self, path: &Path) -> bool {
        let Some(idle) = self.watch.closed_after else { return false };
        let changed = fs::metadata(path).and_then(|meta| meta.modified()).unwrap_or(SystemTime::now());
        changed.elapsed().is_ok_and(|since| since >= Duration::from_secs(idle.into()))
    }

    /// Reads one file: the sums, what is open, and the list of files change together.
    fn take(&mut self, path: &Path, survey: &Survey) -> Result<()> {
        let stamp = stamp(path);
        let input = Input::File(path.to_path_buf());
        let before = self.known.open.as_deref();
        let part = pipeline::scan_part(std::slice::from_ref(&input), &self.options, before, true, &|_| {}, None)?;
        // Without a state it was interrupted: it is read again from its start.
        let Some(open) = part.state else { return Ok(()) };
        if !self.watch.how.quiet {
            part.scan.warnings.iter().for_each(|warning| warn(warning));
        }
        self.total.merge(part.scan.tally.clone());
        self.current.merge(part.scan.tally);
        self.known.open = Some(open);
        let taken = Taken { first_ns: survey.first_ns, stamp, warned: false };
        self.known.taken.insert(path.to_path_buf(), taken);
        self.save()
    }

    /// A file that is no capture, and that nobody writes any more.
    fn leave_out(&mut self, path: PathBuf, error: &Error) {
        warn(&format!("{error}; it is left out"));
        let stamp = stamp(&path);
        self.known.taken.insert(path, Taken { first_ns: None, stamp, warned: false });
    }

    fn save(&mut self) -> Result<()> {
        self.known.total = json(&self.total)?;
        self.known.current = json(&self.current)?;
        let content = postcard::to_stdvec(&self.known)
            .map_err(|error| Error::file(&self.state, format!("cannot be written: {error}")))?;
        store(&self.state, &self.owner, &content)
    }

    /// Writes what was asked for: flows that are open count in the totals as if they ended now.
    fn write(&mut self) -> Result<()> {
        if self.known.open.is_none() {
            return Ok(());
        }
        if self.watch.output.is_some() || self.watch.prometheus.is_some() {
            let never = Options { stop: std::sync::Arc::default(), ..self.options.clone() };
            let rest = pipeline::scan_part(&[], &never, self.known.open.as_deref(), false, &|_| {}, None)?;
            let mut total = self.total.clone();
            total.merge(rest.scan.tally);
            let report = Report::new(&total);
            for (path, format) in [(&self.watch.output, "json"), (&self.watch.prometheus, "prometheus")] {
                if let Some(path) = path {
                    write_report(AtomicFile::create(path)?, &report, format)?;
                }
            }
        }
        if let Some(folder) = &self.watch.reports
            && !self.current.captures.is_empty()
        {
            let path = folder.join(format!("{:06}.json", self.known.interval));
            write_report(AtomicFile::create(&path)?, &Report::new(&self.current), "json")?;
            // Stopped here, the interval goes on after the restart, and its report is written again.
            self.current = Tally::default();
            self.known.interval += 1;
            self.save()?;
        }
        Ok(())
    }
}

/// Between two looks at the folder.
const PAUSE: Duration = Duration::from_millis(500);

/// By its name, as the capturing programs give them: `x.pcap`, `x.pcapng`, `x.cap`, and `x.pcap3` from `tcpdump -C`.
fn is_capture(path: &Path) -> bool {
    let Some(end) = path.extension().and_then(|end| end.to_str()) else { return false };
    let end = end.trim_end_matches(|letter: char| letter.is_ascii_digit()).to_ascii_lowercase();
    matches!(end.as_str(), "pcap" | "pcapng" | "cap" | "ntar" | "snoop")
}

fn stamp(path: &Path) -> Stamp {
    fs::metadata(path).map_or((0, None), |meta| (meta.len(), meta.modified().ok()))
}

fn json(tally: &Tally) -> Result<Vec<u8>> {
    Ok(serde_json::to_vec(&Report::new(tally)).map_err(std::io::Error::from)?)
}

fn tally(state: &Path, json: &[u8]) -> Result<Tally> {
    if json.is_empty() {
        return Ok(Tally::default());
    }
    Report::read(state, json)?.tally().map_err(|what| Error::file(state, what))
}
