//! A report held against rules: thresholds, findings, protocols in clear, a baseline.
//!
//! A gate must not pass on what it could not see. So `min_encrypted` judges the lower bound of the encrypted share, where
//! everything unknown counts as not encrypted, and a figure that does not exist (no traffic, nothing graded) fails its rule.
//! `max_plaintext` judges what was recognised in clear; the unknown rest has its own limit, `max_unknown`, as the ungraded
//! rest beside the weak share has `max_ungraded`. Shares are compared as exact fractions, not as rounded figures.

mod baseline;
pub mod junit;
mod protocols;
mod rules;
pub mod sarif;

pub use rules::{CheckRules, CheckUnit, Percent};

use std::cmp::Ordering;

use super::definition::Definition;
use super::layout::{Bounds, ClassTotals, Levels, PolicyStrength, Report, Share};
use crate::error::{Error, Result};
use crate::grade::finding;
use crate::model::Units;

/// What came of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Which rule, for example `min-encrypted` or `no-plaintext`.
    pub rule: &'static str,
    /// What the rule is about, where there are several of its kind: a protocol, a finding, a policy.
    pub about: Option<String>,
    /// Whether it holds.
    pub passed: bool,
    /// The figure and its bounds, in one line.
    pub line: String,
}

impl Checked {
    fn new(rule: &'static str, passed: bool, line: String) -> Self {
        Self { rule, about: None, passed, line }
    }

    fn about(mut self, what: &str) -> Self {
        self.about = Some(what.to_owned());
        self
    }

    /// `no-plaintext http`.
    #[must_use]
    pub fn name(&self) -> String {
        self.about.as_ref().map_or_else(|| self.rule.to_owned(), |about| format!("{} {about}", self.rule))
    }
}

/// Holds `report` against `rules`, and against `baseline` where there is one.
///
/// # Errors
/// When a rule cannot be applied: it names a finding or policy that there is not, or the baseline was made by another
/// definition.
pub fn check(report: &Report, rules: &CheckRules, baseline: Option<&Report>) -> Result<Vec<Checked>> {
    let mut checked = Vec::new();
    thresholds(report, rules, &mut checked);
    let policies = policies(report, rules)?;
    for policy in &policies {
        weakness(policy, rules, &mut checked);
    }
    for id in &rules.no_finding {
        checked.extend(no_finding(report, id)?);
    }
    for name in &rules.no_plaintext {
        checked.push(plaintext(report, name)?);
    }
    if let Some(baseline) = baseline {
        let changed = Definition::changes(&baseline.definition, &report.definition);
        if !changed.is_empty() {
            let what =
                format!("another definition than the report's ({}); figures cannot be compared", changed.join(", "));
            return Err(Error::usage("--baseline", what));
        }
        baseline::compare(report, baseline, rules, &mut checked);
    }
    Ok(checked)
}

fn thresholds(report: &Report, rules: &CheckRules, checked: &mut Vec<Checked>) {
    let unit = rules.unit.unwrap_or_default();
    let parts = Parts::new(&report.coverage.totals.classes, unit);
    let bounds = bounds_of(unit.of(&report.coverage.by_unit));
    if let Some(least) = rules.min_encrypted {
        let share = Fraction { part: parts.encrypted, whole: parts.whole };
        checked.push(at_least("min-encrypted", share, least, &format!("of {} are encrypted", unit.words()), &bounds));
    }
    for (rule, most, part, what) in [
        ("max-plaintext", rules.max_plaintext, parts.plaintext, "recognised in clear"),
        ("max-unknown", rules.max_unknown, parts.unknown, "unknown"),
    ] {
        if let Some(most) = most {
            let share = Fraction { part, whole: parts.whole };
            let beside = match rule {
                "max-plaintext" => {
                    let worst = Fraction { part: part + parts.unknown, whole: parts.whole };
                    format!("bounds {} to {}", share.rounded(), worst.rounded())
                }
                _ => bounds.clone(),
            };
            checked.push(at_most(rule, share, most, &format!("of {} are {what}", unit.words()), &beside));
        }
    }
}

