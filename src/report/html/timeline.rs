//! The timeline: coverage, strength and versions in each interval, with gaps where nothing was seen.

use super::super::layout::Report;
use super::super::number::{bytes, counted, percent};
use super::super::ratio;
use super::super::timeline::{Stretch, clock, length, stretches};
use super::chart::{self, Figure, Legend, Moment, Part, Table};

/// More columns than these cannot be told apart, and each costs room in the page; neighbours are added up until they fit.
const MOST_COLUMNS: u64 = 240;
const MOST_COLUMNS_BELOW: u64 = 40;

/// The charts; none when the report has no timeline or an empty one.
pub(super) fn figures(report: &Report) -> Vec<Figure> {
    let policy = report.strength.first().map_or("", |policy| policy.policy.as_str());
    let kinds = [
        Kind {
            id: "over-time",
            title: "Encrypted, unknown and plaintext over time".to_owned(),
            of: "wire bytes",
            most: MOST_COLUMNS,
            parts: &[("encrypted", "encrypted"), ("unknown", "unknown"), ("plaintext", "plaintext")],
            amounts: |stretch| stretch.classes.to_vec(),
            amount: bytes,
        },
        Kind {
            id: "strength-over-time",
            title: format!("Strength under {policy} over time"),
            of: "wire bytes that could be graded",
            most: MOST_COLUMNS_BELOW,
            parts: &[("strong", "strong"), ("acceptable", "acceptable"), ("weak", "weak"), ("broken", "broken")],
            amounts: |stretch| stretch.levels.to_vec(),
            amount: bytes,
        },
        Kind {
            id: "versions-over-time",
            title: "Negotiated versions over time".to_owned(),
            of: "flows that began",
            most: MOST_COLUMNS_BELOW,
            parts: &[("accent", "TLS and DTLS 1.3"), ("second", "TLS and DTLS 1.2"), ("older", "older")],
            amounts: versions,
            amount: |flows| counted(flows, "flow"),
        },
    ];
    kinds.iter().filter_map(|kind| figure(report, kind)).collect()
}

/// What one chart shows.
struct Kind {
    id: &'static str,
    title: String,
    of: &'static str,
    most: u64,
    /// Class of the style sheet and name of each part, the lowest first.
    parts: &'static [(&'static str, &'static str)],
    amounts: fn(&Stretch) -> Vec<u64>,
    amount: fn(u64) -> String,
}

/// Flows of version 1.3, 1.2 and before.
fn versions(stretch: &Stretch) -> Vec<u64> {
    let mut amounts = vec![0; 3];
    for (code, flows) in &stretch.versions {
        amounts[match code {
            0x0304 | 0xfefc => 0,
            0x0303 | 0xfefd => 1,
            _ => 2,
        }] += flows;
    }
    amounts
}

