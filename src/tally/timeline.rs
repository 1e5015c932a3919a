//! Sums by interval of time.
//!
//! Every packet belongs to the interval of its own time, also within a flow; a flow is counted in the interval in which it
//! began, a datagram that came in fragments in that of its last fragment. Intervals without a frame are not kept. Over all
//! intervals the sums are the totals.

use std::collections::BTreeMap;

use super::{ByClass, PolicyName, Sum};
use crate::grade::{Level, Policy, Verdict};
use crate::model::{Class, Counts, FlowPart, FlowSummary, Steps, Units};

/// Sums of all intervals that are not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    steps: Steps,
    level: u8,
    intervals: BTreeMap<i64, Interval>,
    /// The policies of [`Interval::levels`], sorted; empty until they are named.
    policies: Vec<PolicyName>,
}

/// Sums of one interval.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interval {
    /// Totals by class.
    pub classes: ByClass<Units>,
    /// Frames outside every share.
    pub undecoded: Counts,
    /// Graded encrypted traffic, for each policy by level: strong, acceptable, weak, broken.
    pub levels: Vec<[Sum; 4]>,
    /// Flows that began here, by negotiated TLS version; unknown code points under 0.
    pub versions: BTreeMap<u16, u64>,
}

/// Levels in the order of [`Interval::levels`].
pub const GRADED: [Level; 4] = [Level::Strong, Level::Acceptable, Level::Weak, Level::Broken];

/// Versions that have a name; traffic can invent others.
const VERSIONS: [u16; 9] = [0x0002, 0x0300, 0x0301, 0x0302, 0x0303, 0x0304, 0xfefc, 0xfefd, 0xfeff];

impl Timeline {
    /// No sums, in intervals of `steps`.
    #[must_use]
    pub fn new(steps: Steps) -> Self {
        Self { steps, ..Self::default() }
    }

    /// Sums that a report holds: intervals of `steps` at `level`, by start.
    #[must_use]
    pub fn restored(
        steps: Steps,
        level: u8,
        policies: Vec<PolicyName>,
        intervals: impl IntoIterator<Item = (i64, Interval)>,
    ) -> Self {
        let mut timeline = Self { steps, level, intervals: BTreeMap::new(), policies };
        for (start, interval) in intervals {
            timeline.at(start).merge(&interval);
        }
        timeline
    }

    /// The ladder of interval lengths.
    #[must_use]
    pub fn steps(&self) -> Steps {
        self.steps
    }

    /// Length of an interval. Unit: nanoseconds.
    #[must_use]
    pub fn length_ns(&self) -> i64 {
        self.steps.length_ns(self.level)
    }

