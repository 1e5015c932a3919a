//! Flows cut at the ends of intervals, for the timeline.
//!
//! The class of a flow is known when it closes, the time of its bytes when they come. A flow that stays within one interval
//! costs one comparison a packet and no memory. One that goes on into another leaves behind what it amounted to there.

use crate::model::{Counts, FlowPart, Side, Steps};

/// The interval that packets arrive in now, and how many there have been in this shard.
///
/// The shard sees some of the frames of the capture, so it never takes a coarser step than the capture as a whole will.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct Clock {
    steps: Steps,
    level: u8,
    /// Starts of the intervals seen, ascending, each with its number.
    seen: Vec<(i64, u32)>,
    /// A time within each interval, by its number.
    times: Vec<i64>,
    /// The interval now: from `start_ns` up to, not including, `end_ns`.
    start_ns: i64,
    end_ns: i64,
    /// The number of the interval now.
    now: u32,
}

impl Clock {
    pub(super) fn new(steps: Steps) -> Self {
        Self { steps, level: 0, seen: Vec::new(), times: Vec::new(), start_ns: 0, end_ns: 0, now: 0 }
    }

    pub(super) fn level(&self) -> u8 {
        self.level
    }

    /// Number of the interval of `time_ns`, which becomes the interval now.
    pub(super) fn tick(&mut self, time_ns: i64) -> u32 {
        if time_ns < self.start_ns || time_ns >= self.end_ns {
            self.turn(time_ns);
        }
        self.now
    }

    /// A time within the interval of this number.
    pub(super) fn time_ns(&self, interval: u32) -> i64 {
        self.times.get(interval as usize).copied().unwrap_or(self.start_ns)
    }

    #[cold]
    fn turn(&mut self, time_ns: i64) {
        let mut start = self.steps.start_ns(self.level, time_ns);
        if let Err(place) = self.seen.binary_search_by_key(&start, |(start, _)| *start) {
            self.seen.insert(place, (start, self.times.len() as u32));
            self.times.push(start);
            while self.seen.len() > self.steps.most() && self.level < u8::MAX {
                self.level += 1;
                let (steps, level) = (self.steps, self.level);
                self.seen.iter_mut().for_each(|(start, _)| *start = steps.start_ns(level, *start));
                self.seen.dedup_by_key(|(start, _)| *start);
                start = steps.start_ns(level, time_ns);
            }
        }
        let seen = self.seen.binary_search_by_key(&start, |(start, _)| *start);
        self.now = seen.ok().and_then(|place| self.seen.get(place)).map_or(0, |(_, number)| *number);
        self.start_ns = start;
        self.end_ns = start.saturating_add(self.steps.length_ns(self.level));
    }
}

/// The parts of a flow in the intervals that it has left.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct Parts {
    /// Sum of the parts, the low side first.
    counts: [Counts; 2],
    /// A time in the interval of the latest part.
    time_ns: i64,
    more: Option<Box<More>>,
}

/// What is kept of a flow that has left more than one interval, or was readable: few are.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct More {
    /// The parts before the latest.
    #[serde(with = "crate::model::kept::room")]
    earlier: Vec<FlowPart>,
    /// Sum of these.
    earlier_counts: Counts,
    /// What was readable in all parts.
    readable: Counts,
    /// What was readable in the latest.
    latest_readable: Counts,
}

impl Parts {
    /// A flow leaves its first interval, which began at `time_ns`, and in which both sides amounted to `left` and `readable` was
    /// in clear.
    pub(super) fn new(time_ns: i64, left: [Counts; 2], readable: Counts) -> Self {
        let mut parts = Self { counts: left, time_ns, more: None };
        parts.add_readable(readable);
        parts
    }

    /// Heap bytes held.
    pub(super) fn memory(&self) -> usize {
        let more =
            self.more.as_deref().map_or(0, |more| size_of::<More>() + more.earlier.capacity() * size_of::<FlowPart>());
        size_of::<Self>() + more
    }

