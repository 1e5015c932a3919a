//! `tlscov scan`: captures in, one report out.

use std::path::PathBuf;

use clap::Args;

use super::Outcome;
use super::flow_sink::{FlowFormat, Sink};
use super::output::ReportOptions;
use super::part::PartOptions;
use super::read::Read;
use crate::error::Result;
use crate::report::Report;

/// Read captures and report how much of them is encrypted, and how well
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Scan {
    #[command(flatten)]
    read: Read,
    #[command(flatten)]
    report: ReportOptions,
    /// Write a record of each flow to this file as well: .jsonl, .csv or .parquet
    #[arg(long, value_name = "FILE")]
    flows: Option<PathBuf>,
    #[command(flatten)]
    part: PartOptions,
}

const EXAMPLES: &str = "\
Examples:
  tlscov scan capture.pcapng
  tlscov scan captures/ '/data/2018-*.pcap.gz' -o report.json
  tlscov scan capture.pcapng --format html -o report.html
  tcpdump -w - -c 10000 | tlscov scan -
  tlscov scan day/*.pcap --continue --flows flows.csv --policy bcp195 --policy ours.toml
  tlscov scan day.pcap --interval 1h --format json | jq '.timeline.intervals[].encrypted_share.value'
  tlscov scan day.pcap --by service --local 10.0.0.0/8 --labels sites.csv --publish -o public.json
  tlscov scan capture.pcap --format json | jq .coverage.encrypted_share
  tlscov scan 08.pcap --partial 08.json --state-out link.state
  tlscov scan 09.pcap --partial 09.json --state-in link.state    (the last part: no --state-out)";

impl Scan {
    pub fn run(&self) -> Result<Outcome> {
        let policies = self.read.how.policies()?;
        if let Some(partial) = &self.part.partial {
            let Some(path) = &self.flows else {
                return self.part.run(&self.read, partial, policies, None);
            };
            let mut sink = Sink::new(Some(path), FlowFormat::of(path, "--flows")?, &policies)?;
            let outcome = self.part.run(&self.read, partial, policies, Some(&mut |flow| sink.write(flow)))?;
            sink.finish()?;
            return Ok(outcome);
        }
        let output = self.report.open()?;
        let (tally, outcome) = match &self.flows {
            None => self.read.run(policies, None)?,
            Some(path) => {
                let mut sink = Sink::new(Some(path), FlowFormat::of(path, "--flows")?, &policies)?;
                let result = self.read.run(policies, Some(&mut |flow| sink.write(flow)))?;
                if result.0.is_some() {
                    sink.finish()?;
                }
                result
            }
        };
        if let Some(tally) = tally {
            output.write(&Report::new(&tally))?;
        }
        Ok(outcome)
    }
}
