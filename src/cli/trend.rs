//! `tlscov trend`: reports as a series.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Outcome;
use super::grade::write_json;
use super::output::AtomicFile;
use super::reports::read;
use crate::error::{Error, Result};
use crate::report::Report;
use crate::report::trend::{Point, csv, html, series, text};

/// Reports as a series in time: what went up or down, while the definition stayed the same
///
/// Reports whose definitions differ are no series; they are refused, and what changed is named.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Trend {
    /// Reports as `scan --format json` writes them, in any order
    #[arg(required = true, value_name = "REPORT")]
    reports: Vec<PathBuf>,
    /// How to write the series
    #[arg(short, long, value_enum, default_value_t)]
    format: TrendFormat,
    /// Write the series to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  tlscov trend 2017.json 2018.json 2019.json
  tlscov trend months/*.json --format csv > series.csv
  tlscov trend months/*.json --format html -o trend.html
  tlscov trend months/*.json --format json | jq '.[].encrypted_share.value'";

/// How a series is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum TrendFormat {
    /// For people
    #[default]
    Text,
    /// One row a report
    Csv,
    /// One object a report
    Json,
    /// A page with charts, in one file
    Html,
}

impl Trend {
    pub fn run(&self) -> Result<Outcome> {
        let named = |path: &PathBuf| Ok((path.to_string_lossy().into_owned(), read(path)?));
        let reports = self.reports.iter().map(named).collect::<Result<Vec<_>>>()?;
        let points = series(&reports).map_err(|what| Error::usage("trend", what))?;
        match &self.output {
            Some(path) => {
                let mut file = AtomicFile::create(path)?;
                self.write(&reports, &points, &mut file)?;
                file.finish()?;
            }
            None => {
                super::to_stdout(|out| {
                    self.write(&reports, &points, out)?;
                    Ok(std::process::ExitCode::SUCCESS)
                })?;
            }
        }
        Ok(Outcome::Done)
    }

    fn write(&self, reports: &[(String, Report)], points: &[Point], out: &mut dyn Write) -> Result<()> {
        match self.format {
            TrendFormat::Text => out.write_all(text(points).as_bytes())?,
            TrendFormat::Csv => csv(points, out)?,
            TrendFormat::Json => write_json(out, &points)?,
            // The definitions are equal, or there would be no series.
            TrendFormat::Html => html(points, &reports[0].1.definition, out)?,
        }
        Ok(())
    }
}
