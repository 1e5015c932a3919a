//! `tlscov flows`: captures in, one record a flow out.

use std::path::PathBuf;

use clap::Args;

use super::Outcome;
use super::flow_sink::{FlowFormat, Names, Sink};
use super::read::Read;
use crate::error::Result;
use crate::grade::Policy;

/// Read captures and write one record a flow: addresses, class, handshake facts, strength
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Flows {
    #[command(flatten)]
    read: Read,
    /// Write to this file, .jsonl, .csv or .parquet, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What to write [default: by the name of the file, else jsonl]
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<FlowFormat>,
    /// Whose names the fields have; with zeek, an output that is a folder (`logs/`) gets conn.log and ssl.log, anything else one
    /// stream of both, told apart by `_path`
    #[arg(long, value_name = "NAMES", default_value = "ecs")]
    names_as: Names,
}

const EXAMPLES: &str = "\
Examples:
  tlscov flows capture.pcap | jq -c 'select(.class == \"plaintext\") | .network.protocol'
  tlscov flows captures/ -o flows.csv
  tlscov flows captures/ -o flows.parquet
  tlscov flows captures/ --anonymize secret.key -o shared.jsonl
  tlscov flows capture.pcap --names-as zeek -o logs/
  tlscov flows capture.pcap --names-as zeek | jq -c 'select(._path == \"ssl\")'
  tlscov flows capture.pcap | jq -r '.tls.server_name // empty' | sort | uniq -c";

impl Flows {
    pub fn run(&self) -> Result<Outcome> {
        let policies = self.read.how.policies()?;
        let mut sink = self.sink(&policies)?;
        let (tally, outcome) = self.read.run(policies, Some(&mut |flow| sink.write(flow)), None)?;
        // Nothing was read: what stood under that name stays.
        if tally.is_some() {
            sink.finish()?;
        }
        Ok(outcome)
    }

    fn sink(&self, policies: &[Policy]) -> Result<Sink> {
        let output = self.output.as_deref();
        if self.names_as == Names::Zeek {
            return Sink::zeek(output, self.format, policies);
        }
        let format = match (self.format, output) {
            (Some(format), _) => format,
            (None, Some(path)) => FlowFormat::of(path, "--output")?,
            (None, None) => FlowFormat::Jsonl,
        };
        Sink::new(output, format, policies)
    }
}
