//! One capture, from its first batch to its sums.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rayon::ThreadPool;
use rayon::prelude::*;

use super::associate;
use super::budget::Budget;
use super::so_far::Tick;
use super::started::{Started, first_time, start};
use super::worker::{Closed, Kinds, Worker, each, no_flows};
use super::{Options, batch, group};
use crate::capture::{self, Batch, Description, Epoch, Input};
use crate::error::{Error, Result};
use crate::flow::SHARDS;
use crate::model::{Loss, Seed};
use crate::net::fragments::Pool;
use crate::tally::{CaptureEntry, Collector, Tally};

/// Takes runs of closed flows of the capture that is named.
pub(super) type CloseSink<'a> = &'a mut dyn FnMut(&str, Vec<Closed>) -> Result<()>;

/// One capture on its way through the stages.
pub(super) struct Run<'a> {
    /// Where the next file goes on.
    pub(super) epoch: Epoch,
    pub(super) options: &'a Options,
    pub(super) pool: &'a ThreadPool,
    pub(super) budget: Budget,
    pub(super) name: String,
    pub(super) workers: Vec<Worker>,
    /// Hosts that the workers handed over.
    pub(super) hosts: Arc<Collector>,
    /// Flows of all workers that are alike.
    pub(super) alike: Arc<Kinds>,
    pub(super) pieces: Vec<batch::Piece>,
    pub(super) fragments: Pool,
    pub(super) tally: Tally,
    /// What keys are hashed with.
    pub(super) seed: Seed,
    pub(super) frames: u64,
    pub(super) now_ns: i64,
    pub(super) warnings: Vec<String>,
    pub(super) failed: Vec<Error>,
}

impl<'a> Run<'a> {
    /// With as many shards as its threads have use for: few enough that the packets of each are many, enough that nobody waits
    /// long for who has the last.
    pub(super) fn new(options: &'a Options, pool: &'a ThreadPool, keep: bool) -> Self {
        let shards = (8 * pool.current_num_threads()).next_power_of_two().min(SHARDS);
        Self::with_shards(options, pool, keep, shards)
    }

    /// Nothing but time depends on the number of shards: each costs more than a small capture itself.
    pub(super) fn with_shards(options: &'a Options, pool: &'a ThreadPool, keep: bool, shards: usize) -> Self {
        let (budget, seed) = (Budget::of(options.max_memory), Seed::random());
        let hosts = Arc::default();
        let alike = Arc::new(Kinds::new(pool.current_num_threads(), budget.alike));
        let worker = || Worker::new(options, &budget, seed, (&hosts, &alike), keep);
        Self {
            epoch: Epoch::default(),
            options,
            pool,
            budget,
            name: String::new(),
            workers: std::iter::repeat_with(worker).take(shards).collect(),
            hosts,
            alike,
            pieces: Vec::new(),
            fragments: Pool::new(budget.fragments),
            tally: no_flows(options, &budget),
            seed,
            frames: 0,
            now_ns: i64::MIN,
            warnings: Vec::new(),
            failed: Vec::new(),
        }
    }

    /// Reads one file, or several in the order of their first frames. Files that cannot be read are among the failed.
    pub(super) fn read_all(
        &mut self,
        inputs: &[Input],
        progress: &(dyn Fn(u64) + Sync),
        closed: CloseSink<'_>,
        tick: Tick<'_>,
    ) -> Result<()> {
        let stop = &self.options.stop;
        let within = self.options.reading();
        let reading = |epoch| capture::Options { epoch, ..within };
        let mut order = Vec::new();
        for input in inputs {
            if inputs.len() == 1 {
                order.push((None, input, None));
                break;
            }
            match first_time(input, reading(Epoch::default()), stop) {
                Ok(Some((time, opened))) => order.push((time, input, opened)),
                Ok(None) => self.tally.add_loss(Loss::Interrupted, 1),
                Err(error) => self.failed.push(error),
            }
        }
        order.sort_by_key(|(time, ..)| *time);
        let mut behind: VecDeque<&Input> = order.iter().map(|(_, input, _)| *input).collect();
        for (_, input, opened) in order {
            behind.pop_front();
            behind.front().into_iter().for_each(|next| group::fetch(std::slice::from_ref(next)));
            match opened.map_or_else(|| start(input, reading(self.epoch), stop), |opened| Ok(Some(opened))) {
                Ok(Some(started)) => self.read(started, progress, closed, tick)?,
                Ok(None) => self.tally.add_loss(Loss::Interrupted, 1),
                Err(error) => self.failed.push(error),
            }
        }
        Ok(())
    }

