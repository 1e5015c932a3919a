//! The timeline: from sums by interval to rows, and back; and in fewer, longer stretches for people.

use std::collections::BTreeMap;

use super::layout::{ClassTotals, Frames, IntervalRow, IntervalStrength, IntervalVersion, Timeline};
use super::share::bounds;
use super::{code, ratio, time};
use crate::model::{Class, Counts, Steps};
use crate::tally::{ByClass, Interval, PolicyName, Sum};

const SECOND_NS: i64 = 1_000_000_000;

pub(super) fn rows(sums: &crate::tally::Timeline) -> Timeline {
    let length_ns = sums.length_ns();
    let mut before: Option<i64> = None;
    let intervals = sums.iter().map(|(start, interval)| {
        let distance = before.replace(start).map_or(1, |before| start.saturating_sub(before) / length_ns);
        row(start, u64::try_from(distance - 1).unwrap_or_default(), interval, sums.policies())
    });
    let intervals = intervals.collect();
    let (asked_seconds, known) = match sums.steps() {
        Steps::Automatic => (None, true),
        Steps::Every(seconds) => (Some(seconds), true),
        Steps::Mixed => (None, false),
    };
    let interval_seconds = known.then_some(u64::try_from(length_ns / SECOND_NS).unwrap_or_default());
    Timeline { interval_seconds, asked_seconds, intervals }
}

fn row(start: i64, empty_before: u64, interval: &Interval, policies: &[PolicyName]) -> IntervalRow {
    let [encrypted, plaintext, unknown, control] = Class::ALL.map(|class| interval.classes[class]);
    let totals = ClassTotals { encrypted, plaintext, unknown, control };
    let Counts { packets, wire_bytes, .. } = interval.undecoded;
    IntervalRow {
        start: time::format(start),
        empty_before,
        encrypted_share: bounds(&totals, |units| units.wire_bytes),
        encrypted,
        plaintext,
        unknown,
        control,
        undecoded: Frames { packets, wire_bytes },
        strength: strength(&interval.levels, policies),
        versions: interval.versions.iter().map(|(code, flows)| version(*code, *flows)).collect(),
    }
}

/// Rows for all policies as soon as one has graded something.
fn strength(levels: &[[Sum; 4]], policies: &[PolicyName]) -> Vec<IntervalStrength> {
    if levels.iter().flatten().all(|sum| *sum == Sum::default()) {
        return Vec::new();
    }
    let levels = levels.iter().copied().chain(std::iter::repeat(Default::default()));
    let rows = policies.iter().zip(levels).map(|(policy, [strong, acceptable, weak, broken])| {
        let bad = weak.wire_bytes + broken.wire_bytes;
        let weak_share = ratio(bad, bad + strong.wire_bytes + acceptable.wire_bytes);
        IntervalStrength { policy: policy.name.clone(), weak_share, strong, acceptable, weak, broken }
    });
    rows.collect()
}

fn version(code: u16, flows: u64) -> IntervalVersion {
    let name = if code == 0 { "other".to_owned() } else { code::long_version(code).into_owned() };
    IntervalVersion { name, code: format!("0x{code:04x}"), flows }
}

/// A timeline in stretches of equal length, few enough to look at.
pub(super) struct Stretches {
    /// Length of each. Unit: seconds.
    pub seconds: u64,
    /// Those with traffic that some share counts, in order of time.
    pub list: Vec<Stretch>,
}

/// Neighbouring intervals added up.
#[derive(Default)]
pub(super) struct Stretch {
    /// Where it stands, counted from the first.
    pub place: u64,
    /// Its start, nanoseconds since 1970 UTC.
    pub start_ns: i64,
    /// Encrypted, unknown, plaintext. Unit: wire bytes.
    pub classes: [u64; 3],
    /// Strong, acceptable, weak, broken under the first policy. Unit: wire bytes.
    pub levels: [u64; 4],
    /// Flows by code point of the negotiated TLS version.
    pub versions: BTreeMap<u16, u64>,
}

impl Stretch {
    /// What the shares are of. Unit: wire bytes.
    pub fn whole(&self) -> u64 {
        self.classes.iter().fold(0, |sum, amount| sum.saturating_add(*amount))
    }

    fn add(&mut self, row: &IntervalRow) {
        let add = |sum: &mut u64, amount: u64| *sum = sum.saturating_add(amount);
        let classes = [row.encrypted, row.unknown, row.plaintext];
        self.classes.iter_mut().zip(classes).for_each(|(sum, units)| add(sum, units.wire_bytes));
        if let Some(graded) = row.strength.first() {
            let levels = [graded.strong, graded.acceptable, graded.weak, graded.broken];
            self.levels.iter_mut().zip(levels).for_each(|(sum, level)| add(sum, level.wire_bytes));
        }
        for version in &row.versions {
            add(self.versions.entry(super::restore::code(&version.code).unwrap_or(0)).or_default(), version.flows);
        }
    }
}

