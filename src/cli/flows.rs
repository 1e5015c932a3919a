//! `tlscov flows`: captures in, one record a flow out.

use std::io::{self, BufWriter, StdoutLock, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::Outcome;
use super::output::AtomicFile;
use super::read::Read;
use crate::error::{Error, Result};
use crate::grade::Policy;
use crate::report::{FlowCsv, FlowRecord};

/// Read captures and write one record a flow: addresses, class, handshake facts, strength
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Flows {
    #[command(flatten)]
    read: Read,
    /// Write to this file, .jsonl or .csv, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What to write [default: by the name of the file, else jsonl]
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<FlowFormat>,
}

const EXAMPLES: &str = "\
Examples:
  tlscov flows capture.pcap | jq -c 'select(.class == \"plaintext\") | .network.protocol'
  tlscov flows captures/ -o flows.csv
  tlscov flows captures/ --anonymize secret.key -o shared.jsonl
  tlscov flows capture.pcap | jq -r '.tls.server_name // empty' | sort | uniq -c";

/// How flow records are written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FlowFormat {
    /// One JSON object a line
    Jsonl,
    /// A table of the fields that fit a column
    Csv,
}

impl Flows {
    pub fn run(&self) -> Result<Outcome> {
        let policies = self.read.how.policies()?;
        let mut sink = match &self.output {
            Some(path) => Sink::new(Target::File(AtomicFile::create(path)?), self.file_format(path)?, &policies)?,
            None => {
                let out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
                Sink::new(Target::Stdout(out), self.format.unwrap_or(FlowFormat::Jsonl), &policies)?
            }
        };
        let (_, outcome) = self.read.run(policies, Some(&mut |flow| sink.write(flow)))?;
        sink.finish()?;
        Ok(outcome)
    }

    fn file_format(&self, path: &Path) -> Result<FlowFormat> {
        self.format.map_or_else(|| format_of(path, "--output"), Ok)
    }
}

/// The format that the name of a file asks for.
fn format_of(path: &Path, option: &str) -> Result<FlowFormat> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("jsonl" | "ndjson" | "json") => Ok(FlowFormat::Jsonl),
        Some("csv") => Ok(FlowFormat::Csv),
        _ => Err(Error::usage(option, format!("{}: expected a name that ends in .jsonl or .csv", path.display()))),
    }
}

/// Takes flow records.
pub(super) enum Sink {
    /// One JSON object a line.
    Jsonl(Target),
    /// A table.
    Csv(Box<FlowCsv<Target>>),
}

impl Sink {
    /// Records to the file `path`, in the format that its name asks for.
    pub fn file(path: &Path, policies: &[Policy]) -> Result<Self> {
        let format = format_of(path, "--flows")?;
        Self::new(Target::File(AtomicFile::create(path)?), format, policies)
    }

    fn new(target: Target, format: FlowFormat, policies: &[Policy]) -> Result<Self> {
        Ok(match format {
            FlowFormat::Jsonl => Self::Jsonl(target),
            FlowFormat::Csv => {
                let names = policies.iter().map(|policy| policy.label()).collect();
                Self::Csv(Box::new(FlowCsv::new(target, names)?))
            }
        })
    }

    /// Writes one record.
    pub fn write(&mut self, flow: &FlowRecord<'_>) -> Result<()> {
        match self {
            Self::Jsonl(target) => {
                serde_json::to_writer(&mut *target, flow).map_err(io::Error::from)?;
                target.write_all(b"\n")?;
            }
            Self::Csv(table) => table.write(flow)?,
        }
        Ok(())
    }

    /// Completes the output.
    pub fn finish(self) -> Result<()> {
        match self {
            Self::Jsonl(target) => target,
            Self::Csv(table) => table.finish()?,
        }
        .finish()
    }
}

/// Where records go.
pub(super) enum Target {
    /// A file that appears when it is complete.
    File(AtomicFile),
    /// Standard output.
    Stdout(BufWriter<StdoutLock<'static>>),
}

impl Target {
    fn finish(self) -> Result<()> {
        match self {
            Self::File(file) => file.finish(),
            Self::Stdout(mut out) => Ok(out.flush()?),
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Stdout(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Stdout(out) => out.flush(),
        }
    }
}