    /// Reads one file to its end: one batch is read while the one before is worked on.
    pub(super) fn read(
        &mut self,
        started: Started,
        progress: &(dyn Fn(u64) + Sync),
        closed: CloseSink<'_>,
        tick: Tick<'_>,
    ) -> Result<()> {
        let Started { mut source, first: mut current, more: mut going } = started;
        if self.name.is_empty() {
            self.name = source.description().name;
        }
        let before = self.frames;
        let mut sums = batch::Sums::default();
        let mut next = Batch::default();
        let mut position = 0;
        let pool = self.pool;
        while going {
            if self.options.stop.load(Ordering::Relaxed) {
                self.tally.add_loss(Loss::Interrupted, 1);
                break;
            }
            // What the file says of itself up to here; reading goes on while this batch is worked on.
            let description = source.description();
            let (more, ()) = pool.install(|| {
                rayon::join(
                    || {
                        let more = source.next_batch(&mut next);
                        progress(source.position().saturating_sub(position));
                        position = source.position();
                        more
                    },
                    || self.work(&current, before, &mut sums),
                )
            });
            if current.check_due && self.kept_memory() > self.budget.records {
                let flows = self.take_flows();
                closed(&self.name, flows)?;
            }
            std::mem::swap(&mut current, &mut next);
            going = more.unwrap_or_else(|error| {
                self.failed.push(error);
                false
            });
            if going {
                tick(self, description, &sums)?;
            }
        }
        progress(source.position().saturating_sub(position));
        self.epoch = source.epoch();
        let warnings = self.add_file(source.description(), &sums);
        self.warnings.extend(warnings);
        Ok(())
    }

    /// Notes what a file says of itself, and the sums over its frames; gives its warnings.
    pub(super) fn add_file(&mut self, description: Description, sums: &batch::Sums) -> Vec<String> {
        for (loss, count) in &description.losses {
            self.tally.add_loss(*loss, *count);
        }
        self.tally.add_loss(Loss::FramesCutShort, sums.cut_short);
        self.tally.add_capture(CaptureEntry {
            name: description.name,
            format: description.format,
            link_types: description.link_types,
            packets: sums.packets,
            wire_bytes: sums.wire_bytes,
            captured_bytes: sums.captured_bytes,
            first_ns: sums.first_ns,
            last_ns: sums.last_ns,
            sha256: None,
        });
        description.warnings
    }

    /// Whether closed flows are kept for their records.
    fn keep(&self) -> bool {
        self.workers.iter().any(|worker| worker.sums.keep)
    }

    /// Memory of the closed flows that are kept for their records. Unit: bytes.
    fn kept_memory(&self) -> usize {
        self.workers.iter().map(|worker| worker.sums.kept_bytes).sum()
    }

    /// The closed flows kept so far, in the order of their first frames.
    fn take_flows(&mut self) -> Vec<Closed> {
        let mut flows = Vec::with_capacity(self.workers.iter().map(|worker| worker.sums.flows.len()).sum());
        for worker in &mut self.workers {
            // Room is not kept: all workers together would keep as much as the largest burst took.
            flows.append(&mut std::mem::take(&mut worker.sums.flows));
            worker.sums.kept_bytes = 0;
        }
        flows.sort_unstable_by_key(|(flow, _)| (flow.first_frame, flow.last_ns));
        flows
    }

