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
    /// Sum of the parts, the low side first, without what is beyond the numbers here.
    packets: [u32; 2],
    wire_bytes: [u32; 2],
    payload_bytes: [u32; 2],
    /// A time in the interval of the latest part.
    time_ns: i64,
    more: Option<Box<More>>,
}

/// What is kept of a flow that has left more than one interval: few have.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct More {
    /// The parts before the latest.
    #[serde(with = "crate::model::kept::room")]
    earlier: Vec<FlowPart>,
    /// Sum of these.
    earlier_counts: Counts,
    rare: Option<Box<Rare>>,
}

/// What is kept of one that is very large, or readable.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Rare {
    /// Of the sum of all parts, what the numbers there have no room for.
    beyond: [Counts; 2],
    /// What was readable in all parts.
    readable: Counts,
    /// What was readable in the latest.
    latest_readable: Counts,
}

impl Parts {
    /// A flow leaves its first interval, which began at `time_ns`, and in which both sides amounted to `left` and `readable` was
    /// in clear.
    pub(super) fn new(time_ns: i64, left: [Counts; 2], readable: Counts) -> Self {
        let mut parts = Self { packets: [0; 2], wire_bytes: [0; 2], payload_bytes: [0; 2], time_ns, more: None };
        parts.add(left);
        parts.add_readable(readable);
        parts
    }

    fn rare(&self) -> Option<&Rare> {
        self.more.as_deref().and_then(|more| more.rare.as_deref())
    }

    fn rare_mut(&mut self) -> &mut Rare {
        self.more.get_or_insert_default().rare.get_or_insert_default()
    }

    /// What was readable in all of them.
    fn readable(&self) -> Counts {
        self.rare().map_or(Counts::default(), |rare| rare.readable)
    }

    /// Adds what both sides amount to in a part.
    fn add(&mut self, part: [Counts; 2]) {
        for (side, more) in part.into_iter().enumerate() {
            let mut sum = self.held(side);
            sum.add(more);
            let Counts { packets, wire_bytes, payload_bytes } = sum;
            match [packets, wire_bytes, payload_bytes].map(u32::try_from) {
                [Ok(packets), Ok(wire_bytes), Ok(payload_bytes)] => {
                    (self.packets[side], self.wire_bytes[side], self.payload_bytes[side]) =
                        (packets, wire_bytes, payload_bytes);
                }
                _ => {
                    (self.packets[side], self.wire_bytes[side], self.payload_bytes[side]) = (0, 0, 0);
                    self.rare_mut().beyond[side].add(sum);
                }
            }
        }
    }

    /// What the numbers here hold of one side.
    fn held(&self, side: usize) -> Counts {
        Counts {
            packets: self.packets[side].into(),
            wire_bytes: self.wire_bytes[side].into(),
            payload_bytes: self.payload_bytes[side].into(),
        }
    }

    /// Heap bytes held.
    pub(super) fn memory(&self) -> usize {
        let more =
            self.more.as_deref().map_or(0, |more| size_of::<More>() + more.earlier.capacity() * size_of::<FlowPart>());
        size_of::<Self>() + more + self.rare().map_or(0, size_of_val)
    }

    /// What one side amounts to in all of them.
    pub(super) fn counts(&self, side: Side) -> Counts {
        let mut counts = self.held(side as usize);
        if let Some(rare) = self.rare() {
            counts.add(rare.beyond[side as usize]);
        }
        counts
    }

    /// The latest part.
    fn latest(&self) -> FlowPart {
        let mut counts = self.counts(Side::Low);
        counts.add(self.counts(Side::High));
        if let Some(more) = self.more.as_deref() {
            counts = counts.without(more.earlier_counts);
        }
        let readable = self.rare().map_or(Counts::default(), |rare| rare.latest_readable);
        FlowPart { time_ns: self.time_ns, counts, readable }
    }

    fn add_readable(&mut self, readable: Counts) {
        if readable != Counts::default() {
            let rare = self.rare_mut();
            rare.readable.add(readable);
            rare.latest_readable.add(readable);
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
        self.add(left);
        self.add_readable(readable.without(self.readable()));
    }

    /// An upgrade: everything up to `readable` was in clear.
    pub(super) fn read_up_to(&mut self, readable: Counts) {
        let latest = self.latest();
        let mut left = readable;
        for part in self.more.iter_mut().flat_map(|more| &mut more.earlier) {
            part.readable = least(part.counts, left);
            left = left.without(part.readable);
        }
        let rare = self.rare_mut();
        rare.latest_readable = least(latest.counts, left);
        rare.readable = readable.without(left.without(rare.latest_readable));
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
        if let Some(rare) = self.rare.as_deref_mut() {
            rare.latest_readable = Counts::default();
        }
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
    fn a_flow_that_left_an_interval_keeps_little() {
        assert_eq!((size_of::<Parts>(), size_of::<More>()), (40, 56));
    }

    #[test]
    fn large_flows_lose_nothing() {
        let clock = Clock::new(Steps::Every(1));
        let large = |packets| Counts { packets, wire_bytes: 3_000_000_000, payload_bytes: 2_900_000_000 };
        let mut parts = Parts::new(0, [large(1), counts(0)], counts(0));
        for second in 1..5 {
            parts.leave(second, [large(2), large(1 << 33)], counts(0), &clock);
        }
        let sums = [Side::Low, Side::High].map(|side| parts.counts(side));
        let times = |times: u64, packets| Counts {
            packets,
            wire_bytes: times * 3_000_000_000,
            payload_bytes: times * 2_900_000_000,
        };
        assert_eq!(sums, [times(5, 9), times(4, 4 << 33)]);
        let parts = parts.finish(5, [counts(1), counts(0)], counts(0), &clock);
        let packets: Vec<u64> = parts.iter().map(|part| part.counts.packets).collect();
        let each = 2 + (1 << 33);
        assert_eq!(packets, [1, each, each, each, each, 1]);
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
