//! What weakens encryption in these captures, in plain words, with what to do about it.

use std::collections::BTreeMap;

use super::layout::{Finding, FindingRow};
use crate::grade::finding;
use crate::model::Units;
use crate::tally::{FindingKey, Tally};

/// The findings of `tally`, worst first, within a level those with most flows.
pub(super) fn of(tally: &Tally) -> Vec<Finding> {
    let mut by_id: BTreeMap<&str, Vec<(&FindingKey, &Units)>> = BTreeMap::new();
    for (key, units) in &tally.findings {
        by_id.entry(key.id).or_default().push((key, units));
    }
    let mut found: Vec<_> = finding::all().iter().filter_map(|kind| Some((kind, by_id.remove(kind.id)?))).collect();
    let flows = |rows: &[(&FindingKey, &Units)]| rows.iter().map(|(_, units)| units.flows).sum::<u64>();
    found.sort_by_key(|(kind, rows)| (kind.concern, std::cmp::Reverse(flows(rows))));
    found
        .into_iter()
        .map(|(kind, rows)| {
            let mut totals = Units::default();
            rows.iter().for_each(|(_, units)| totals.merge(units));
            let row = |(key, units): (&FindingKey, &Units)| FindingRow {
                protocol: key.protocol.to_string(),
                evidence: key.evidence.name().to_owned(),
                totals: *units,
            };
            Finding {
                id: kind.id.to_owned(),
                severity: kind.concern.name().to_owned(),
                what: kind.what.to_owned(),
                advice: kind.advice.to_owned(),
                source: kind.source.to_owned(),
                totals,
                rows: rows.into_iter().map(row).collect(),
            }
        })
        .collect()
}