    /// Takes one batch through decoding and the shards.
    fn work(&mut self, batch: &Batch, frames_before: u64, sums: &mut batch::Sums) {
        let first_frame = frames_before + batch.first_frame;
        self.frames = first_frame + batch.frames.len() as u64;
        let keys = self.keys();
        let used = batch::decode(batch, first_frame, keys, &mut self.pieces);
        let pieces = &mut self.pieces[..used];
        let late = batch::put_together(batch, pieces, &mut self.fragments, keys, &mut self.tally);
        for piece in pieces.iter_mut() {
            piece.add_to(&mut self.tally, sums);
        }
        let pieces = &*pieces;
        let serve = |number: usize, worker: &mut Worker| {
            if batch::serve(&mut worker.shard, number, batch, pieces, &late) {
                worker.settle();
            }
        };
        if batch.frames.len() < 256 {
            self.workers.iter_mut().enumerate().for_each(|(number, worker)| serve(number, worker));
        } else {
            each(&mut self.workers, serve);
        }
        self.now_ns = self.now_ns.max(sums.last_ns.unwrap_or(i64::MIN));
        if batch.epoch_ends {
            self.end_epoch();
        }
        if batch.check_due {
            self.check_memory();
        }
    }

    /// Time-outs.
    fn end_epoch(&mut self) {
        let now_ns = self.now_ns;
        each(&mut self.workers, |_, worker| {
            worker.shard.sweep(now_ns);
            worker.settle();
        });
    }

    /// The memory bound: what waits is added up, and the oldest flows are closed early.
    fn check_memory(&mut self) {
        for worker in &mut self.workers {
            self.tally.take_watch(&mut worker.sums.tally);
        }
        let mut pending: usize = self.workers.iter().map(Worker::pending_memory).sum();
        if pending > self.budget.pending {
            self.resolve();
            pending = 0;
        }
        let open: usize = self.workers.iter().map(|worker| worker.shard.memory()).sum();
        let held = open + pending;
        let bound = self.budget.flows;
        if held <= bound {
            return;
        }
        let excess = held - bound / 8 * 7;
        let upto = batch::oldest(self.workers.iter().map(|worker| &worker.shard), excess);
        each(&mut self.workers, |_, worker| {
            worker.shard.evict(upto);
            worker.settle();
        });
    }

    /// How packets find their flows.
    pub(super) fn keys(&self) -> batch::Keys {
        batch::Keys { shards: self.options.shards.clamp(1, self.workers.len()), seed: self.seed }
    }

    /// All that flows announced about others so far.
    fn known(&self) -> associate::Known {
        let ends = self.workers.iter().flat_map(|worker| worker.announced.lists()).flatten().copied();
        let connections: Vec<_> = self.workers.iter().flat_map(|worker| worker.connections.lists()).collect();
        associate::Known::new(ends, &connections)
    }

    /// Explains flows that wait by what other flows announced, and adds them up.
    fn resolve(&mut self) {
        let known = self.known();
        each(&mut self.workers, |_, worker| worker.explain(&known));
    }

    /// Closes what is open and adds everything up.
    pub(super) fn finish(mut self, closed: CloseSink<'_>) -> Result<Read> {
        self.close(closed)?;
        let Self { name, mut tally, workers, hosts, alike, warnings, failed, pool, .. } = self;
        pool.install(|| {
            // Most shards of a small capture saw nothing.
            let used: Vec<Worker> = workers.into_iter().filter(|worker| worker.sums.used).collect();
            let shares = used.len();
            let tallies = used.into_par_iter().enumerate().map(|(number, mut worker)| {
                let mut tally = worker.take_tally();
                tally.hand_all_hosts_over(&hosts);
                alike.add_share(number, shares, &mut tally);
                tally
            });
            let sum = tallies.reduce_with(|mut sum, more| {
                sum.merge(more);
                sum
            });
            tally.merge(sum.unwrap_or_default());
            tally.end_hosts(&hosts);
        });
        tally.end_capture();
        Ok(Read { name, tally, warnings, failed })
    }

