//! `tlscov scan`: captures in, one report out.

use std::path::PathBuf;

use clap::Args;

use super::flows::Sink;
use super::output::{parse_format, write_report};
use super::read::Read;
use super::Outcome;
use crate::error::Result;
use crate::report::{Format, Report};

/// Read captures and report how much of them is encrypted, and how well
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Scan {
    #[command(flatten)]
    read: Read,
    /// Write the report to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// json, text, markdown or csv [default: text on a terminal, json elsewhere]
    #[arg(short, long, value_name = "FORMAT", value_parser = parse_format)]
    format: Option<&'static Format>,
    /// Write a record of each flow to this file as well: .jsonl or .csv
    #[arg(long, value_name = "FILE")]
    flows: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  tlscov scan capture.pcapng
  tlscov scan captures/ '/data/2018-*.pcap.gz' -o report.json
  tcpdump -w - -c 10000 | tlscov scan -
  tlscov scan day/*.pcap --continue --flows flows.csv --policy bcp195 --policy ours.toml
  tlscov scan capture.pcap --format json | jq .coverage.encrypted_share";

impl Scan {
    pub fn run(&self) -> Result<Outcome> {
        let policies = self.read.policies()?;
        let (tally, outcome) = match &self.flows {
            None => self.read.run(policies, None)?,
            Some(path) => {
                let mut sink = Sink::file(path, &policies)?;
                let result = self.read.run(policies, Some(&mut |flow| sink.write(flow)))?;
                sink.finish()?;
                result
            }
        };
        if let Some(tally) = tally {
            write_report(&Report::new(&tally), self.output.as_deref(), self.format)?;
        }
        Ok(outcome)
    }
}
