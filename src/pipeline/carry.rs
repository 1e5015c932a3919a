//! A capture in parts: what is open at the end of one part goes on in the next.
//!
//! The law: the reports of the parts, merged, are the report of the whole, to the byte. So everything that the rest of the
//! capture can touch is carried: open flows with all that was kept of them, fragments that wait, flows that may still be
//! announced and the announcements, the watch for repeated keys, the clients of the breakdowns, and where the next epoch ends.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{Announcement, FlowSummary, Run, Worker};
use crate::capture::Epoch;
use crate::flow::{self, SHARDS};
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
        let sorted = |set: HashSet<Announcement>| {
            let mut list: Vec<Announcement> = set.into_iter().collect();
            list.sort_unstable_by_key(|a| (a.by, a.protocol.name(), a.said_by));
            list
        };
        let (announced, connections) = (sorted(self.announced), sorted(self.connections));
        Carrier { shard: self.shard.carry(), pending: self.pending, announced, connections }
    }

    fn resume(&mut self, carrier: Carrier) {
        self.shard.resume(carrier.shard);
        self.pending = carrier.pending;
        self.announced = carrier.announced.into_iter().collect();
        self.connections = carrier.connections.into_iter().collect();
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
        self.name = carried.name;
        self.frames = carried.frames;
        self.now_ns = carried.now_ns;
        self.epoch = carried.epoch;
        self.fragments.resume(carried.fragments);
        self.tally.resume_capture(carried.watched);
        for (worker, carrier) in self.workers.iter_mut().zip(carried.workers) {
            worker.resume(carrier);
        }
        Ok(())
    }

    /// Stops between two parts: what is open goes into the bytes, what is closed stays in the tally.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn carry(&mut self) -> Result<Vec<u8>, String> {
        let watched = self.tally.suspend_capture();
        let carried = Carried {
            name: self.name.clone(),
            frames: self.frames,
            now_ns: self.now_ns,
            epoch: self.epoch,
            fragments: self.fragments.carry(),
            watched,
            workers: std::mem::take(&mut self.workers).into_iter().map(Worker::carry).collect(),
        };
        postcard::to_stdvec(&carried).map_err(|error| error.to_string())
    }
}