fn weakness(policy: &PolicyStrength, rules: &CheckRules, checked: &mut Vec<Checked>) {
    let unit = rules.unit.unwrap_or_default();
    let Graded { bad, graded, all } = Graded::new(&policy.levels, unit);
    let ungraded = Fraction { part: all - graded, whole: all };
    if let Some(most) = rules.max_weak {
        let what = format!("of graded {} are weak or broken under {}", unit.words(), policy.policy);
        let beside = format!("{} of encrypted {} ungraded", ungraded.rounded(), unit.words());
        let share = Fraction { part: bad, whole: graded };
        checked.push(at_most("max-weak", share, most, &what, &beside).about(&policy.policy));
    }
    if let Some(most) = rules.max_ungraded {
        let what = format!("of encrypted {} are ungraded under {}", unit.words(), policy.policy);
        checked.push(at_most("max-ungraded", ungraded, most, &what, "exact").about(&policy.policy));
    }
}

/// The policies that the rules about strength speak of.
fn policies<'a>(report: &'a Report, rules: &CheckRules) -> Result<Vec<&'a PolicyStrength>> {
    let all = report.strength.iter();
    let found: Vec<_> = all.filter(|policy| rules.policy.as_ref().is_none_or(|name| *name == policy.policy)).collect();
    let wanted = rules.policy.is_some() || rules.max_weak.is_some() || rules.max_ungraded.is_some();
    if wanted && found.is_empty() {
        let known: Vec<&str> = report.strength.iter().map(|policy| policy.policy.as_str()).collect();
        let what = match known.as_slice() {
            [] => "the report was graded under no policy".to_owned(),
            known => format!("the report was graded under {} only", known.join(", ")),
        };
        return Err(Error::usage("--policy", what));
    }
    Ok(found)
}

/// A finding that must not be there; `any` stands for all of them but notes, which are no weakness.
fn no_finding(report: &Report, id: &str) -> Result<Vec<Checked>> {
    let known: Vec<&str> = finding::all().iter().map(|kind| kind.id).collect();
    let there = |id: &str| report.findings.iter().find(|finding| finding.id == id);
    if id == "any" {
        let weaknesses = report.findings.iter().filter(|finding| !is_note(finding));
        let mut found: Vec<_> = weaknesses.map(|finding| found_line(&finding.id, Some(finding))).collect();
        if found.is_empty() {
            found.push(Checked::new("no-finding", true, "nothing was found".to_owned()).about("any"));
        }
        return Ok(found);
    }
    if there(id).is_none() && !known.contains(&id) {
        let what = format!("{id:?} is no finding; expected any, {}", known.join(", "));
        return Err(Error::usage("--no-finding", what));
    }
    Ok(vec![found_line(id, there(id))])
}

/// Whether a finding is only good to know: it must be asked for by name.
fn is_note(finding: &super::layout::Finding) -> bool {
    finding.severity == finding::Concern::Note.name()
}

fn found_line(id: &str, finding: Option<&super::layout::Finding>) -> Checked {
    let line = finding
        .map_or_else(|| "not found".to_owned(), |finding| format!("{}: {}", finding.what, amount(&finding.totals)));
    Checked::new("no-finding", finding.is_none(), line).about(id)
}

/// A protocol that must not be seen in clear; `any` stands for all of them.
fn plaintext(report: &Report, name: &str) -> Result<Checked> {
    let known = protocols::known();
    if name != "any" && !known.contains(name) && !report.protocols.iter().any(|row| row.name == name) {
        let what = match protocols::nearest(name, &known).as_slice() {
            [] => format!("no protocol is called {name:?}"),
            near => format!("no protocol is called {name:?}; did you mean {}?", near.join(", ")),
        };
        return Err(Error::usage("--no-plaintext", what));
    }
    let rows = report.protocols.iter().filter(|row| row.class == "plaintext" && (name == "any" || row.name == name));
    let mut total = Units::default();
    let mut names = Vec::new();
    for row in rows {
        total.merge(&row.totals);
        names.push(row.name.as_str());
    }
    let line = match names.as_slice() {
        [] => "not seen in clear".to_owned(),
        names => format!("{} in clear: {}", names.join(", "), amount(&total)),
    };
    Ok(Checked::new("no-plaintext", names.is_empty(), line).about(name))
}

fn amount(units: &Units) -> String {
    let Units { flows, packets, wire_bytes, .. } = units;
    format!("{flows} flows, {packets} packets, {wire_bytes} wire bytes")
}

