//! Sums of verdicts by policy, level and rule.
//!
//! While flows are added, policies and rules are numbers: their places in the list of policies in use. Once all flows are
//! in, [`Strength::name_policies`] gives them their names, under which reports of different runs merge. What is encrypted
//! and has no verdict is ungraded, so that sum is not kept: it is the encrypted total less the graded part.

use std::collections::BTreeMap;

use super::ByLevel;
use crate::grade::{Level, Policy, Rule, Verdict};
use crate::model::{Class, Counts, Units};

/// Verdicts of all policies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strength {
    /// Under their names.
    pub policies: BTreeMap<PolicyName, Graded>,
    /// Not yet named: by the place of the policy, then of the rule.
    unnamed: Vec<Unnamed>,
}

/// Which policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyName {
    /// Its short name.
    pub name: String,
    /// Its edition.
    pub version: String,
    /// The day whose rules were applied, `YYYY-MM-DD`; `None` when the latest edition has no date.
    pub date: Option<String>,
}

/// Sums of one policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graded {
    /// Encrypted flows by level; `ungraded` stays zero.
    pub levels: ByLevel<Units>,
    /// Flows that the policy grades although their class is plaintext: encryption in name only.
    pub in_name_only: Units,
    /// Flows to which each rule applied. A flow counts under every rule that applied to it.
    pub rules: BTreeMap<RuleText, Units>,
}

/// A rule, as a report shows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleText {
    /// Identifier, unique within the policy.
    pub id: String,
    /// The level that it sets.
    pub level: Level,
    /// Why, in one sentence.
    pub reason: String,
    /// The document and section that says so.
    pub source: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Unnamed {
    levels: ByLevel<Units>,
    in_name_only: Units,
    rules: Vec<Units>,
}

impl Strength {
    /// Adds the verdicts on `flows` that are alike, in the order of the policies in use.
    pub(super) fn add(&mut self, class: Class, verdicts: &[Verdict], flows: u64, counts: Counts) {
        if verdicts.is_empty() {
            return;
        }
        if self.unnamed.len() < verdicts.len() {
            self.unnamed.resize_with(verdicts.len(), Unnamed::default);
        }
        for (sums, verdict) in self.unnamed.iter_mut().zip(verdicts) {
            match (class, verdict.level) {
                (_, Level::Ungraded) => {}
                (Class::Encrypted, level) => sums.levels[level].add_flows(flows, counts),
                _ => sums.in_name_only.add_flows(flows, counts),
            }
            for rule in &verdict.rules {
                let place = usize::from(*rule);
                if sums.rules.len() <= place {
                    sums.rules.resize(place + 1, Units::default());
                }
                sums.rules[place].add_flows(flows, counts);
            }
        }
    }

    /// Moves the sums under the names of `policies`, which are in the order of the verdicts.
    pub(super) fn name_policies(&mut self, policies: &[Policy]) {
        let mut unnamed = std::mem::take(&mut self.unnamed).into_iter();
        for policy in policies {
            let graded = self.policies.entry(PolicyName::of(policy)).or_default();
            let Some(sums) = unnamed.next() else { continue };
            graded.levels.merge(&sums.levels);
            graded.in_name_only.merge(&sums.in_name_only);
            for (rule, units) in policy.rules().iter().zip(sums.rules) {
                if units != Units::default() {
                    graded.rules.entry(text(rule)).or_default().merge(&units);
                }
            }
        }
    }

    /// Adds all of `other`.
    pub(super) fn merge(&mut self, other: Self) {
        for (name, graded) in other.policies {
            self.policies.entry(name).or_default().merge(graded);
        }
        if self.unnamed.len() < other.unnamed.len() {
            self.unnamed.resize_with(other.unnamed.len(), Unnamed::default);
        }
        for (sums, more) in self.unnamed.iter_mut().zip(other.unnamed) {
            sums.levels.merge(&more.levels);
            sums.in_name_only.merge(&more.in_name_only);
            if sums.rules.len() < more.rules.len() {
                sums.rules.resize(more.rules.len(), Units::default());
            }
            for (rule, units) in sums.rules.iter_mut().zip(&more.rules) {
                rule.merge(units);
            }
        }
    }
}

impl PolicyName {
    /// The name of `policy`.
    #[must_use]
    pub fn of(policy: &Policy) -> Self {
        let date = policy.date().map(|date| date.to_string());
        Self { name: policy.name().to_owned(), version: policy.version().to_owned(), date }
    }
}

impl Graded {
    fn merge(&mut self, other: Self) {
        self.levels.merge(&other.levels);
        self.in_name_only.merge(&other.in_name_only);
        super::merge_units(&mut self.rules, other.rules);
    }
}

fn text(rule: &Rule) -> RuleText {
    RuleText { id: rule.id.clone(), level: rule.level, reason: rule.reason.clone(), source: rule.source.clone() }
}
