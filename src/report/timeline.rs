//! The timeline: from sums by interval to rows, and back.

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