    /// What one side amounts to in all of them.
    pub(super) fn counts(&self, side: Side) -> Counts {
        self.counts[side as usize]
    }

    /// The latest part.
    fn latest(&self) -> FlowPart {
        let [mut counts, high] = self.counts;
        counts.add(high);
        match self.more.as_deref() {
            None => FlowPart { time_ns: self.time_ns, counts, readable: Counts::default() },
            Some(more) => FlowPart {
                time_ns: self.time_ns,
                counts: counts.without(more.earlier_counts),
                readable: more.latest_readable,
            },
        }
    }

    fn add_readable(&mut self, readable: Counts) {
        if readable != Counts::default() {
            let more = self.more.get_or_insert_default();
            more.readable.add(readable);
            more.latest_readable.add(readable);
        }
    }

    /// The flow leaves the interval that began at `time_ns`: both sides amounted to `left` in it. Of the whole flow `readable`
    /// was in clear up to now.
    pub(super) fn leave(&mut self, time_ns: i64, left: [Counts; 2], readable: Counts, clock: &Clock) {
        if time_ns != self.time_ns {
            let latest = self.latest();
            self.more.get_or_insert_default().push(latest, clock);
            self.time_ns = time_ns;
        }
        self.counts.iter_mut().zip(left).for_each(|(sum, more)| sum.add(more));
        let before = self.more.as_deref().map_or(Counts::default(), |more| more.readable);
        self.add_readable(readable.without(before));
    }

    /// An upgrade: everything up to `readable` was in clear.
    pub(super) fn read_up_to(&mut self, readable: Counts) {
        let latest = self.latest();
        let more = self.more.get_or_insert_default();
        let mut left = readable;
        for part in &mut more.earlier {
            part.readable = least(part.counts, left);
            left = left.without(part.readable);
        }
        more.latest_readable = least(latest.counts, left);
        more.readable = readable.without(left.without(more.latest_readable));
    }

    /// All parts of a flow that ends in the interval that began at `time_ns`, with `latest` of both sides in it. They add up to
    /// the whole flow, and to `readable`.
    pub(super) fn finish(
        mut self,
        time_ns: i64,
        latest: [Counts; 2],
        readable: Counts,
        clock: &Clock,
    ) -> Vec<FlowPart> {
        self.leave(time_ns, latest, readable, clock);
        let latest = self.latest();
        let mut list = self.more.map_or(Vec::new(), |more| more.earlier);
        list.reserve_exact(1);
        list.push(latest);
        // No part is readable beyond what it is: what does not fit belongs to the parts before it, and if those are full,
        // to those after.
        let mut excess = Counts::default();
        for backwards in [true, false] {
            let mut settle = |part: &mut FlowPart| {
                let mut wanted = part.readable;
                wanted.add(excess);
                part.readable = least(part.counts, wanted);
                excess = wanted.without(part.readable);
            };
            match backwards {
                true => list.iter_mut().rev().for_each(&mut settle),
                false => list.iter_mut().for_each(&mut settle),
            }
        }
        list
    }
}

impl More {
    /// Adds a part, which is the latest no more.
    fn push(&mut self, part: FlowPart, clock: &Clock) {
        let earlier = &mut self.earlier;
        if earlier.len() == earlier.capacity() && earlier.len() >= 32 {
            // Those that lie in one interval by now are joined.
            for part in &mut *earlier {
                part.time_ns = clock.steps.start_ns(clock.level, part.time_ns);
            }
            earlier.sort_by_key(|part| part.time_ns);
            earlier.dedup_by(|later, earlier| {
                let same = later.time_ns == earlier.time_ns;
                if same {
                    add(earlier, later);
                }
                same
            });
        }
        if earlier.len() < 2 {
            earlier.reserve_exact(1);
        }
        earlier.push(part);
        self.earlier_counts.add(part.counts);
        self.latest_readable = Counts::default();
    }
}

