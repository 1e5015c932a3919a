//! For programs that embed tlscov, as the Python package does: what the commands do, with the same options, defaults and
//! messages, and without what belongs to a process of our own. No signal is caught, nothing is written anywhere.

use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::error::{ContextKind, ContextValue};
use clap::{Args, Command};

use super::grade;
use super::read::{EachFlow, Read, skipped, with_records};
use crate::capture::{self, Input};
use crate::error::{Error, Result};
use crate::grade::Policy;
use crate::pipeline::{self, Scan};
use crate::report::anonymize::Anonymizer;
use crate::tally::Tally;

/// Captures to read, and how.
pub struct Request {
    inputs: Vec<Input>,
    options: pipeline::Options,
    anonymizer: Option<Anonymizer>,
    warnings: Vec<String>,
}

impl Request {
    /// What these arguments of `tlscov flows` ask for; those that say where output goes are not known.
    ///
    /// # Errors
    /// When an option cannot be used, when no capture is found, and with `--strict` when a path names nothing readable.
    pub fn new(arguments: impl IntoIterator<Item = OsString>) -> Result<Self> {
        let read: Read = parse(arguments)?;
        let options = read.options()?;
        let anonymizer = read.anonymizer()?;
        let mut found = read.expand();
        if !found.errors.is_empty() && (options.strict || found.inputs.is_empty()) {
            return Err(found.errors.swap_remove(0));
        }
        if found.inputs.is_empty() {
            return Err(Error::usage("PATH", "no capture found there"));
        }
        let mut warnings: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        if !found.skipped.is_empty() {
            warnings.push(skipped(&found.skipped));
        }
        Ok(Self { inputs: found.inputs, options, anonymizer, warnings })
    }

    /// Opens the captures that can be opened twice, so that a mistake shows before hours of reading and not after.
    ///
    /// # Errors
    /// With `--strict`, when one is no capture.
    pub fn check(&self) -> Result<()> {
        let reading = capture::Options { batch_bytes: 1, decoders: 1, ..self.options.reading() };
        let again = self.inputs.iter().filter(|input| self.options.strict && input.stored_len().is_some());
        again.map(|input| capture::open(input, reading)).try_for_each(|opened| opened.map(drop))
    }

    /// The policies that flows are graded by, in the order of the verdicts.
    #[must_use]
    pub fn policies(&self) -> &[Policy] {
        &self.options.policies
    }

    /// Reads all captures until `stop` is set; each flow goes to `each_flow` as a record. Returns the sums, and lines for
    /// people: captures that were cut short, and without `--strict` those that could not be read.
    ///
    /// # Errors
    /// When nothing could be read, when `each_flow` fails, and with `--strict` when one capture cannot be read.
    pub fn run(&self, stop: Arc<AtomicBool>, each_flow: Option<EachFlow<'_>>) -> Result<(Tally, Vec<String>)> {
        let options = pipeline::Options { stop, ..self.options.clone() };
        let Scan { tally, mut failed, warnings } =
            with_records(&options, self.anonymizer.as_ref(), each_flow, |records| {
                pipeline::scan(&self.inputs, &options, &|_| {}, records)
            })?;
        if tally.captures.is_empty() && !failed.is_empty() {
            return Err(failed.swap_remove(0));
        }
        let failed = failed.iter().map(ToString::to_string);
        Ok((tally, self.warnings.iter().cloned().chain(warnings).chain(failed).collect()))
    }
}

/// What `tlscov grade` answers to these arguments.
///
/// # Errors
/// When a suite, a policy or an option is not known.
pub fn graded(arguments: impl IntoIterator<Item = OsString>) -> Result<Vec<u8>> {
    let arguments: grade::Args = parse(arguments)?;
    let mut answer = Vec::new();
    grade::run(&arguments, &mut answer)?;
    Ok(answer)
}

fn parse<T: Args>(arguments: impl IntoIterator<Item = OsString>) -> Result<T> {
    let command = T::augment_args(Command::new("tlscov").no_binary_name(true).disable_help_flag(true));
    let parsed = command.try_get_matches_from(arguments).and_then(|matches| T::from_arg_matches(&matches));
    parsed.map_err(|error| {
        let option = match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::String(option)) => option.split(' ').next().unwrap_or_default(),
            _ => "arguments",
        };
        Error::usage(option, super::first_line(&error))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;
    use crate::report::{Report, format_named};

    const HTTPS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/https.pcap");

    fn request(words: &[&str]) -> Result<Request> {
        Request::new(words.iter().map(OsString::from))
    }

    #[test]
    fn a_request_reads_as_often_as_it_is_asked() {
        let request = request(&[HTTPS, "--jobs", "1"]).unwrap();
        let read = || {
            let mut flows = 0;
            let mut count = |_: &crate::report::FlowRecord<'_>| {
                flows += 1;
                Ok(())
            };
            let (tally, warnings) = request.run(Arc::default(), Some(&mut count)).unwrap();
            let mut json = Vec::new();
            (format_named("json").unwrap().write)(&Report::new(&tally), &mut json).unwrap();
            (flows, json, warnings)
        };
        let first = read();
        assert!(first.0 > 0 && first.2.is_empty(), "{:?}", first.2);
        assert!(first == read());
    }

    #[test]
    fn mistakes_are_told_as_on_the_command_line() {
        let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
        let cases: &[(&str, &[&str], &str)] = &[
            ("a value", &[HTTPS, "--interval", "7y"], "--interval: invalid value '7y'"),
            ("an option", &[HTTPS, "--intervall", "7y"], "--intervall: unexpected argument"),
            ("where output goes", &[HTTPS, "--output", "x"], "--output: unexpected argument"),
            ("no path", &[], "required arguments were not provided"),
            ("no file", &["/no/such.pcap"], "/no/such.pcap: cannot be read"),
            ("one of two, strict", &[HTTPS, "/no/such.pcap", "--strict"], "/no/such.pcap: cannot be read"),
            ("a policy", &[HTTPS, "--policy", "bcp-195"], "did you mean bcp195?"),
            ("an empty folder", &[concat!(env!("CARGO_MANIFEST_DIR"), "/docs")], "no capture found there"),
        ];
        for (name, words, want) in cases {
            let error = request(words).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(want) && !error.contains('\n'), "{name}: {error}");
        }
        let error = request(&[readme]).unwrap().run(Arc::default(), None).unwrap_err().to_string();
        assert!(error.contains("README.md"), "{error}");
        let both = request(&[HTTPS, readme]).unwrap().run(Arc::default(), None).unwrap();
        assert_eq!((both.0.captures.len(), both.1.len()), (1, 1), "{:?}", both.1);
        let words = ["0xc02f", "--tls", "2"].map(OsString::from);
        assert!(graded(words).unwrap_err().to_string().starts_with("--tls: `2`"));
    }

    #[test]
    fn what_is_stopped_ends_at_once() {
        let (tally, _) = request(&[HTTPS]).unwrap().run(Arc::new(AtomicBool::new(true)), None).unwrap();
        assert!(tally.captures.is_empty());
    }
}
