//! A report against an earlier one: no share may be worse by more than the tolerance, and nothing new may be in clear.
//!
//! Shares are compared as they stand in both reports, in millionths, so that a reader of the two gets the same answer.

use super::{CheckRules, Checked, Fraction, Graded, Parts, Percent};
use crate::report::layout::Report;

pub(super) fn compare(report: &Report, baseline: &Report, rules: &CheckRules, checked: &mut Vec<Checked>) {
    let unit = rules.unit.unwrap_or_default();
    let tolerance = rules.tolerance.unwrap_or_default();
    let [now, before] = [report, baseline].map(|report| Parts::new(&report.coverage.totals.classes, unit));
    type Part = fn(&Parts) -> u64;
    let shares: [(&'static str, &str, Part, Better); 3] = [
        ("baseline-encrypted", "encrypted", |parts| parts.encrypted, Better::More),
        ("baseline-plaintext", "in clear", |parts| parts.plaintext, Better::Less),
        ("baseline-unknown", "unknown", |parts| parts.unknown, Better::Less),
    ];
    for (rule, what, part, better) in shares {
        let [now, before] = [&now, &before].map(|parts| Fraction { part: part(parts), whole: parts.whole });
        checked.push(judge(rule, &format!("of {} {what}", unit.words()), [now, before], better, tolerance));
    }
    weak_shares(report, baseline, rules, checked);
    let weaknesses = |report: &Report| {
        let findings = report.findings.iter().filter(|finding| !super::is_note(finding));
        findings.map(|finding| finding.id.clone()).collect::<Vec<_>>()
    };
    checked.push(nothing_new("baseline-findings", "finding", &weaknesses(report), &weaknesses(baseline)));
    let clear = |report: &Report| {
        let rows = report.protocols.iter().filter(|row| row.class == "plaintext");
        rows.map(|row| row.name.clone()).collect::<Vec<_>>()
    };
    checked.push(nothing_new("baseline-protocols", "protocol in clear", &clear(report), &clear(baseline)));
}

fn weak_shares(report: &Report, baseline: &Report, rules: &CheckRules, checked: &mut Vec<Checked>) {
    let unit = rules.unit.unwrap_or_default();
    for policy in
        report.strength.iter().filter(|policy| rules.policy.as_ref().is_none_or(|name| *name == policy.policy))
    {
        // The definitions are equal, policies included, so the baseline has the same.
        let Some(old) = baseline.strength.iter().find(|old| old.policy == policy.policy) else { continue };
        let weak = |levels| {
            let Graded { bad, graded, .. } = Graded::new(levels, unit);
            Fraction { part: bad, whole: graded }
        };
        let what = format!("of graded {} weak or broken under {}", unit.words(), policy.policy);
        let shares = [weak(&policy.levels), weak(&old.levels)];
        checked.push(
            judge("baseline-weak", &what, shares, Better::Less, rules.tolerance.unwrap_or_default())
                .about(&policy.policy),
        );
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Better {
    More,
    Less,
}

fn judge(rule: &'static str, what: &str, [now, before]: [Fraction; 2], better: Better, tolerance: Percent) -> Checked {
    let millionths =
        |share: Fraction| crate::report::ratio(share.part, share.whole).map(|share| (share * 1e6).round() as i64);
    let passed = match (millionths(now), millionths(before), better) {
        // What had no share before cannot have become worse.
        (_, None, _) => true,
        // A share that is gone is no evidence of anything bad in clear or weak, but none of encryption either.
        (None, Some(_), better) => better == Better::Less,
        (Some(now), Some(before), Better::More) => now + i64::from(tolerance.millionths()) >= before,
        (Some(now), Some(before), Better::Less) => now - i64::from(tolerance.millionths()) <= before,
    };
    let exactly = |share: Fraction| {
        millionths(share).map_or("-".to_owned(), |share| {
            Percent::of_millionths(u32::try_from(share).unwrap_or_default()).to_string()
        })
    };
    let line = format!("{} {what}, {} in the baseline, tolerance {tolerance}", exactly(now), exactly(before));
    Checked::new(rule, passed, line)
}

fn nothing_new(rule: &'static str, what: &str, now: &[String], before: &[String]) -> Checked {
    let mut fresh: Vec<&str> = now.iter().filter(|name| !before.contains(name)).map(String::as_str).collect();
    fresh.sort_unstable();
    fresh.dedup();
    let line = match fresh.as_slice() {
        [] => format!("no new {what}"),
        fresh => format!("new {what}: {}", fresh.join(", ")),
    };
    Checked::new(rule, fresh.is_empty(), line)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;
    use crate::model::{Class, Counts};
    use crate::report::check::check;
    use crate::tally::Tally;

    fn report(encrypted: u64, plaintext: u64, unknown: u64, name: &'static str) -> Report {
        let counts = |wire_bytes| Counts { packets: 1, wire_bytes, payload_bytes: 0 };
        let mut tally = Tally::default();
        tally.add_frames(Class::Encrypted, "macsec", counts(encrypted));
        tally.add_frames(Class::Plaintext, name, counts(plaintext));
        tally.add_frames(Class::Unknown, "unknown", counts(unknown));
        Report::new(&tally)
    }

    fn failed(now: &Report, before: &Report, tolerance: &str) -> Vec<&'static str> {
        let rules = CheckRules { tolerance: tolerance.parse().ok(), ..CheckRules::default() };
        let checked = check(now, &rules, Some(before)).unwrap();
        checked.into_iter().filter(|rule| !rule.passed).map(|rule| rule.rule).collect()
    }

    #[test]
    fn worse_by_more_than_the_tolerance_fails() {
        let before = report(700, 200, 100, "netbios");
        let none: Vec<&str> = Vec::new();
        let cases = [
            ("the same", report(700, 200, 100, "netbios"), "0%", none.clone()),
            ("better", report(800, 150, 50, "netbios"), "0%", none.clone()),
            ("one point worse, one allowed", report(690, 210, 100, "netbios"), "1%", none),
            (
                "one point worse",
                report(690, 210, 100, "netbios"),
                "0.9999%",
                vec!["baseline-encrypted", "baseline-plaintext"],
            ),
            (
                "hidden in unknown",
                report(690, 200, 110, "netbios"),
                "0.5%",
                vec!["baseline-encrypted", "baseline-unknown"],
            ),
            ("other protocol", report(700, 200, 100, "ah"), "0%", vec!["baseline-findings", "baseline-protocols"]),
            ("nothing left", Report::new(&Tally::default()), "5%", vec!["baseline-encrypted"]),
        ];
        for (name, now, tolerance, want) in cases {
            assert_eq!(failed(&now, &before, tolerance), want, "{name}");
        }
    }

    #[test]
    fn another_definition_is_refused() {
        let now = report(700, 200, 100, "netbios");
        let mut before = now.clone();
        before.definition.rounding = "shares are cut".to_owned();
        let error = check(&now, &CheckRules::default(), Some(&before)).unwrap_err().to_string();
        assert!(error.contains("rounding"), "{error}");
    }
}
