//! What a report can be written as: one row and one file each.

use std::io::{self, Write};

use super::{Report, benchmark, bmf, cbom, csv, html, json, markdown, prometheus, text};

/// All formats.
pub static FORMATS: &[Format] = &[
    Format { name: "json", about: "the report itself, for programs and for `merge` and `render`", write: json::write },
    Format { name: "text", about: "a summary for people", write: text::write },
    Format { name: "markdown", about: "the summary as Markdown tables", write: markdown::write },
    Format { name: "html", about: "a page with charts, in one file", write: html::write },
    Format { name: "csv", about: "tidy CSV, one figure a row", write: csv::write },
    Format { name: "prometheus", about: "metrics for the textfile collector", write: prometheus::write },
    Format { name: "cbom", about: "CycloneDX 1.7: protocols and algorithms in use", write: cbom::write },
    Format { name: "benchmark", about: "github-action-benchmark, customBiggerIsBetter", write: benchmark::write },
    Format { name: "bmf", about: "Bencher Metric Format, with bounds", write: bmf::write },
];

/// A format that a report can be written in.
pub struct Format {
    /// The word after `--format`.
    pub name: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    /// Writes a report. The text may hold terminal colours, which the caller takes out where they are not wanted.
    pub write: fn(&Report, &mut dyn Write) -> io::Result<()>,
}

/// The format called `name`.
#[must_use]
pub fn format_named(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

/// All names, for messages.
#[must_use]
pub fn names() -> Vec<&'static str> {
    FORMATS.iter().map(|format| format.name).collect()
}
