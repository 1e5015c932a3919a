//! Open flows on their way from one file of a capture to the next.

use serde::{Deserialize, Serialize};

use super::announcement::Announcement;
use super::parts::Clock;
use super::record::Flow;
use super::shard::Shard;
use super::stacks::Stacks;
use crate::model::FlowSummary;

/// All that a shard knows, in an order that does not depend on how its table grew.
#[derive(Serialize, Deserialize)]
pub(crate) struct Carried {
    flows: Vec<Flow>,
    closed: Vec<FlowSummary>,
    announced: Vec<Announcement>,
    next_sweep_ns: i64,
    clock: Clock,
    stacks: Stacks,
}

/// The same without taking it out.
#[derive(Serialize)]
struct Seen<'a> {
    flows: Vec<&'a Flow>,
    closed: &'a [FlowSummary],
    announced: &'a [Announcement],
    next_sweep_ns: i64,
    clock: &'a Clock,
    stacks: &'a Stacks,
}

impl Shard {
    /// Gives `other`, which is new, all that this shard knows. Through bytes: nothing else copies what dissectors remember.
    ///
    /// # Errors
    /// When there is no memory for the bytes.
    pub(crate) fn copy_to(&self, other: &mut Self) -> postcard::Result<()> {
        let Self { table, closed, announced, next_sweep_ns, clock, stacks, limits: _, ending: _, cold_bytes: _ } = self;
        let mut flows: Vec<&Flow> = table.iter().collect();
        flows.sort_unstable_by_key(|flow| flow.first_frame());
        let seen = Seen { flows, closed, announced, next_sweep_ns: *next_sweep_ns, clock, stacks };
        other.resume(postcard::from_bytes(&postcard::to_stdvec(&seen)?)?);
        Ok(())
    }

    /// Takes everything out, to go on elsewhere.
    pub(crate) fn carry(self) -> Carried {
        let Self { mut table, closed, announced, next_sweep_ns, clock, stacks, limits: _, ending: _, cold_bytes: _ } =
            self;
        let flows = table.drain_in_order().collect();
        Carried { flows, closed, announced, next_sweep_ns, clock, stacks }
    }

    /// Goes on with what another shard knew.
    pub(crate) fn resume(&mut self, carried: Carried) {
        self.closed = carried.closed;
        self.announced = carried.announced;
        self.next_sweep_ns = carried.next_sweep_ns;
        self.clock = carried.clock;
        self.stacks = carried.stacks;
        for mut flow in carried.flows {
            self.cold_bytes += flow.weigh();
            let due_ns = self.limits.due_ns(&flow);
            let record = self.table.insert(self.table.hash(&flow.key()), flow);
            self.table.hasten(record, due_ns);
        }
    }
}
