//! A capture in parts: what is open at the end of one part goes on in the next.
//!
//! The law: the reports of the parts, merged, are the report of the whole, to the byte. So everything that the rest of the
//! capture can touch is carried: open flows with all that was kept of them, fragments that wait, flows that may still be
//! announced and the announcements, the watch for repeated keys, the clients of the breakdowns, and where the next epoch ends.

use serde::{Deserialize, Serialize};

use super::associate::Announced;
use super::run::Run;
use super::worker::Worker;
use crate::capture::Epoch;
use crate::flow::{self, Announcement, SHARDS};
use crate::model::FlowSummary;
use crate::net::fragments;
use crate::tally::Watched;

/// A capture between two of its parts.
#[derive(Serialize, Deserialize)]
struct Carried {
    name: String,
    frames: u64,
    now_ns: i64,
    epoch: Epoch,
    fragments: fragments::Carried,
    watched: Watched,
    workers: Vec<Carrier>,
}

/// A worker between two parts.
#[derive(Serialize, Deserialize)]
struct Carrier {
    shard: flow::Carried,
    pending: Vec<FlowSummary>,
    announced: Vec<Announcement>,
    connections: Vec<Announcement>,
}

impl Worker {
    fn carry(self) -> Carrier {
        let sorted = |set: Announced| {
            let mut list: Vec<Announcement> = set.lists().flatten().copied().collect();
            list.sort_unstable_by_key(|a| (a.by, a.protocol.name(), a.said_by));
            list
        };
        // Every field is named, here and below, so that a new one cannot be left behind unnoticed.
        let Self { shard, pending, announced, connections, sums: _, most_announced: _ } = self;
        let (announced, connections) = (sorted(announced), sorted(connections));
        Carrier { shard: shard.carry(), pending, announced, connections }
    }

    fn resume(&mut self, carrier: Carrier) {
        let Carrier { shard, pending, announced, connections } = carrier;
        self.shard.resume(shard);
        self.pending = pending;
        self.announced = announced.into_iter().collect();
        self.connections = connections.into_iter().collect();
    }
}

impl Run<'_> {
    /// Goes on where the part before stopped.
    ///
    /// # Errors
    /// What is wrong with `before`.
    pub(super) fn resume(&mut self, before: &[u8]) -> Result<(), String> {
        let damaged = |error: &dyn std::fmt::Display| format!("the state cannot be read ({error})");
        let (carried, rest) = postcard::take_from_bytes::<Carried>(before).map_err(|error| damaged(&error))?;
        if carried.workers.len() != SHARDS || !rest.is_empty() {
            return Err(damaged(&"its parts do not add up"));
        }
        let Carried { name, frames, now_ns, epoch, fragments, watched, workers } = carried;
        (self.name, self.frames, self.now_ns, self.epoch) = (name, frames, now_ns, epoch);
        self.fragments.resume(fragments);
        self.tally.resume_capture(watched);
        for (worker, carrier) in self.workers.iter_mut().zip(workers) {
            worker.resume(carrier);
        }
        Ok(())
    }

    /// Stops between two parts: what is open goes into the bytes, what is closed stays in the tally.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn carry(&mut self) -> Result<Vec<u8>, String> {
        let Self {
            name,
            frames,
            now_ns,
            epoch,
            fragments,
            tally,
            workers,
            options: _,
            pool: _,
            seed: _,
            hosts: _,
            alike: _,
            pieces: _,
            warnings: _,
            failed: _,
            budget: _,
        } = self;
        let carried = Carried {
            name: name.clone(),
            frames: *frames,
            now_ns: *now_ns,
            epoch: *epoch,
            fragments: fragments.carry(),
            watched: tally.suspend_capture(),
            workers: std::mem::take(workers).into_iter().map(Worker::carry).collect(),
        };
        postcard::to_stdvec(&carried).map_err(|error| error.to_string())
    }
}
