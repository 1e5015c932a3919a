//! Joins the stages. The only place that knows threads.
//!
//! A capture is read in batches. While one batch is read, the one before is worked on:
//!
//! 1. its frames are decoded in pieces, side by side; each piece sorts its packets by shard;
//! 2. fragments, which are rare, are put together in order by one thread;
//! 3. the shards take their packets side by side, each in capture order.
//!
//! A flow has one shard, and a shard sees its packets in order: so results do not depend on the number of threads. What
//! looks at the capture as a whole (time-outs, the memory bound) happens between batches, at ends of epochs, which are
//! a property of the capture. Captures that are small are read side by side.

mod associate;
mod batch;

use std::sync::Arc;

use rayon::prelude::*;

use crate::capture::{self, Batch, Input, Source};
use crate::error::{Error, Result};
use crate::flow::{Announcement, Limits, SHARDS, Shard};
use crate::grade::{Policy, Verdict};
use crate::model::{Class, FlowSummary, Loss, Steps, Transport};
use crate::net::fragments::Pool;
use crate::tally::{CaptureEntry, Plan, Tally, Timeline};

/// How to scan.
#[derive(Clone, Debug)]
pub struct Options {
    /// Threads; `None` is one for each core.
    pub jobs: Option<usize>,
    /// Bound on the memory for flows of one capture. Unit: bytes.
    pub max_memory: u64,
    /// Stop at the first input that cannot be read.
    pub strict: bool,
    /// Treat all inputs as one capture of one link, in time order.
    pub continued: bool,
    /// Policies to grade by; verdicts come in this order.
    pub policies: Arc<Vec<Policy>>,
    /// Intervals of the timeline.
    pub steps: Steps,
    /// What flows are broken down by.
    pub plan: Option<Arc<Plan>>,
}

/// What a scan gives.
#[derive(Debug, Default)]
pub struct Scan {
    /// Sums over all captures that were read.
    pub tally: Tally,
    /// Inputs that could not be read.
    pub failed: Vec<Error>,
    /// Lines for people: captures that were cut short, and the like.
    pub warnings: Vec<String>,
}

/// Takes each closed flow with the name of its capture, in the order of first frames, captures in the order given.
pub type FlowSink<'a> = &'a mut dyn FnMut(&str, &FlowSummary, &[Verdict]) -> Result<()>;

/// Reads all inputs. `progress` is told of stored bytes as they are read.
///
/// # Errors
/// When the threads cannot be started, when `flows` fails, and with `strict` when an input cannot be read.
pub fn scan(
    inputs: &[Input],
    options: &Options,
    progress: &(dyn Fn(u64) + Sync),
    flows: Option<FlowSink<'_>>,
) -> Result<Scan> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.jobs.unwrap_or(0))
        .build()
        .map_err(|error| Error::usage("--jobs", format!("threads cannot be started: {error}")))?;
    let mut scan = Scan::default();
    let keep = flows.is_some();
    let mut ignore = |_: &str, _: &FlowSummary, _: &[Verdict]| Ok(());
    let flows = flows.unwrap_or(&mut ignore);
    for group in groups(inputs, options.continued) {
        let results: Vec<Result<Read>> = pool.install(|| match group {
            [input] => vec![read(std::slice::from_ref(input), options, progress, keep)],
            all if options.continued => vec![read(all, options, progress, keep)],
            all => all.par_iter().map(|input| read(std::slice::from_ref(input), options, progress, keep)).collect(),
        });
        for result in results {
            match result {
                Ok(read) => {
                    for (flow, verdicts) in &read.flows {
                        flows(&read.name, flow, verdicts)?;
                    }
                    scan.warnings.extend(read.warnings);
                    scan.failed.extend(read.failed);
                    scan.tally.merge(read.tally);
                }
                Err(error) => scan.failed.push(error),
            }
            if options.strict && !scan.failed.is_empty() {
                return Err(scan.failed.swap_remove(0));
            }
        }
    }
    scan.tally.name_policies(&options.policies);
    Ok(scan)
}

/// Inputs of this size and less, uncompressed, are read side by side; their flows cannot need much memory.
const SMALL: u64 = 16 << 20;

/// Small inputs read before their flows are handed on.
const GROUP: usize = 256;

/// Cuts the inputs into groups: runs of small ones, large ones alone, or everything when it is one capture.
fn groups(inputs: &[Input], continued: bool) -> Vec<&[Input]> {
    if continued {
        return vec![inputs];
    }
    let mut groups = Vec::new();
    let mut start = 0;
    for (i, input) in inputs.iter().enumerate() {
        let small = input.stored_len().is_some_and(|size| size <= SMALL);
        if !small || i - start == GROUP {
            if start < i {
                groups.push(&inputs[start..i]);
            }
            start = i;
        }
        if !small {
            groups.push(&inputs[i..=i]);
            start = i + 1;
        }
    }
    if start < inputs.len() {
        groups.push(&inputs[start..]);
    }
    groups
}

