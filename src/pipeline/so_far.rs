//! Reports while a capture is still being read: all that was seen so far, as if it ended now.
//!
//! What is open is copied, shard by shard, and the copy is closed; the capture itself goes on untouched. So the last report is
//! the same with and without others before it, and at most as much memory is taken on top as one shard for each thread
//! holds, and the summaries of flows that wait for an explanation.

use std::time::{Duration, Instant};

use rayon::prelude::*;

use super::batch::{self, Sums};
use super::run::Run;
use super::worker::{Account, Worker};
use crate::capture::Description;
use crate::error::{Error, Result};
use crate::model::Loss;
use crate::tally::Tally;

/// Asks for reports while captures are read.
pub struct Periodic<'a> {
    /// Time between two reports, by the clock on the wall, or longer when they would take more than a tenth of it; zero asks
    /// for one after each batch.
    pub every: Duration,
    /// Takes the sums of all that was read so far, with [`Loss::Unfinished`] for the capture that goes on.
    pub take: &'a mut dyn FnMut(&Tally) -> Result<()>,
}

/// Called between the batches of a file with what it said of itself so far, and the sums over its frames.
pub(super) type Tick<'a> = &'a mut dyn FnMut(&mut Run<'_>, Description, &Sums) -> Result<()>;

/// Where no report was asked for.
pub(super) fn never(_: &mut Run<'_>, _: Description, _: &Sums) -> Result<()> {
    Ok(())
}

/// Knows when a report is due.
pub(super) struct Clock<'a> {
    periodic: Option<Periodic<'a>>,
    due: Instant,
}

impl<'a> Clock<'a> {
    pub(super) fn new(periodic: Option<Periodic<'a>>) -> Self {
        let every = periodic.as_ref().map_or(Duration::ZERO, |periodic| periodic.every);
        Self { periodic, due: Instant::now() + every }
    }

    pub(super) fn is_running(&self) -> bool {
        self.periodic.is_some()
    }

    /// Gives a report when it is time for one; `before` are the sums of the captures that have ended.
    pub(super) fn look(&mut self, before: &Tally, run: &mut Run<'_>, file: Description, sums: &Sums) -> Result<()> {
        let Some(periodic) = self.periodic.as_mut().filter(|_| Instant::now() >= self.due) else { return Ok(()) };
        let started = Instant::now();
        let mut tally = before.clone();
        tally.merge(run.so_far(file, sums)?);
        tally.name_policies(&run.options.policies);
        (periodic.take)(&tally)?;
        // A report that was late moves none behind it, unless its time is over as well. While millions of open flows are
        // copied and closed, nothing is read.
        let pause = if periodic.every.is_zero() { Duration::ZERO } else { 9 * started.elapsed() };
        self.due = (self.due + periodic.every).max(Instant::now() + pause);
        Ok(())
    }
}

impl Run<'_> {
    /// The sums if the capture ended here.
    fn so_far(&mut self, file: Description, sums: &Sums) -> Result<Tally> {
        let damaged = |error: postcard::Error| Error::Io(std::io::Error::other(error));
        let mut copy = Run::with_shards(self.options, self.pool, false, self.workers.len());
        copy.tally = self.tally.clone();
        copy.tally.copy_hosts(&self.hosts);
        self.alike.copy_to(&copy.alike);
        copy.frames = self.frames;
        copy.add_file(file, sums);
        copy.tally.add_loss(Loss::Unfinished, 1);
        self.fragments.copy_to(&mut copy.fragments).map_err(damaged)?;
        let keys = copy.keys();
        let leftovers = batch::leftovers(&mut copy.fragments, copy.frames, keys, &mut copy.tally);
        for (worker, copy) in self.workers.iter().zip(&mut copy.workers) {
            worker.copy_to(copy);
        }
        let close = |(number, (worker, copy)): (usize, (&mut Worker, &mut Worker))| {
            worker.shard.copy_to(&mut copy.shard)?;
            batch::serve_late(&mut copy.shard, number, &leftovers);
            copy.end(u64::MAX);
            Ok(())
        };
        let workers = self.workers.par_iter_mut().zip(&mut copy.workers).enumerate();
        self.pool.install(|| workers.try_for_each(close)).map_err(damaged)?;
        copy.finish(&mut |_, _| Ok(())).map(|read| read.tally)
    }
}

impl Worker {
    /// Gives `other`, which is new, all but the open flows and the records that wait to be written.
    fn copy_to(&self, other: &mut Self) {
        // Every field is named, so that a new one cannot be left behind unnoticed.
        let Self { sums, pending, announced, connections, most_announced: _, shard: _ } = self;
        let Account { tally, used, hosts: _, alike: _, plan: _, policies: _, keep: _, flows: _, kept_bytes: _ } = sums;
        other.sums.tally = tally.clone();
        other.sums.used = *used;
        other.pending.clone_from(pending);
        other.announced = announced.clone();
        other.connections = connections.clone();
    }
}