    /// Adds up what is closed; what is open goes into the bytes.
    pub(super) fn suspend(mut self, closed: CloseSink<'_>) -> Result<(Read, Vec<u8>)> {
        let flows = self.take_flows();
        closed(&self.name, flows)?;
        for worker in &mut self.workers {
            self.tally.merge(worker.take_tally());
        }
        self.alike.add_share(0, 1, &mut self.tally);
        self.tally.take_hosts(&self.hosts);
        let state = self.carry().map_err(|what| Error::usage("--state-out", what))?;
        let Self { name, tally, warnings, failed, .. } = self;
        Ok((Read { name, tally, warnings, failed }, state))
    }

    /// What is open ends; what others cannot explain is added up at once, to make room. Then all is known that flows announced
    /// about others, and the rest is added up.
    fn close(&mut self, closed: CloseSink<'_>) -> Result<()> {
        let pool = self.pool;
        let keys = self.keys();
        let leftovers = batch::leftovers(&mut self.fragments, self.frames, keys, &mut self.tally);
        pool.install(|| {
            each(&mut self.workers, |number, worker| batch::serve_late(&mut worker.shard, number, &leftovers));
        });
        let portions = self.portions();
        // Those that are kept already, and those that waited longer, may be of any portion.
        let mut hand_over = |run: &mut Self, is_last: bool| {
            if !is_last && portions.len() == 1 {
                return Ok(());
            }
            let flows = run.take_flows();
            closed(&run.name, flows)
        };
        hand_over(self, false)?;
        for upto in &portions {
            pool.install(|| each(&mut self.workers, |_, worker| worker.end(*upto)));
            hand_over(self, false)?;
        }
        let known = pool.install(|| {
            let known = self.known();
            each(&mut self.workers, |_, worker| worker.explain(&known));
            known
        });
        hand_over(self, false)?;
        for upto in &portions {
            pool.install(|| each(&mut self.workers, |_, worker| worker.close(*upto, &known)));
            hand_over(self, *upto == u64::MAX)?;
        }
        Ok(())
    }

    /// The first frames up to which open flows are closed together, so that no more are kept for their records than there is
    /// room for. The last is beyond all.
    fn portions(&self) -> Vec<u64> {
        /// A closed flow may be this many times as large as it was when it was open.
        const GROWTH: usize = 4;
        let open: usize = self.workers.iter().map(|worker| worker.shard.memory()).sum();
        let portions = 1 + open / (self.budget.records / GROWTH).max(1);
        let mut upto = Vec::new();
        // Flows are spread over the shards by chance: what holds for the fullest holds for all of them, nearly.
        let fullest = self.workers.iter().map(|worker| &worker.shard).max_by_key(|shard| shard.open_flows());
        if let Some(shard) = fullest.filter(|_| self.keep() && portions > 1) {
            let mut first_frames: Vec<u64> = shard.ages().map(|(_, first_frame)| first_frame).collect();
            first_frames.sort_unstable();
            let step = first_frames.len().div_ceil(portions).max(1);
            upto.extend(first_frames.iter().skip(step).step_by(step));
        }
        upto.push(u64::MAX);
        upto
    }
}

/// What one capture gives.
pub(super) struct Read {
    pub(super) name: String,
    pub(super) tally: Tally,
    pub(super) warnings: Vec<String>,
    pub(super) failed: Vec<Error>,
}

/// Opens and reads one capture, or several files that are one, in the order of their first frames.
pub(super) fn read_files(
    mut run: Run<'_>,
    inputs: &[Input],
    progress: &(dyn Fn(u64) + Sync),
    closed: CloseSink<'_>,
    tick: Tick<'_>,
) -> Result<Read> {
    run.read_all(inputs, progress, closed, tick)?;
    match (inputs, run.failed.pop()) {
        ([_], Some(error)) if run.tally.captures.is_empty() => Err(error),
        (_, error) => {
            run.failed.extend(error);
            run.finish(closed)
        }
    }
}