fn at_least(rule: &'static str, share: Fraction, least: Percent, what: &str, beside: &str) -> Checked {
    let order = share.compare(least);
    let passed = matches!(order, Some(Ordering::Greater | Ordering::Equal));
    Checked::new(rule, passed, line(share, what, passed, format!("at least {least} asked"), beside, Round::Down))
}

fn at_most(rule: &'static str, share: Fraction, most: Percent, what: &str, beside: &str) -> Checked {
    let order = share.compare(most);
    let passed = matches!(order, Some(Ordering::Less | Ordering::Equal));
    Checked::new(rule, passed, line(share, what, passed, format!("at most {most} allowed"), beside, Round::Up))
}

fn line(share: Fraction, what: &str, passed: bool, asked: String, beside: &str, round: Round) -> String {
    // A figure on the wrong side of its limit is never rounded onto the limit.
    let figure = if passed { share.rounded() } else { share.shown(round) };
    match share.whole {
        0 => format!("there is nothing to judge ({asked})"),
        _ => format!("{figure} {what}, {asked} ({beside})"),
    }
}

/// The bounds and the error bar of the encrypted share.
fn bounds_of(share: &Share) -> String {
    let Bounds { lower, upper, .. } = Bounds { value: share.value, lower: share.lower, upper: share.upper };
    let percent = super::number::percent;
    let mut text = format!("encrypted bounds {} to {}", percent(lower), percent(upper));
    if let Some([low, high]) = share.ci95 {
        text += &format!(", 95% interval {} to {}", percent(Some(low)), percent(Some(high)));
    }
    text
}

/// The classes that the shares count, in one unit.
struct Parts {
    encrypted: u64,
    plaintext: u64,
    unknown: u64,
    whole: u64,
}

impl Parts {
    fn new(classes: &ClassTotals, unit: CheckUnit) -> Self {
        let [encrypted, plaintext, unknown] =
            [&classes.encrypted, &classes.plaintext, &classes.unknown].map(|units| unit.count(units));
        Self { encrypted, plaintext, unknown, whole: encrypted + plaintext + unknown }
    }
}

/// Levels in one unit.
struct Graded {
    bad: u64,
    graded: u64,
    all: u64,
}

impl Graded {
    fn new(levels: &Levels, unit: CheckUnit) -> Self {
        let bad = unit.count(&levels.weak) + unit.count(&levels.broken);
        let graded = bad + unit.count(&levels.strong) + unit.count(&levels.acceptable);
        Self { bad, graded, all: graded + unit.count(&levels.ungraded) }
    }
}

/// A share before it is rounded.
#[derive(Clone, Copy, Debug)]
struct Fraction {
    part: u64,
    whole: u64,
}

#[derive(Clone, Copy)]
enum Round {
    Down,
    Up,
}

impl Fraction {
    /// How the share stands to `limit`; `None` when there is nothing to divide by.
    fn compare(self, limit: Percent) -> Option<Ordering> {
        let left = u128::from(self.part) * u128::from(Percent::WHOLE);
        (self.whole > 0).then(|| left.cmp(&(u128::from(self.whole) * u128::from(limit.millionths()))))
    }

    fn rounded(self) -> String {
        super::number::percent(super::ratio(self.part, self.whole))
    }

