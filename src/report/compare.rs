//! A report beside published figures, like with like only.
//!
//! A published figure has a metric: what was counted, over what. Most figures that are quoted as "encrypted traffic" are web
//! shares, or counts of page loads. A report is compared with figures of the same metric; for the others it says why not.
//! The figures stand in `data/published.toml`; a file of the same form can be used instead.

use std::fmt::Write as _;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::layout::Report;
use super::number::percent;
use super::{ratio, total_of};
use crate::error::{Error, Result};

/// A file of published figures.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// The figures, oldest first.
    pub figure: Vec<Figure>,
}

/// One published figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// Short name.
    pub id: String,
    /// Year that it speaks of.
    pub year: u16,
    /// The share in 0..1: both ends of a range, equal for a single figure.
    pub share: [f64; 2],
    /// The source says "about", "nearly", "over".
    #[serde(default)]
    pub about: bool,
    /// What was counted.
    pub metric: Metric,
    /// By `wire_bytes` or `flows`; absent when the source does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<FigureUnit>,
    /// Over what.
    pub population: String,
    /// Where it was published.
    pub source: String,
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Metric {
    /// Encrypted / (encrypted + plaintext + unknown)
    EncryptedShare,
    /// HTTPS and QUIC web traffic / that and cleartext HTTP
    WebShare,
    /// QUIC / all traffic
    QuicShare,
    /// Handshakes with post-quantum key exchange / handshakes whose key exchange is known
    PostQuantumShare,
    /// Pages loaded by a browser
    PageLoads,
    /// HTTP requests at a provider
    Requests,
    /// Sites that were asked
    Sites,
}

/// Unit of a published figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FigureUnit {
    /// By bytes.
    WireBytes,
    /// By flows, sessions or connections.
    Flows,
}

impl FigureUnit {
    const fn words(self) -> &'static str {
        match self {
            Self::WireBytes => "by bytes",
            Self::Flows => "by flows",
        }
    }
}

impl Metric {
    /// What the metric is, in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::EncryptedShare => "encrypted share",
            Self::WebShare => "web share",
            Self::QuicShare => "QUIC share",
            Self::PostQuantumShare => "post-quantum share of handshakes",
            Self::PageLoads => "share of page loads",
            Self::Requests => "share of requests",
            Self::Sites => "share of sites",
        }
    }
}

/// A published figure and what the report has to put beside it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// What was published.
    #[serde(flatten)]
    pub figure: Figure,
    /// The report's figures of the same metric; empty when it has none.
    pub here: Vec<Here>,
    /// Why it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_comparable: Option<&'static str>,
}

/// A figure of the report.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Here {
    /// Unit.
    pub unit: FigureUnit,
    /// The share; `None` when the report holds nothing to divide by.
    pub value: Option<f64>,
}

impl Published {
    /// The figures that come with the program.
    ///
    /// # Errors
    /// Never for the file as it was tested.
    pub fn builtin() -> Result<Self> {
        Self::parse(include_str!("data/published.toml"), Path::new("published"))
    }

    /// The figures in the file `path`.
    ///
    /// # Errors
    /// When it cannot be read, or the first mistake in it.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::file(path, format!("cannot read this file of figures: {error}")))?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self> {
        super::strict_toml(text).map_err(|what| Error::file(path, what))
    }
}

/// Puts `report` beside each of `figures`.
#[must_use]
pub fn compare(report: &Report, figures: &[Figure]) -> Vec<Compared> {
    let compared = |figure: &Figure| {
        let (here, not_comparable) = match of(report, figure.metric) {
            Ok(mut here) => {
                here.retain(|here| figure.unit.is_none_or(|unit| unit == here.unit));
                (here, None)
            }
            Err(reason) => (Vec::new(), Some(reason)),
        };
        Compared { figure: figure.clone(), here, not_comparable }
    };
    figures.iter().map(compared).collect()
}