    /// Intervals by their start, nanoseconds since 1970 UTC.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &Interval)> {
        self.intervals.iter().map(|(start, interval)| (*start, interval))
    }

    /// The policies of [`Interval::levels`].
    #[must_use]
    pub fn policies(&self) -> &[PolicyName] {
        &self.policies
    }

    /// Adds frames of no flow, or a part of one.
    pub fn add(&mut self, time_ns: i64, class: Class, counts: Counts) {
        self.at(time_ns).classes[class].add_flows(0, counts);
    }

    /// Adds frames that could not be read.
    pub fn add_undecoded(&mut self, time_ns: i64, counts: Counts) {
        self.at(time_ns).undecoded.add(counts);
    }

    /// Adds a flow; `verdicts` of a flow that counts as graded.
    pub(super) fn add_flow(&mut self, flow: &FlowSummary, verdicts: &[Verdict]) {
        for part in &flow.parts {
            self.at(part.time_ns).add(flow.class, part, verdicts);
        }
        let interval = self.at(flow.first_ns);
        if flow.parts.is_empty() {
            let whole = FlowPart { time_ns: flow.first_ns, counts: flow.total(), readable: flow.readable };
            interval.add(flow.class, &whole, verdicts);
        }
        interval.classes[flow.class].flows += 1;
        if flow.class == Class::Encrypted {
            interval.grade(verdicts, Sum { flows: 1, wire_bytes: 0 });
        }
        if let Some(version) = flow.facts.as_ref().and_then(|facts| facts.tls.as_deref()).and_then(|tls| tls.version) {
            let version = if VERSIONS.contains(&version) { version } else { 0 };
            *interval.versions.entry(version).or_default() += 1;
        }
    }

    /// Takes no finer step than `level`: some sums that were added are no finer.
    pub fn coarsen(&mut self, level: u8) {
        if level <= self.level {
            return;
        }
        self.level = level;
        for (time_ns, interval) in std::mem::take(&mut self.intervals) {
            let start = self.steps.start_ns(level, time_ns);
            self.intervals.entry(start).or_default().merge(&interval);
        }
    }

    /// Adds all of `other`. Unlike intervals cannot be joined; the result then has none.
    pub(super) fn merge(&mut self, other: Self) {
        if self.steps != other.steps {
            let empty = |timeline: &Self| timeline.intervals.is_empty() && timeline.steps != Steps::Mixed;
            match (empty(self), empty(&other)) {
                (_, true) if !empty(self) || self.steps > other.steps => return,
                (true, _) => *self = other,
                _ => *self = Self::new(Steps::Mixed),
            }
            return;
        }
        self.coarsen(other.level);
        let places = self.join_policies(&other.policies);
        for (start, mut interval) in other.intervals {
            interval.move_levels(&places, self.policies.len());
            self.at(start).merge(&interval);
        }
    }

    /// Gives the levels the names of `policies`, which are in the order of the verdicts.
    pub(super) fn name_policies(&mut self, policies: &[Policy]) {
        let names: Vec<PolicyName> = policies.iter().map(PolicyName::of).collect();
        let mut sorted = names.clone();
        sorted.sort();
        let places: Vec<usize> = names.iter().filter_map(|name| sorted.binary_search(name).ok()).collect();
        self.intervals.values_mut().for_each(|interval| interval.move_levels(&places, sorted.len()));
        self.policies = sorted;
    }

    /// Makes room for more policies; gives the place of each.
    fn join_policies(&mut self, more: &[PolicyName]) -> Vec<usize> {
        let mut all = self.policies.clone();
        all.extend(more.iter().filter(|name| !self.policies.contains(name)).cloned());
        all.sort();
        let place = |name: &PolicyName| all.binary_search(name).unwrap_or_default();
        let (ours, theirs): (Vec<_>, Vec<_>) =
            (self.policies.iter().map(place).collect(), more.iter().map(place).collect());
        self.intervals.values_mut().for_each(|interval| interval.move_levels(&ours, all.len()));
        self.policies = all;
        theirs
    }

    /// The interval of `time_ns`.
    fn at(&mut self, time_ns: i64) -> &mut Interval {
        if self.intervals.len() >= self.steps.most() {
            self.make_room(time_ns);
        }
        self.intervals.entry(self.steps.start_ns(self.level, time_ns)).or_default()
    }

    /// Takes coarser steps if the interval of `time_ns` would be one too many.
    #[cold]
    fn make_room(&mut self, time_ns: i64) {
        self.intervals.entry(self.steps.start_ns(self.level, time_ns)).or_default();
        while self.intervals.len() > self.steps.most() && self.level < u8::MAX {
            self.coarsen(self.level + 1);
        }
    }
}

impl Interval {
    /// Adds a part of a flow of this class.
    fn add(&mut self, class: Class, part: &FlowPart, verdicts: &[Verdict]) {
        if class != Class::Encrypted {
            self.classes[class].add_flows(0, part.counts);
            return;
        }
        let rest = part.counts.without(part.readable);
        self.classes[class].add_flows(0, rest);
        self.classes[Class::Plaintext].add_flows(0, part.readable);
        self.grade(verdicts, Sum { flows: 0, wire_bytes: rest.wire_bytes });
    }

    fn grade(&mut self, verdicts: &[Verdict], sum: Sum) {
        for (policy, verdict) in verdicts.iter().enumerate() {
            let Some(place) = GRADED.iter().position(|level| *level == verdict.level) else { continue };
            if self.levels.len() < verdicts.len() {
                self.levels.resize(verdicts.len(), Default::default());
            }
            add(&mut self.levels[policy][place], sum);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.classes.merge(&other.classes);
        self.undecoded.add(other.undecoded);
        if self.levels.len() < other.levels.len() {
            self.levels.resize(other.levels.len(), Default::default());
        }
        for (levels, more) in self.levels.iter_mut().zip(&other.levels) {
            levels.iter_mut().zip(more).for_each(|(sum, more)| add(sum, *more));
        }
        for (version, flows) in &other.versions {
            *self.versions.entry(*version).or_default() += flows;
        }
    }

    /// Puts the levels of policy number `i` at `places[i]` of `count`; levels without a name stay where they are.
    fn move_levels(&mut self, places: &[usize], count: usize) {
        if self.levels.is_empty() || places.is_empty() {
            return;
        }
        let mut moved = vec![<[Sum; 4]>::default(); count];
        for (levels, place) in std::mem::take(&mut self.levels).into_iter().zip(places) {
            moved[*place] = levels;
        }
        self.levels = moved;
    }
}

fn add(sum: &mut Sum, more: Sum) {
    sum.flows += more.flows;
    sum.wire_bytes += more.wire_bytes;
}

#[cfg(test)]
mod tests {
    use super::super::testing::{flow, office, office_tally};
    use super::*;
    use crate::model::{Evidence, Protocol};

    fn counts(wire_bytes: u64) -> Counts {
        Counts { packets: 1, wire_bytes, payload_bytes: 0 }
    }

