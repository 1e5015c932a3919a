//! The report: ratios worked out from a [`Tally`], and back again.
//!
//! [`Report::new`] and [`Report::tally`] are inverse to each other, which is what makes a merge of reports exact: the
//! report of two tallies merged is the report of the two reports' tallies merged. [`FORMATS`] lists what a report can be
//! written as; each format is one file.

pub mod anonymize;
mod benchmark;
mod bmf;
mod build;
mod cbom;
pub mod check;
mod code;
pub mod compare;
mod concentration;
mod csv;
mod definition;
mod findings;
pub mod flow_columns;
mod flow_csv;
#[cfg(feature = "parquet")]
mod flow_parquet;
mod flow_record;
mod flow_zeek;
mod format;
mod html;
mod json;
mod layout;
mod markdown;
mod number;
mod prometheus;
pub mod publish;
mod restore;
mod share;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests;
mod text;
mod time;
mod timeline;
pub mod trend;

pub use definition::{Definition, PolicyVersion};
pub use flow_csv::FlowCsv;
#[cfg(feature = "parquet")]
pub use flow_parquet::FlowParquet;
pub use flow_record::FlowRecord;
pub use flow_zeek::{FlowZeek, ZeekFormat};
pub use format::{FORMATS, Format, format_named, names};
pub use layout::*;
pub use share::ratio;
pub use time::format as rfc3339;
pub use time::{Nanoseconds, Seconds};

use std::path::Path;

use crate::error::{Error, Result};
use crate::model::Units;
use crate::tally::Tally;

/// Version of the layout of reports.
pub const SCHEMA_VERSION: &str = "1.0";

/// The JSON Schema of what this program writes as `T`: a [`Report`] or a [`FlowRecord`].
#[must_use]
pub fn schema<T: schemars::JsonSchema>() -> schemars::Schema {
    schemars::generate::SchemaSettings::default().for_serialize().into_generator().into_root_schema_for::<T>()
}

/// Reads TOML; a mistake is told in one line, with its line and column.
fn strict_toml<T: serde::de::DeserializeOwned>(text: &str) -> std::result::Result<T, String> {
    toml::from_str(text).map_err(|error| {
        let what = error.message().trim_end().replace('\n', "; ");
        let Some(before) = error.span().and_then(|span| text.get(..span.start)) else { return what };
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("line {line}, column {column}: {what}")
    })
}

/// The total of the protocol rows that `counts`.
fn total_of(report: &Report, counts: impl Fn(&ProtocolRow) -> bool) -> Units {
    let mut total = Units::default();
    report.protocols.iter().filter(|row| counts(row)).for_each(|row| total.merge(&row.totals));
    total
}

impl Report {
    /// The report of `tally`, whose policies have been named.
    #[must_use]
    pub fn new(tally: &Tally) -> Self {
        build::report(tally)
    }

    /// The sums that this report was worked out from.
    ///
    /// # Errors
    /// What in it is not a word or number of this program.
    pub fn tally(&self) -> std::result::Result<Tally, String> {
        restore::tally(self)
    }

    /// Reads a report that [`Report::new`] made and some program wrote as JSON.
    ///
    /// # Errors
    /// When `json` is no report, a report of another schema, or one whose figures do not follow from its sums; `path`
    /// names it.
    pub fn read(path: &Path, json: &[u8]) -> Result<Self> {
        restore::read(json).map_err(|what| Error::file(path, what))
    }
}