fn figure(report: &Report, kind: &Kind) -> Option<Figure> {
    let stretches = stretches(&report.timeline, kind.most)?;
    let (first, last) = (stretches.list.first()?, stretches.list.last()?);
    let mut rows = Vec::new();
    let mut moments = Vec::new();
    for stretch in &stretches.list {
        let amounts = (kind.amounts)(stretch);
        let whole: u64 = amounts.iter().sum();
        let start = clock(stretch.start_ns);
        let parts = kind.parts.iter().zip(&amounts);
        let words: Vec<String> = parts
            .clone()
            .filter(|(_, amount)| **amount > 0)
            .map(|((_, name), amount)| format!("{name} {}", percent(ratio(*amount, whole))))
            .collect();
        // An interval with traffic of another kind keeps its place, empty.
        moments.push(Moment {
            place: stretch.place,
            label: format!("{start}: {} of {}", words.join(", "), (kind.amount)(whole)),
            parts: parts.clone().map(|((class, name), amount)| Part::new(class, name, *amount)).collect(),
        });
        if whole > 0 {
            let shares = amounts.iter().map(|amount| percent(ratio(*amount, whole)));
            rows.push([start].into_iter().chain(shares).chain([(kind.amount)(whole)]).collect());
        }
    }
    let axis = [clock(first.start_ns), clock(last.start_ns)];
    let description = format!("Shares of {} in each interval, from {} to {}.", kind.of, axis[0], axis[1]);
    let head: Vec<String> = kind.parts.iter().map(|(_, name)| super::page::capital(name)).collect();
    let head: Vec<&str> = ["Start"].into_iter().chain(head.iter().map(String::as_str)).chain(["Amount"]).collect();
    let legend = |(class, name): &(&'static str, &'static str)| Legend {
        kind: class,
        label: (*name).to_owned(),
        value: String::new(),
        more: String::new(),
    };
    (!rows.is_empty()).then(|| Figure {
        note: format!("By {}; one column for {}.", kind.of, length(stretches.seconds)),
        svg: chart::timeline(kind.id, &kind.title, &description, &moments, [&axis[0], &axis[1]]),
        legend: kind.parts.iter().map(legend).collect(),
        table: Table::new(&format!("{}: shares in each interval (UTC)", kind.title), &head, rows),
        title: kind.title.clone(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;
    use crate::model::Units;
    use crate::report::time;
    use crate::report::{IntervalRow, IntervalStrength, IntervalVersion};
    use crate::tally::Sum;
    use crate::tally::testing::office_tally;

    fn hours(hours: impl Iterator<Item = u64>) -> Report {
        let units = |wire_bytes| Units { flows: 1, packets: 1, wire_bytes, payload_bytes: 0 };
        let sum = |wire_bytes| Sum { flows: 1, wire_bytes };
        let intervals = hours.map(|hour| IntervalRow {
            start: time::format((hour * 3_600_000_000_000) as i64),
            encrypted: units(75),
            plaintext: units(25),
            strength: vec![IntervalStrength { strong: sum(60), broken: sum(15), ..IntervalStrength::default() }],
            versions: [("0x0304", 3), ("0xfefd", 1), ("0x0301", 2)]
                .map(|(code, flows)| IntervalVersion { name: String::new(), code: code.to_owned(), flows })
                .into(),
            ..IntervalRow::default()
        });
        let mut report = Report::new(&office_tally());
        report.timeline.intervals = intervals.collect();
        report.timeline.interval_seconds = Some(3600);
        report
    }

    #[test]
    fn intervals_become_rows_and_gaps_stay() {
        let figures = figures(&hours([3, 0, 1].into_iter()));
        assert_eq!(figures[0].note, "By wire bytes; one column for 1 hour.");
        assert_eq!(figures[0].table.rows.len(), 3);
        assert_eq!(figures[0].table.rows[0], ["1970-01-01 00:00:00", "75.0%", "0.0%", "25.0%", "100 B"]);
        assert_eq!(figures[0].table.rows[2][0], "1970-01-01 03:00:00");
        assert!(figures[0].svg.to_string().contains("x=\"75.000%\""), "the fourth of four places");
        assert_eq!(figures[1].table.rows[0], ["1970-01-01 00:00:00", "80.0%", "0.0%", "0.0%", "20.0%", "75 B"]);
        assert_eq!(figures[2].table.rows[0], ["1970-01-01 00:00:00", "50.0%", "16.7%", "33.3%", "6 flows"]);
    }

    #[test]
    fn many_intervals_are_added_up() {
        let figures = figures(&hours(0..2400));
        assert_eq!(figures[0].table.rows.len(), 240);
        assert_eq!(figures[0].table.rows[1], ["1970-01-01 10:00:00", "75.0%", "0.0%", "25.0%", "1.0 kB"]);
        assert_eq!(figures[0].note, "By wire bytes; one column for 10 hours.");
        // Sixty hours would do; three days are read more easily.
        assert_eq!(figures[1].table.rows.len(), 34);
    }

    #[test]
    fn without_a_timeline_there_is_no_chart() {
        assert!(figures(&hours(0..0)).is_empty());
        for seconds in [Some(0), None] {
            let mut mixed = hours(0..3);
            mixed.timeline.interval_seconds = seconds;
            assert!(figures(&mixed).is_empty(), "{seconds:?}");
        }
    }
}
