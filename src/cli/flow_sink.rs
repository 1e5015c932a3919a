//! Where flow records go, and in which format.

use std::fs;
#[cfg(feature = "parquet")]
use std::io::IsTerminal;
use std::io::{self, BufWriter, Stdout, Write};
use std::path::Path;

use clap::ValueEnum;

use super::output::AtomicFile;
use crate::error::{Error, Result};
use crate::grade::Policy;
#[cfg(feature = "parquet")]
use crate::report::FlowParquet;
use crate::report::{FlowCsv, FlowRecord, FlowZeek, ZeekFormat};

/// How flow records are written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FlowFormat {
    /// One JSON object a line
    Jsonl,
    /// A table, lists joined by spaces
    Csv,
    /// A table with types, zstd compressed; needs a program built with `--features parquet`
    Parquet,
    /// Tab-separated logs with heading lines, for --names-as zeek
    Tsv,
}

/// Whose names the fields have.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Names {
    /// Elastic Common Schema where it has one: network.*, client.*, server.*, tls.*
    Ecs,
    /// Zeek's conn.log and ssl.log: id.orig_h, orig_bytes, ...
    Zeek,
}

impl FlowFormat {
    /// The format that the name of a file asks for.
    ///
    /// # Errors
    /// When it asks for none; `option` is what the name was given with.
    pub fn of(path: &Path, option: &str) -> Result<Self> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("jsonl" | "ndjson" | "json") => Ok(Self::Jsonl),
            Some("csv") => Ok(Self::Csv),
            Some("parquet") => Ok(Self::Parquet),
            _ => Err(Error::usage(
                option,
                format!("{}: expected a name that ends in .jsonl, .csv or .parquet", path.display()),
            )),
        }
    }
}

/// Takes flow records.
pub(super) enum Sink {
    /// One JSON object a line.
    Jsonl(Target),
    /// A table.
    Csv(Box<FlowCsv<Target>>),
    /// A table with types.
    #[cfg(feature = "parquet")]
    Parquet(Box<FlowParquet<Target>>),
    /// Zeek's logs.
    Zeek(Box<FlowZeek<Target>>),
}

impl Sink {
    /// Records to the file `output`, or to standard output.
    ///
    /// # Errors
    /// When the file cannot be created, or cannot be in this format.
    pub fn new(output: Option<&Path>, format: FlowFormat, policies: &[Policy]) -> Result<Self> {
        let labels = labels(policies);
        Ok(match format {
            FlowFormat::Jsonl => Self::Jsonl(Target::open(output)?),
            FlowFormat::Csv => Self::Csv(Box::new(FlowCsv::new(Target::open(output)?, &labels)?)),
            FlowFormat::Parquet => Self::parquet(output, &labels)?,
            FlowFormat::Tsv => return Err(Error::usage("--format tsv", "expected with --names-as zeek")),
        })
    }

    /// Records as Zeek's logs: `conn.log` and `ssl.log` in the folder `output`, else one stream of JSON.
    ///
    /// # Errors
    /// When a file cannot be created, or cannot be in this format.
    pub fn zeek(output: Option<&Path>, format: Option<FlowFormat>, policies: &[Policy]) -> Result<Self> {
        let labels = labels(policies);
        let folder = output.filter(|path| path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/"));
        let zeek = match (folder, format) {
            (_, Some(FlowFormat::Csv | FlowFormat::Parquet)) => {
                return Err(Error::usage("--names-as zeek", "expected --format jsonl or tsv"));
            }
            (None, Some(FlowFormat::Tsv)) => {
                let what = "expected `--output FOLDER/` with it: conn.log and ssl.log have a heading each";
                return Err(Error::usage("--format tsv", what));
            }
            (None, _) => FlowZeek::stream(Target::open(output)?, &labels),
            (Some(folder), format) => {
                let format = if format == Some(FlowFormat::Jsonl) { ZeekFormat::Json } else { ZeekFormat::Tsv };
                fs::create_dir_all(folder)
                    .map_err(|error| Error::file(folder, format!("cannot be written: {error}")))?;
                let open = |name| Target::open(Some(&folder.join(name)));
                FlowZeek::logs(open("conn.log")?, open("ssl.log")?, format, &labels)?
            }
        };
        Ok(Self::Zeek(Box::new(zeek)))
    }

    #[cfg(feature = "parquet")]
    fn parquet(output: Option<&Path>, policies: &[String]) -> Result<Self> {
        if output.is_none() && io::stdout().is_terminal() {
            return Err(Error::usage(
                "--format parquet",
                "expected `--output FILE`, or a pipe: a terminal cannot show it",
            ));
        }
        Ok(Self::Parquet(Box::new(FlowParquet::new(Target::open(output)?, policies)?)))
    }

    #[cfg(not(feature = "parquet"))]
    fn parquet(_: Option<&Path>, _: &[String]) -> Result<Self> {
        let what = "this tlscov was built without it; build it with `cargo build --release --features parquet`, or use \
                    jsonl or csv, which have the same columns";
        Err(Error::usage("parquet", what))
    }

    /// Writes one record.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write(&mut self, flow: &FlowRecord<'_>) -> Result<()> {
        match self {
            Self::Jsonl(target) => {
                serde_json::to_writer(&mut *target, flow).map_err(io::Error::from)?;
                target.write_all(b"\n")?;
            }
            Self::Csv(table) => table.write(flow)?,
            #[cfg(feature = "parquet")]
            Self::Parquet(file) => file.write(flow)?,
            Self::Zeek(logs) => logs.write(flow)?,
        }
        Ok(())
    }

    /// Completes the output.
    ///
    /// # Errors
    /// When writing fails.
    pub fn finish(self) -> Result<()> {
        match self {
            Self::Jsonl(target) => target.finish(),
            Self::Csv(table) => table.finish()?.finish(),
            #[cfg(feature = "parquet")]
            Self::Parquet(file) => file.finish()?.finish(),
            Self::Zeek(logs) => {
                let mut targets: Vec<Target> = logs.finish().collect();
                // A full disk shows before the first log takes its name.
                targets.iter_mut().try_for_each(Target::flush)?;
                targets.into_iter().try_for_each(Target::finish)
            }
        }
    }
}

fn labels(policies: &[Policy]) -> Vec<String> {
    policies.iter().map(|policy| policy.label()).collect()
}

/// What is written to.
pub(super) enum Target {
    /// A file that appears when it is complete.
    File(AtomicFile),
    /// Standard output.
    Stdout(BufWriter<Stdout>),
}

impl Target {
    /// The file `path`, or standard output.
    fn open(path: Option<&Path>) -> Result<Self> {
        Ok(match path {
            Some(path) => Self::File(AtomicFile::create(path)?),
            None => Self::Stdout(BufWriter::with_capacity(1 << 16, io::stdout())),
        })
    }

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