/// The figures of `report` that count `metric`.
fn of(report: &Report, metric: Metric) -> std::result::Result<Vec<Here>, &'static str> {
    let both = |wire_bytes, flows| {
        vec![Here { unit: FigureUnit::WireBytes, value: wire_bytes }, Here { unit: FigureUnit::Flows, value: flows }]
    };
    let coverage = &report.coverage;
    Ok(match metric {
        Metric::EncryptedShare => both(coverage.by_unit.wire_bytes.value, coverage.by_unit.flows.value),
        Metric::WebShare => both(coverage.web_share.wire_bytes, coverage.web_share.flows),
        Metric::QuicShare => {
            let all = &coverage.totals.all;
            let quic = total_of(report, |row| matches!(row.name.as_str(), "quic" | "gquic"));
            both(ratio(quic.wire_bytes, all.wire_bytes), ratio(quic.flows, all.flows))
        }
        Metric::PostQuantumShare => {
            let answer = &report.tls.post_quantum;
            let (yes, no) = (answer.yes, answer.no);
            both(ratio(yes.wire_bytes, yes.wire_bytes + no.wire_bytes), ratio(yes.flows, yes.flows + no.flows))
        }
        Metric::PageLoads => return Err("page loads are counted in browsers; a capture shows flows and bytes"),
        Metric::Requests => return Err("requests are counted at servers; a capture shows flows and bytes"),
        Metric::Sites => return Err("sites are counted by asking them; a capture shows what was used"),
    })
}

/// The comparison for people.
#[must_use]
pub fn text(report: &Report, compared: &[Compared]) -> String {
    let mut text = String::new();
    let share = &report.coverage.encrypted_share;
    let _ = writeln!(
        text,
        "This report: encrypted share {} by bytes (bounds {} to {}), web share {} by bytes, {} by flows.",
        percent(share.value),
        percent(share.lower),
        percent(share.upper),
        percent(report.coverage.web_share.wire_bytes),
        percent(report.coverage.web_share.flows),
    );
    for row in compared {
        let figure = &row.figure;
        let unit = figure.unit.map_or("bytes or flows not said", FigureUnit::words);
        let about = if figure.about { "about " } else { "" };
        let published = match figure.share {
            [low, high] if low == high => percent(Some(low)),
            [low, high] => format!("{} to {}", percent(Some(low)), percent(Some(high))),
        };
        let _ =
            writeln!(text, "\n{} {}: {about}{published}, {} ({unit})", figure.year, figure.id, figure.metric.words());
        let _ = writeln!(text, "  of {}", figure.population);
        let here: Vec<_> =
            row.here.iter().map(|here| format!("{} {}", percent(here.value), here.unit.words())).collect();
        let _ = match row.not_comparable {
            Some(reason) => writeln!(text, "  not compared: {reason}"),
            None => writeln!(text, "  here: {} {}", figure.metric.words(), here.join(", ")),
        };
        let _ = writeln!(text, "  {}", figure.source);
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;
    use crate::tally::testing::office_tally;

    fn rows() -> Vec<Compared> {
        compare(&Report::new(&office_tally()), &Published::builtin().unwrap().figure)
    }

    #[test]
    fn like_is_compared_with_like() {
        let rows = rows();
        let row = |id: &str| rows.iter().find(|row| row.figure.id == id).unwrap();
        // The office: 15,000 of 20,000 web bytes, 3 of 4 web flows; 5,000 of 60,000 bytes and 1 of 12 flows are QUIC.
        let fortinet = row("fortinet-2018");
        assert_eq!(fortinet.figure.share, [0.72, 0.72]);
        let here: Vec<_> = fortinet.here.iter().map(|here| (here.unit, here.value)).collect();
        assert_eq!(here, [(FigureUnit::WireBytes, Some(0.75)), (FigureUnit::Flows, Some(0.75))]);
        let quic = row("quic-2017");
        assert_eq!(quic.here, [Here { unit: FigureUnit::WireBytes, value: Some(0.083_333) }]);
        let loads = row("chrome-2019");
        assert!(loads.here.is_empty() && loads.not_comparable.unwrap().contains("browsers"));
        assert!(rows.iter().all(|row| row.figure.metric != Metric::EncryptedShare), "nobody published that");
    }

    #[test]
    fn figures_are_complete() {
        let figures = Published::builtin().unwrap().figure;
        assert!(figures.windows(2).all(|pair| pair[0].year <= pair[1].year), "oldest first");
        for figure in &figures {
            let [low, high] = figure.share;
            assert!((0.0..=1.0).contains(&low) && low <= high && high <= 1.0, "{}", figure.id);
            assert!(!figure.population.is_empty() && !figure.source.is_empty(), "{}", figure.id);
            assert_eq!(figures.iter().filter(|other| other.id == figure.id).count(), 1, "{}", figure.id);
        }
    }
}
