//! `tlscov compare`: a report beside published figures.

use std::path::{Path, PathBuf};

use clap::Args;

use super::Outcome;
use super::grade::{Format, write_json};
use super::reports::read;
use crate::error::{Error, Result};
use crate::report::compare::{Metric, Published, compare, text};

/// Put a report beside published figures, like with like only
///
/// Most figures that are quoted as "encrypted traffic" are something else: a ratio of HTTPS to HTTP, or a count of page loads.
/// Each published figure carries its metric, population and source, and is compared with the same metric of the report alone;
/// where the report has none, the reason is given.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Compare {
    /// A report as `scan --format json` writes it; `-` for standard input
    #[arg(value_name = "REPORT")]
    report: PathBuf,
    /// `published` for the figures that come with the program, or a TOML file of the same form
    #[arg(long, value_name = "published|FILE")]
    with: String,
    /// Only this figure, by id
    #[arg(long, value_name = "ID")]
    figure: Option<String>,
    /// The metric to compare; figures of another are refused when named, else left out
    #[arg(long, value_name = "METRIC")]
    metric: Option<Metric>,
    /// How to write the answer
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

const EXAMPLES: &str = "\
Examples:
  tlscov compare report.json --with published
  tlscov compare report.json --with published --figure fortinet-2018
  tlscov compare report.json --with published --metric web_share --format json";

impl Compare {
    pub fn run(&self) -> Result<Outcome> {
        let report = read(&self.report)?;
        let published =
            if self.with == "published" { Published::builtin() } else { Published::load(Path::new(&self.with)) };
        let mut figures = published?.figure;
        if let Some(id) = &self.figure {
            let ids: Vec<String> = figures.iter().map(|figure| figure.id.clone()).collect();
            figures.retain(|figure| figure.id == *id);
            let Some(figure) = figures.first() else {
                return Err(Error::usage("--figure", format!("no {id:?}; expected one of {}", ids.join(", "))));
            };
            if let Some(metric) = self.metric.filter(|metric| *metric != figure.metric) {
                let (theirs, ours) = (figure.metric.words(), metric.words());
                let what = format!("{id} is a {theirs} and cannot be compared with the {ours}");
                return Err(Error::usage("--metric", what));
            }
        }
        figures.retain(|figure| self.metric.is_none_or(|metric| metric == figure.metric));
        let compared = compare(&report, &figures);
        super::to_stdout(|out| {
            match self.format {
                Format::Json => write_json(out, &compared)?,
                Format::Text => out.write_all(text(&report, &compared).as_bytes())?,
            }
            Ok(std::process::ExitCode::SUCCESS)
        })?;
        Ok(Outcome::Done)
    }
}
