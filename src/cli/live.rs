//! `tlscov live`: a network interface in, reports out.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::flow_sink::{FlowFormat, Sink};
use super::output::ReportOptions;
use super::read::{How, interval, with_records};
use super::{Outcome, complain, interrupt, memory, warn};
use crate::capture::{self, Listening};
use crate::error::Result;
use crate::pipeline::{self, FlowSink, Options, Periodic};
use crate::report::Report;
use crate::tally::Tally;

/// Read packets from a network interface, and report like `scan` does, until Ctrl-C
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Live {
    /// The interface to listen to
    #[arg(required_unless_present = "list")]
    interface: Option<String>,
    /// Name the interfaces there are, and end
    #[arg(long)]
    list: bool,
    /// Keep only packets that pass this filter, in the language of pcap-filter(7)
    #[arg(long, value_name = "FILTER", default_value = "", hide_default_value = true)]
    filter: String,
    /// Bytes to keep of each packet: 192 hold most headers, all of them is what handshakes need
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(64..=262_144), default_value = "262144")]
    snaplen: u32,
    /// Only packets from and to this machine
    #[arg(long)]
    no_promiscuous: bool,
    /// Memory of the kernel for packets that wait, beside --max-memory, up to 1G
    #[arg(long, value_name = "SIZE", value_parser = memory::parse, default_value = "64M")]
    buffer: u64,
    /// End after this time
    #[arg(long, value_name = "TIME", value_parser = interval)]
    duration: Option<u32>,
    /// Write the report of everything so far this often, marked as partial, as `scan --every` does
    #[arg(long, value_name = "TIME", value_parser = interval)]
    every: Option<u32>,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    report: ReportOptions,
    /// Write a record of each flow to this file as well: .jsonl, .csv or .parquet
    #[arg(long, value_name = "FILE")]
    flows: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  tlscov live --list
  tlscov live eth0 --every 60s -o report.json
  tlscov live eth0 --filter 'not port 22' --duration 10m --format html -o report.html

What the kernel and the card dropped is in `quality` of the report.";

impl Live {
    pub fn run(&self) -> Result<Outcome> {
        let Some(interface) = self.interface.as_ref().filter(|_| !self.list) else {
            let mut out = io::stdout().lock();
            for (name, about) in capture::interfaces()? {
                writeln!(out, "{name:<16} {about}")?;
            }
            return Ok(Outcome::Done);
        };
        let policies = self.how.policies()?;
        let mut sink = match &self.flows {
            Some(path) => Some(Sink::new(Some(path), FlowFormat::of(path, "--flows")?, &policies)?),
            None => None,
        };
        let mut output = if self.every.is_some() { self.report.open_series()? } else { self.report.open()? };
        // The first signal ends the capture: that is its end, and the report is whole.
        let options = Options { stop: Arc::default(), ..self.how.options(policies)? };
        let listening = Listening {
            interface: interface.clone(),
            filter: self.filter.clone(),
            snap_len: self.snaplen,
            promiscuous: !self.no_promiscuous,
            buffer_bytes: u32::try_from(self.buffer).unwrap_or(u32::MAX).min(1 << 30),
            duration: self.duration.map(|seconds| Duration::from_secs(seconds.into())),
            stop: interrupt::stop(),
        };
        let source = capture::listen(listening, options.reading())?;
        let mut take = |tally: &Tally| output.write_soon(&Report::new(tally));
        let periodic = self.every.map(|every| Periodic { every: Duration::from_secs(every.into()), take: &mut take });
        let scan =
            |records: Option<FlowSink<'_>>| pipeline::scan_source_with_reports(source, &options, records, periodic);
        let scanned = match &mut sink {
            Some(sink) => with_records(&options, None, Some(&mut |flow| sink.write(flow)), scan),
            None => scan(None),
        }?;
        if !self.how.quiet {
            scanned.warnings.iter().for_each(|warning| warn(warning));
        }
        scanned.failed.iter().for_each(complain);
        if let Some(sink) = sink {
            sink.finish()?;
        }
        output.write(&Report::new(&scanned.tally))?;
        Ok(if scanned.failed.is_empty() { Outcome::Done } else { Outcome::SomeFailed })
    }
}
