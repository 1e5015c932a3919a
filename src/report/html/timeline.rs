//! The timeline of a report that has one: coverage in each interval, with gaps where nothing was seen.

use serde::Deserialize;
use serde_json::Value;

use super::super::layout::ClassTotals;
use super::super::number::{bytes, percent};
use super::super::{ratio, time};
use super::chart::{self, Figure, Moment, Part, Table};
use crate::model::Units;

/// More columns than this cannot be told apart; neighbours are added up until they fit.
const MOST_COLUMNS: u64 = 240;

#[derive(Deserialize)]
struct Timeline {
    interval_seconds: u64,
    intervals: Vec<Interval>,
}

#[derive(Deserialize)]
struct Interval {
    start: String,
    #[serde(flatten)]
    classes: Classes,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Classes {
    encrypted: Units,
    plaintext: Units,
    unknown: Units,
    totals: Option<ClassTotals>,
}

/// The chart; `None` when `report`, as JSON, has no timeline or an empty one.
pub(super) fn figure(report: &Value) -> Option<Figure> {
    let timeline: Timeline = serde_json::from_value(report.get("timeline")?.clone()).ok()?;
    let columns = columns(&timeline)?;
    let (first, last) = (columns.first()?, columns.last()?);
    let whole = |[encrypted, unknown, plaintext]: [u64; 3]| encrypted + unknown + plaintext;
    let mut rows = Vec::new();
    let mut moments = Vec::new();
    for column in &columns {
        let [encrypted, unknown, plaintext] = column.amounts;
        let shares = column.amounts.map(|amount| percent(ratio(amount, whole(column.amounts))));
        let start = clock(column.start_ns);
        let amount = bytes(whole(column.amounts));
        let label = format!("{start}: {} encrypted of {amount}", shares[0]);
        let parts = [("encrypted", encrypted), ("unknown", unknown), ("plaintext", plaintext)];
        moments.push(Moment {
            place: column.place,
            label,
            parts: parts.map(|(kind, amount)| Part::new(kind, kind, amount)).into(),
        });
        rows.push([start].into_iter().chain(shares).chain([amount]).collect());
    }
    let axis = [clock(first.start_ns), clock(last.start_ns)];
    let title = "Encrypted, unknown and plaintext over time";
    let description = format!("Shares of wire bytes in each interval, from {} to {}.", axis[0], axis[1]);
    Some(Figure {
        title: title.to_owned(),
        note: format!(
            "By wire bytes; one column for {}.",
            length(timeline.interval_seconds.saturating_mul(first.step))
        ),
        svg: chart::timeline("over-time", title, &description, &moments, [&axis[0], &axis[1]]),
        legend: super::page::class_names(),
        table: Table::new(
            "Shares of wire bytes in each interval (UTC)",
            &["Start", "Encrypted", "Unknown", "Plaintext", "Amount"],
            rows,
        ),
    })
}

struct Column {
    place: u64,
    /// Intervals in one column.
    step: u64,
    start_ns: i64,
    /// Encrypted, unknown, plaintext. Unit: wire bytes.
    amounts: [u64; 3],
}

/// Intervals with traffic, neighbours added up where there are too many of them.
fn columns(timeline: &Timeline) -> Option<Vec<Column>> {
    let interval_ns = i64::try_from(timeline.interval_seconds.checked_mul(1_000_000_000)?).ok().filter(|ns| *ns > 0)?;
    let mut intervals = Vec::new();
    for interval in &timeline.intervals {
        let classes = interval.classes;
        let totals = classes.totals.map(|totals| [totals.encrypted, totals.unknown, totals.plaintext]);
        let units = totals.unwrap_or([classes.encrypted, classes.unknown, classes.plaintext]);
        let amounts = units.map(|units| units.wire_bytes);
        if amounts != [0; 3] {
            intervals.push((time::parse(&interval.start).ok()?, amounts));
        }
    }
    intervals.sort_unstable_by_key(|(start, _)| *start);
    let (first, last) = (intervals.first()?.0, intervals.last()?.0);
    let all = last.checked_sub(first)?.unsigned_abs() / interval_ns.unsigned_abs() + 1;
    let step = all.div_ceil(MOST_COLUMNS);
    let mut columns: Vec<Column> = Vec::new();
    for (start_ns, amounts) in intervals {
        let place = start_ns.abs_diff(first) / interval_ns.unsigned_abs() / step;
        match columns.last_mut().filter(|column| column.place == place) {
            Some(column) => {
                for (sum, amount) in column.amounts.iter_mut().zip(amounts) {
                    *sum = sum.saturating_add(amount);
                }
            }
            None => columns.push(Column { place, step, start_ns, amounts }),
        }
    }
    Some(columns)
}

/// `2018-08-01 14:00:00`.
fn clock(nanoseconds: i64) -> String {
    time::format(nanoseconds).replace('T', " ").trim_end_matches('Z').to_owned()
}

/// Seconds in the largest unit that divides them.
fn length(seconds: u64) -> String {
    let units = [(86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")];
    let (size, unit) = units.into_iter().find(|(size, _)| seconds.is_multiple_of(*size)).unwrap_or((1, "second"));
    super::super::number::counted(seconds / size, unit)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use serde_json::json;

    use super::*;

    fn hours(hours: impl Iterator<Item = u64>) -> Value {
        let units = |wire_bytes: u64| json!({"flows": 1, "packets": 1, "wire_bytes": wire_bytes, "payload_bytes": 0});
        let start = |hour: u64| time::format((hour * 3_600_000_000_000) as i64);
        let intervals: Vec<_> = hours
            .map(|hour| json!({"start": start(hour), "encrypted": units(75), "plaintext": units(25), "unknown": units(0)}))
            .collect();
        json!({"timeline": {"interval_seconds": 3600, "intervals": intervals}})
    }

    #[test]
    fn intervals_become_rows_and_gaps_stay() {
        let figure = figure(&hours([3, 0, 1].into_iter())).unwrap();
        assert_eq!(figure.note, "By wire bytes; one column for 1 hour.");
        assert_eq!(figure.table.rows.len(), 3);
        assert_eq!(figure.table.rows[0], ["1970-01-01 00:00:00", "75.0%", "0.0%", "25.0%", "100 B"]);
        assert_eq!(figure.table.rows[2][0], "1970-01-01 03:00:00");
        assert!(figure.svg.to_string().contains("x=\"75.000%\""), "the fourth of four places");
    }

    #[test]
    fn totals_may_stand_in_a_key_of_their_own() {
        let mut report = hours(0..1);
        let mut interval = report["timeline"]["intervals"][0].clone();
        interval["control"] = interval["unknown"].clone();
        report["timeline"]["intervals"][0] = json!({"start": interval["start"], "totals": interval});
        assert_eq!(figure(&report).unwrap().table.rows[0][1], "75.0%");
    }

    #[test]
    fn many_intervals_are_added_up() {
        let figure = figure(&hours(0..2400)).unwrap();
        assert_eq!(figure.table.rows.len(), 240);
        assert_eq!(figure.table.rows[1], ["1970-01-01 10:00:00", "75.0%", "0.0%", "25.0%", "1.0 kB"]);
        assert_eq!(figure.note, "By wire bytes; one column for 10 hours.");
    }

    #[test]
    fn without_a_timeline_there_is_no_chart() {
        for report in [json!({}), hours(0..0), json!({"timeline": {"interval_seconds": 0, "intervals": []}})] {
            assert!(figure(&report).is_none(), "{report}");
        }
    }
}