fn add(part: &mut FlowPart, more: &FlowPart) {
    part.counts.add(more.counts);
    part.readable.add(more.readable);
}

/// The lesser of each unit.
fn least(a: Counts, b: Counts) -> Counts {
    Counts {
        packets: a.packets.min(b.packets),
        wire_bytes: a.wire_bytes.min(b.wire_bytes),
        payload_bytes: a.payload_bytes.min(b.payload_bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counts(packets: u64) -> Counts {
        Counts { packets, wire_bytes: packets * 100, payload_bytes: packets * 50 }
    }

    fn sum(parts: &[FlowPart], of: fn(&FlowPart) -> Counts) -> Counts {
        parts.iter().map(of).fold(Counts::default(), |mut sum, more| {
            sum.add(more);
            sum
        })
    }

    #[test]
    fn an_upgrade_in_a_later_interval_leaves_the_earlier_ones_in_clear() {
        let clock = Clock::new(Steps::Every(1));
        let mut parts = Parts::new(0, [counts(1), counts(2)], counts(0));
        parts.read_up_to(counts(5));
        parts.leave(1, [counts(6), counts(0)], counts(5), &clock);
        assert_eq!([Side::Low, Side::High].map(|side| parts.counts(side)), [counts(7), counts(2)]);
        let parts = parts.finish(2, [counts(1), counts(0)], counts(5), &clock);
        let got: Vec<_> = parts.iter().map(|part| (part.time_ns, part.counts.packets, part.readable.packets)).collect();
        assert_eq!(got, [(0, 3, 3), (1, 6, 2), (2, 1, 0)]);
    }

    #[test]
    fn the_clock_coarsens_with_the_intervals_seen() {
        let mut clock = Clock::new(Steps::Automatic);
        for second in 0..100 {
            let interval = clock.tick(second * 1_000_000_000 + 7);
            assert_eq!(clock.time_ns(interval), second * 1_000_000_000);
        }
        assert_eq!(clock.level(), 0);
        let interval = clock.tick(104_000_000_000);
        assert_eq!((interval, clock.start_ns), (100, 100_000_000_000), "101 seconds are 21 intervals of 5");
        assert_eq!((clock.level(), clock.seen.len()), (1, 21));
        let interval = clock.tick(3_000_000_000);
        assert_eq!((interval, clock.start_ns), (0, 0), "back in time");
    }

    proptest! {
        #[test]
        fn parts_add_up_whatever_comes(
            packets in prop::collection::vec((0_i64..400_000_000_000, 1_u64..5, 0_u64..8), 1..200),
            upgrade in 0_usize..200,
        ) {
            let mut clock = Clock::new(Steps::Automatic);
            let mut parts: Option<Parts> = None;
            let (mut total, mut readable) = (Counts::default(), Counts::default());
            let mut now = [Counts::default(); 2];
            let mut at = clock.tick(packets[0].0);
            for (number, (time, amount, clear)) in packets.iter().enumerate() {
                let start = clock.tick(*time);
                if start != at {
                    let (left_ns, left) = (clock.time_ns(at), std::mem::take(&mut now));
                    match &mut parts {
                        Some(parts) => parts.leave(left_ns, left, readable, &clock),
                        None => parts = Some(Parts::new(left_ns, left, readable)),
                    }
                    at = start;
                }
                total.add(counts(*amount));
                now[number % 2].add(counts(*amount));
                if number == upgrade {
                    readable = total;
                    parts.iter_mut().for_each(|parts| parts.read_up_to(readable));
                } else if number > upgrade {
                    readable.add(least(counts(*clear), counts(*amount)));
                }
            }
            let Some(parts) = parts else { return Ok(()) };
            let parts = parts.finish(clock.time_ns(at), now, readable, &clock);
            prop_assert_eq!(sum(&parts, |part| part.counts), total);
            prop_assert_eq!(sum(&parts, |part| part.readable), readable);
            for part in &parts {
                prop_assert_eq!(least(part.readable, part.counts), part.readable);
            }
        }
    }
}