    /// With one decimal, or as many more as it takes to be told from the limits that people set.
    fn shown(self, round: Round) -> String {
        let scaled = u128::from(self.part) * u128::from(Percent::WHOLE);
        let whole = u128::from(self.whole.max(1));
        let millionths = match round {
            Round::Down => scaled / whole,
            Round::Up => scaled.div_ceil(whole),
        };
        Percent::of_millionths(u32::try_from(millionths).unwrap_or(Percent::WHOLE)).to_string()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;
    use crate::tally::testing::office_tally;

    fn percent(text: &str) -> Option<Percent> {
        Some(text.parse().unwrap())
    }

    /// The office: 29,200 encrypted, 15,800 plaintext, 10,000 unknown wire bytes; 6, 3 and 2 flows; 19,200 bytes graded, of
    /// which 5,000 broken; 10,000 ungraded.
    fn office() -> Report {
        Report::new(&office_tally())
    }

    fn one(rules: CheckRules) -> Checked {
        let mut checked = check(&office(), &rules, None).unwrap();
        assert_eq!(checked.len(), 1, "{checked:?}");
        checked.remove(0)
    }

    #[test]
    fn thresholds_by_hand() {
        let rules = CheckRules::default;
        let flows = Some(CheckUnit::Flows);
        let cases = [
            // 29,200 / 55,000 = 53.0909...%
            ("just enough", CheckRules { min_encrypted: percent("53.0909%"), ..rules() }, true, "53.1% of wire bytes"),
            (
                "just short",
                CheckRules { min_encrypted: percent("53.0910%"), ..rules() },
                false,
                "53.0909% of wire bytes",
            ),
            (
                "unknown counts against",
                CheckRules { min_encrypted: percent("71%"), ..rules() },
                false,
                "53.1% to 71.3%",
            ),
            // 6 / 11 flows = 54.545...%
            ("flows", CheckRules { min_encrypted: percent("54.54%"), unit: flows, ..rules() }, true, "54.5% of flows"),
            // 15,800 / 55,000 = 28.7272...%; with the unknown 46.909...%
            ("clear", CheckRules { max_plaintext: percent("28.7273%"), ..rules() }, true, "bounds 28.7% to 46.9%"),
            ("too clear", CheckRules { max_plaintext: percent("28.7272%"), ..rules() }, false, "28.7273% of wire"),
            ("unknown", CheckRules { max_unknown: percent("18.1819%"), ..rules() }, true, "18.2% of wire bytes"),
            // 5,000 / 19,200 = 26.0416...%; 10,000 of 29,200 = 34.2% ungraded
            (
                "weak",
                CheckRules { max_weak: percent("26.0417%"), ..rules() },
                true,
                "34.2% of encrypted wire bytes ungraded",
            ),
            ("weaker", CheckRules { max_weak: percent("26.0416%"), ..rules() }, false, "26.0417% of graded"),
            ("ungraded", CheckRules { max_ungraded: percent("30%"), ..rules() }, false, "34.2466% of encrypted"),
            ("telnet", CheckRules { no_plaintext: vec!["telnet".into()], ..rules() }, true, "not seen in clear"),
            (
                "http",
                CheckRules { no_plaintext: vec!["http".into()], ..rules() },
                false,
                "http in clear: 1 flows, 30 packets",
            ),
            ("login", CheckRules { no_finding: vec!["login_in_clear".into()], ..rules() }, true, "not found"),
            ("web", CheckRules { no_finding: vec!["web_in_clear".into()], ..rules() }, false, "5000 wire bytes"),
        ];
        for (name, rules, passed, want) in cases {
            let checked = one(rules);
            assert_eq!(checked.passed, passed, "{name}: {checked:?}");
            assert!(checked.line.contains(want), "{name}: {}", checked.line);
            assert!(!checked.line.contains('\n'), "{name}");
        }
    }

    #[test]
    fn nothing_to_judge_is_no_success() {
        let empty = Report::new(&crate::tally::Tally::default());
        let rules = CheckRules {
            min_encrypted: percent("0%"),
            max_plaintext: percent("100%"),
            max_unknown: percent("100%"),
            ..CheckRules::default()
        };
        let checked = check(&empty, &rules, None).unwrap();
        assert_eq!(checked.len(), 3);
        assert!(checked.iter().all(|rule| !rule.passed && rule.line.contains("nothing to judge")), "{checked:?}");
    }

    #[test]
    fn rules_that_cannot_be_applied_are_mistakes() {
        let cases = [
            (CheckRules { no_finding: vec!["web_in_claer".into()], ..CheckRules::default() }, "web_in_clear"),
            (CheckRules { no_plaintext: vec!["htpp".into()], ..CheckRules::default() }, "\"htpp\"; did you mean http"),
            (CheckRules { no_plaintext: vec!["qqqqqqqq".into()], ..CheckRules::default() }, "no protocol is called"),
            (
                CheckRules { policy: Some("bsi".into()), max_weak: percent("1%"), ..CheckRules::default() },
                "bcp195 only",
            ),
        ];
        for (rules, want) in cases {
            let error = check(&office(), &rules, None).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
    }
}