/// What one capture gives.
struct Read {
    name: String,
    tally: Tally,
    flows: Vec<(FlowSummary, Vec<Verdict>)>,
    warnings: Vec<String>,
    failed: Vec<Error>,
}

/// Reads one capture, or several files that are one.
fn read(inputs: &[Input], options: &Options, progress: &(dyn Fn(u64) + Sync), keep: bool) -> Result<Read> {
    let mut sources = Vec::new();
    let mut failed = Vec::new();
    for input in inputs {
        match capture::open(input, capture::Options::default()) {
            Ok(source) => sources.push(source),
            Err(error) if inputs.len() == 1 => return Err(error),
            Err(error) => failed.push(error),
        }
    }
    let mut run = Run::new(options, keep);
    let mut order = Vec::new();
    for mut source in sources {
        let mut first = Batch::default();
        match source.next_batch(&mut first) {
            Ok(_) => order.push((first.frames.first().map(|frame| frame.time_ns), first, source)),
            Err(error) if inputs.len() == 1 => return Err(error),
            Err(error) => failed.push(error),
        }
    }
    order.sort_by_key(|(time, ..)| *time);
    let name = order.first().map(|(_, _, source)| source.description().name).unwrap_or_default();
    let mut warnings = Vec::new();
    for (_, first, source) in order {
        run.read(first, source, progress, &mut warnings, &mut failed);
    }
    let (tally, flows) = run.finish();
    Ok(Read { name, tally, flows, warnings, failed })
}

/// A shard with its sums.
struct Worker {
    shard: Shard,
    tally: Tally,
    plan: Option<Arc<Plan>>,
    /// Flows that may still be explained by what another flow announced.
    pending: Vec<FlowSummary>,
    flows: Vec<(FlowSummary, Vec<Verdict>)>,
}

/// One capture on its way through the stages.
struct Run<'a> {
    options: &'a Options,
    keep: bool,
    workers: Vec<Worker>,
    pieces: Vec<batch::Piece>,
    fragments: Pool,
    announced: Vec<Announcement>,
    tally: Tally,
    frames: u64,
    now_ns: i64,
}

impl<'a> Run<'a> {
    fn new(options: &'a Options, keep: bool) -> Self {
        let tally = || Tally { timeline: Timeline::new(options.steps), ..Tally::default() };
        let worker = || Worker {
            shard: Shard::new(Limits::default(), options.steps),
            tally: tally(),
            plan: options.plan.clone(),
            pending: Vec::new(),
            flows: Vec::new(),
        };
        Self {
            options,
            keep,
            workers: std::iter::repeat_with(worker).take(SHARDS).collect(),
            pieces: Vec::new(),
            fragments: Pool::new((options.max_memory / 16) as usize),
            announced: Vec::new(),
            tally: tally(),
            frames: 0,
            now_ns: i64::MIN,
        }
    }