/// `timeline` in `most` stretches at most, from the first traffic to the last; `None` when there is none, or no one length.
pub(super) fn stretches(timeline: &Timeline, most: u64) -> Option<Stretches> {
    let interval_seconds = timeline.interval_seconds.filter(|seconds| *seconds > 0)?;
    let interval_ns = i64::try_from(interval_seconds).ok()?.checked_mul(SECOND_NS)?.unsigned_abs();
    let counted =
        |row: &&IntervalRow| [row.encrypted, row.unknown, row.plaintext].iter().any(|units| units.wire_bytes > 0);
    let starts = timeline.intervals.iter().filter(counted).map(|row| Some((time::parse(&row.start).ok()?, row)));
    let mut rows: Vec<(i64, &IntervalRow)> = starts.collect::<Option<_>>()?;
    rows.sort_by_key(|(start, _)| *start);
    let (first, last) = (rows.first()?.0, rows.last()?.0);
    let step = (last.abs_diff(first) / interval_ns + 1).div_ceil(most.max(1));
    let step = readable(interval_seconds.saturating_mul(step), interval_seconds) / interval_seconds;
    let mut list: Vec<Stretch> = Vec::new();
    for (start_ns, row) in rows {
        let place = start_ns.abs_diff(first) / interval_ns / step;
        if list.last().is_none_or(|stretch| stretch.place != place) {
            let late = start_ns.abs_diff(first) % interval_ns.saturating_mul(step).max(1);
            let start_ns = start_ns.saturating_sub(i64::try_from(late).unwrap_or_default());
            list.push(Stretch { place, start_ns, ..Stretch::default() });
        }
        if let Some(stretch) = list.last_mut() {
            stretch.add(row);
        }
    }
    Some(Stretches { seconds: interval_seconds.saturating_mul(step), list })
}

/// `2018-08-01 14:00:00`.
pub(super) fn clock(nanoseconds: i64) -> String {
    time::format(nanoseconds).replace('T', " ").trim_end_matches('Z').to_owned()
}

/// At least so many `seconds`, in whole days, hours or minutes where there are several and intervals allow.
fn readable(seconds: u64, interval_seconds: u64) -> u64 {
    let fits = |unit: &u64| seconds >= 2 * unit && unit.is_multiple_of(interval_seconds);
    [86_400, 3600, 60].into_iter().find(fits).map_or(seconds, |unit| seconds.div_ceil(unit).saturating_mul(unit))
}

/// Seconds in the largest unit that divides them.
pub(super) fn length(seconds: u64) -> String {
    let units = [(86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")];
    let (size, unit) = units.into_iter().find(|(size, _)| seconds.is_multiple_of(*size)).unwrap_or((1, "second"));
    super::number::counted(seconds / size, unit)
}

/// The sums of `timeline`; `policies` in the order of its rows.
pub(super) fn sums(timeline: &Timeline, policies: Vec<PolicyName>) -> Result<crate::tally::Timeline, String> {
    let steps = match (timeline.interval_seconds, timeline.asked_seconds) {
        (None, _) => Steps::Mixed,
        (Some(_), None) => Steps::Automatic,
        (Some(_), Some(seconds)) => Steps::Every(seconds),
    };
    let Some(seconds) = timeline.interval_seconds else { return Ok(crate::tally::Timeline::new(Steps::Mixed)) };
    let length_ns = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(SECOND_NS);
    let level = (0..=u8::MAX).find(|level| steps.length_ns(*level) == length_ns);
    let level = level.ok_or_else(|| format!("`timeline`: no interval of this program has {seconds} seconds"))?;
    let mut intervals = BTreeMap::new();
    for row in &timeline.intervals {
        let start = time::parse(&row.start)?;
        if steps.start_ns(level, start) != start || intervals.insert(start, interval(row)?).is_some() {
            return Err(format!("`timeline`: {} is not the start of an interval, or is there twice", row.start));
        }
    }
    Ok(crate::tally::Timeline::restored(steps, level, policies, intervals))
}

fn interval(row: &IntervalRow) -> Result<Interval, String> {
    let mut classes = ByClass::default();
    for (class, units) in Class::ALL.into_iter().zip([row.encrypted, row.plaintext, row.unknown, row.control]) {
        classes[class] = units;
    }
    let versions = row.versions.iter().map(|version| Ok((super::restore::code(&version.code)?, version.flows)));
    Ok(Interval {
        classes,
        undecoded: Counts { packets: row.undecoded.packets, wire_bytes: row.undecoded.wire_bytes, payload_bytes: 0 },
        levels: row.strength.iter().map(|row| [row.strong, row.acceptable, row.weak, row.broken]).collect(),
        versions: versions.collect::<Result<_, String>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_have_lengths_that_people_read() {
        let cases = [
            (19_269_645, 1, "224 days"),
            (7, 1, "7 seconds"),
            (119, 1, "119 seconds"),
            (126, 1, "3 minutes"),
            (3_600, 60, "1 hour"),
            (7_201, 1, "3 hours"),
            (140, 7, "140 seconds"),
        ];
        for (seconds, interval_seconds, want) in cases {
            let found = readable(seconds, interval_seconds);
            assert_eq!(length(found), want, "{seconds} s in intervals of {interval_seconds} s");
            assert!(found >= seconds && found.is_multiple_of(interval_seconds));
        }
    }
}
