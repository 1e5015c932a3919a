//! `tlscov scan`: captures in, one report out.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::Outcome;
use super::flow_sink::{FlowFormat, Sink};
use super::output::ReportOptions;
use super::part::PartOptions;
use super::read::{Read, interval};
use crate::error::Result;
use crate::pipeline::Periodic;
use crate::report::Report;
use crate::tally::Tally;

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
    /// While captures are read (a pipe from a capturing program, for example), write the report of everything so far this
    /// often, marked as partial: into the file of -o, each in place of the one before, or to standard output, JSON on one
    /// line each
    #[arg(long, value_name = "TIME", value_parser = interval, conflicts_with = "partial")]
    every: Option<u32>,
    #[command(flatten)]
    part: PartOptions,
}

const EXAMPLES: &str = "\
Examples:
  tlscov scan capture.pcapng
  tlscov scan captures/ '/data/2018-*.pcap.gz' -o report.json
  tlscov scan capture.pcapng --format html -o report.html
  tcpdump -w - -c 10000 | tlscov scan -
  dumpcap -q -i eth0 -w - | tlscov scan - --every 60s -o report.json
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
        let mut output = if self.every.is_some() { self.report.open_series()? } else { self.report.open()? };
        let mut take = |tally: &Tally| output.write_soon(&Report::new(tally));
        let periodic = self.every.map(|every| Periodic { every: Duration::from_secs(every.into()), take: &mut take });
        let (tally, outcome) = match &self.flows {
            None => self.read.run(policies, None, periodic)?,
            Some(path) => {
                let mut sink = Sink::new(Some(path), FlowFormat::of(path, "--flows")?, &policies)?;
                let result = self.read.run(policies, Some(&mut |flow| sink.write(flow)), periodic)?;
                if result.0.is_some() {
                    sink.finish()?;
                }
                result
            }
        };
        if let Some(tally) = tally {
            output.write(&Report::new(&tally))?;
            // The program ends here, and freeing some ten thousand blocks would be felt.
            std::mem::forget(tally);
        }
        Ok(outcome)
    }
}