    /// Reads one file to its end: one batch is read while the one before is worked on.
    fn read(
        &mut self,
        first: Batch,
        mut source: Box<dyn Source>,
        progress: &(dyn Fn(u64) + Sync),
        warnings: &mut Vec<String>,
        failed: &mut Vec<Error>,
    ) {
        let before = self.frames;
        let mut sums = batch::Sums::default();
        let mut current = first;
        let mut next = Batch::default();
        let mut position = 0;
        while !current.frames.is_empty() {
            let (more, ()) = rayon::join(
                || {
                    let more = source.next_batch(&mut next);
                    progress(source.position().saturating_sub(position));
                    position = source.position();
                    more
                },
                || self.work(&current, before, &mut sums),
            );
            std::mem::swap(&mut current, &mut next);
            match more {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    failed.push(error);
                    break;
                }
            }
        }
        progress(source.position().saturating_sub(position));
        let description = source.description();
        for (loss, count) in &description.losses {
            self.tally.add_loss(*loss, *count);
        }
        warnings.extend(description.warnings);
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
    }

    /// Takes one batch through decoding and the shards.
    fn work(&mut self, batch: &Batch, frames_before: u64, sums: &mut batch::Sums) {
        let first_frame = frames_before + batch.first_frame;
        self.frames = first_frame + batch.frames.len() as u64;
        let used = batch::decode(batch, first_frame, &mut self.pieces);
        let pieces = &mut self.pieces[..used];
        let late = batch::put_together(batch, pieces, &mut self.fragments, &mut self.tally);
        for piece in pieces.iter_mut() {
            piece.add_to(&mut self.tally, sums);
        }
        let (pieces, policies, keep) = (&*pieces, &self.options.policies, self.keep);
        let serve = |(number, worker): (usize, &mut Worker)| {
            if batch::serve(&mut worker.shard, number, batch, pieces, &late) {
                worker.settle(policies, keep);
            }
        };
        if batch.frames.len() < 256 {
            self.workers.iter_mut().enumerate().for_each(serve);
        } else {
            self.workers.par_iter_mut().enumerate().for_each(serve);
        }
        self.now_ns = self.now_ns.max(sums.last_ns.unwrap_or(i64::MIN));
        if batch.epoch_ends {
            self.end_epoch();
        }
    }

    /// Time-outs and the memory bound.
    fn end_epoch(&mut self) {
        let (now_ns, policies, keep) = (self.now_ns, &self.options.policies, self.keep);
        self.workers.par_iter_mut().for_each(|worker| {
            worker.shard.sweep(now_ns);
            worker.settle(policies, keep);
        });
        let pending: usize = self.workers.iter().map(Worker::pending_memory).sum();
        if pending as u64 > self.options.max_memory / 8 {
            self.resolve();
        }
        let held: usize = self.workers.iter().map(|worker| worker.shard.memory()).sum();
        let bound = (self.options.max_memory - self.options.max_memory / 4) as usize;
        if held <= bound {
            return;
        }
        let excess = held - bound / 8 * 7;
        let upto = batch::oldest(self.workers.iter().map(|worker| &worker.shard), excess);
        self.workers.par_iter_mut().for_each(|worker| {
            worker.shard.evict(upto);
            worker.settle(policies, keep);
        });
    }

    /// Explains flows that wait by what other flows announced, and adds them up.
    fn resolve(&mut self) {
        for worker in &mut self.workers {
            self.announced.append(&mut worker.shard.announced);
        }
        let known = associate::Known::new(&mut self.announced);
        let (policies, keep) = (&self.options.policies, self.keep);
        self.workers.par_iter_mut().for_each(|worker| {
            for mut flow in std::mem::take(&mut worker.pending) {
                known.explain(&mut flow);
                worker.add(flow, policies, keep);
            }
        });
    }

    /// Closes what is open and adds everything up.
    fn finish(mut self) -> (Tally, Vec<(FlowSummary, Vec<Verdict>)>) {
        let leftovers = batch::leftovers(&mut self.fragments, self.frames, &mut self.tally);
        let (policies, keep) = (&self.options.policies, self.keep);
        self.workers.par_iter_mut().enumerate().for_each(|(number, worker)| {
            batch::serve_late(&mut worker.shard, number, &leftovers);
            worker.shard.finish();
            worker.settle(policies, keep);
        });
        self.resolve();
        let mut flows = Vec::new();
        for mut worker in self.workers {
            worker.tally.timeline.coarsen(worker.shard.interval_level());
            self.tally.merge(worker.tally);
            flows.extend(worker.flows);
        }
        self.tally.breakdowns.end_capture();
        flows.par_sort_unstable_by_key(|(flow, _)| (flow.first_frame, flow.last_ns));
        (self.tally, flows)
    }
}

impl Worker {
    /// Takes over the flows that the shard has closed.
    fn settle(&mut self, policies: &[Policy], keep: bool) {
        for flow in std::mem::take(&mut self.shard.closed) {
            if associate::may_be_announced(&flow) {
                self.pending.push(flow);
            } else {
                self.add(flow, policies, keep);
            }
        }
    }

    fn pending_memory(&self) -> usize {
        self.pending.len() * (size_of::<FlowSummary>() + 64)
    }

    /// Grades a flow and adds it up.
    fn add(&mut self, flow: FlowSummary, policies: &[Policy], keep: bool) {
        let verdicts: Vec<Verdict> = if flow.class == Class::Encrypted {
            policies.iter().map(|policy| policy.grade(flow.protocol, flow.facts.as_deref())).collect()
        } else {
            Vec::new()
        };
        self.tally.add_flow(&flow, &verdicts);
        if let Some(plan) = &self.plan {
            self.tally.breakdowns.add_flow(&flow, plan);
        }
        self.tally.add_loss(Loss::MissingSegments, u64::from(flow.gaps));
        self.tally.add_loss(Loss::ConflictingSegments, u64::from(flow.conflicts));
        if flow.key.transport() == Transport(0) {
            return;
        }
        for (word, loss) in [
            ("evicted", Loss::EvictedFlows),
            ("one_sided", Loss::OneSidedFlows),
            ("midstream", Loss::MidstreamFlows),
            ("cut_short", Loss::HandshakeCutShort),
        ] {
            self.tally.add_loss(loss, u64::from(flow.flags.contains(&word)));
        }
        if keep {
            self.flows.push((flow, verdicts));
        }
    }
}
