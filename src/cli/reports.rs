//! `tlscov merge` and `tlscov render`: reports in, a report out; no capture is read again.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::Args;

use super::Outcome;
use super::output::ReportOptions;
use crate::error::{Error, Result};
use crate::report::Report;
use crate::tally::Tally;

/// Join reports of different captures into one, exactly as if the captures had been read together
#[derive(Args)]
#[command(after_help = MERGE_EXAMPLES)]
pub(super) struct Merge {
    /// Reports as `scan --format json` writes them; `-` for standard input
    #[arg(required = true, value_name = "REPORT")]
    reports: Vec<PathBuf>,
    #[command(flatten)]
    output: ReportOptions,
}

const MERGE_EXAMPLES: &str = "\
Examples:
  tlscov merge monday.json tuesday.json -o both.json
  tlscov merge sites/*.json --format text";

/// Write a report in another format
#[derive(Args)]
#[command(after_help = RENDER_EXAMPLES)]
pub(super) struct Render {
    /// A report as `scan --format json` writes it; `-` for standard input
    #[arg(value_name = "REPORT")]
    report: PathBuf,
    #[command(flatten)]
    output: ReportOptions,
}

const RENDER_EXAMPLES: &str = "\
Examples:
  tlscov render report.json
  tlscov render report.json --format markdown >> \"$GITHUB_STEP_SUMMARY\"
  tlscov render report.json --format html -o report.html
  tlscov render report.json --format csv -o report.csv
  tlscov render report.json --publish --min-cell 20 -o public.json
  tlscov render report.json --format prometheus -o /var/lib/node_exporter/tlscov.prom
  tlscov render report.json --format cbom -o cbom.json";

impl Merge {
    pub fn run(&self) -> Result<Outcome> {
        let mut sums = Tally::default();
        for path in &self.reports {
            sums.merge(tally(path)?);
        }
        self.output.open()?.write(&Report::new(&sums))?;
        Ok(Outcome::Done)
    }
}

impl Render {
    pub fn run(&self) -> Result<Outcome> {
        self.output.open()?.write(&read(&self.report)?)?;
        Ok(Outcome::Done)
    }
}

fn tally(path: &Path) -> Result<Tally> {
    read(path)?.tally().map_err(|what| Error::file(path, what))
}

/// Reads the report at `path`; `-` is standard input.
pub(super) fn read(path: &Path) -> Result<Report> {
    let read = if path == Path::new("-") {
        let mut json = Vec::new();
        io::stdin().lock().read_to_end(&mut json).map(|_| json)
    } else {
        std::fs::read(path)
    };
    let json = read.map_err(|error| Error::file(path, format!("cannot be read: {error}")))?;
    Report::read(path, &json)
}