    #[test]
    fn intervals_add_up_to_the_classes() {
        let tally = office_tally();
        for class in Class::ALL {
            let mut sum = Units::default();
            tally.timeline.iter().for_each(|(_, interval)| sum.merge(&interval.classes[class]));
            assert_eq!(sum, tally.class(class), "{}", class.name());
        }
        let versions: u64 = tally.timeline.iter().flat_map(|(_, interval)| interval.versions.values()).sum();
        let of_tls = office().into_iter().filter(|flow| {
            flow.facts.as_ref().and_then(|facts| facts.tls.as_deref()).is_some_and(|tls| tls.version.is_some())
        });
        assert_eq!(versions, of_tls.count() as u64);
        let graded = &tally.strength.policies.values().next().unwrap_or(&Default::default()).levels.clone();
        for (place, level) in GRADED.iter().enumerate() {
            let mut sum = Sum::default();
            tally.timeline.iter().for_each(|(_, interval)| {
                interval.levels.iter().for_each(|levels| add(&mut sum, levels[place]));
            });
            assert_eq!(
                (sum.flows, sum.wire_bytes),
                (graded[*level].flows, graded[*level].wire_bytes),
                "{}",
                level.name()
            );
        }
    }

    #[test]
    fn a_flow_counts_where_its_packets_were() {
        const SECOND: i64 = 1_000_000_000;
        let mut mail = flow(1, 25, Protocol::TLS, Class::Encrypted, Evidence::Handshake);
        mail.first_ns = 5 * SECOND + 3;
        mail.readable = Counts { packets: 3, wire_bytes: 300, payload_bytes: 0 };
        // 30 packets of 5,000 bytes in all: 10 in the first interval, of which 3 in clear, and 20 a minute later.
        let part = |time_ns, packets, wire_bytes, payload_bytes, clear: u64| FlowPart {
            time_ns,
            counts: Counts { packets, wire_bytes, payload_bytes },
            readable: Counts { packets: clear, wire_bytes: clear * 100, payload_bytes: 0 },
        };
        mail.parts = vec![part(5 * SECOND, 10, 1000, 500, 3), part(65 * SECOND, 20, 4000, 2000, 0)];
        let mut timeline = Timeline::new(Steps::Every(60));
        timeline.add_flow(&mail, &[]);
        let got: Vec<_> = timeline
            .iter()
            .map(|(start, interval)| {
                let [sealed, clear] = [Class::Encrypted, Class::Plaintext].map(|class| interval.classes[class]);
                (start / SECOND, sealed.flows, sealed.wire_bytes, clear.flows, clear.wire_bytes)
            })
            .collect();
        assert_eq!(got, [(0, 1, 700, 0, 300), (60, 0, 4000, 0, 0)]);
    }

    #[test]
    fn order_and_division_change_nothing() {
        // 150 seconds: too many for the first step of the ladder, 30 intervals on the second.
        let times: Vec<i64> = (0..150).map(|second| second * 1_000_000_000).collect();
        let sums = |times: &[i64]| {
            let mut timeline = Timeline::default();
            times.iter().for_each(|time| timeline.add(*time, Class::Unknown, counts(10)));
            timeline
        };
        let whole = sums(&times);
        assert_eq!((whole.length_ns(), whole.iter().count()), (5_000_000_000, 30));
        let turned: Vec<i64> = times.iter().rev().copied().collect();
        assert_eq!(sums(&turned), whole);
        for cut in [1, 75, 120, 149] {
            let (mut a, mut b) = (sums(&times[..cut]), sums(&times[cut..]));
            a.merge(b.clone());
            b.merge(sums(&times[..cut]));
            assert_eq!((&a, &b), (&whole, &whole), "cut at {cut}");
        }
    }

    #[test]
    fn one_stray_time_does_not_blur_the_rest() {
        let mut timeline = Timeline::default();
        for second in 1_500_000_000..1_500_000_060_i64 {
            timeline.add(second * 1_000_000_000, Class::Encrypted, counts(10));
        }
        timeline.add(0, Class::Encrypted, counts(10));
        assert_eq!((timeline.length_ns(), timeline.iter().count()), (1_000_000_000, 61));
    }

    #[test]
    fn unlike_intervals_are_not_joined() {
        let every = |seconds| {
            let mut timeline = Timeline::new(Steps::Every(seconds));
            timeline.add(0, Class::Unknown, counts(10));
            timeline
        };
        let mut mixed = every(60);
        mixed.merge(every(3600));
        assert_eq!(mixed, Timeline::new(Steps::Mixed));
        mixed.merge(every(60));
        assert_eq!(mixed, Timeline::new(Steps::Mixed));
        let mut kept = Timeline::default();
        kept.merge(every(60));
        assert_eq!(kept, every(60));
        kept.merge(Timeline::default());
        assert_eq!(kept, every(60));
    }
}
