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
mod budget;
mod carry;
mod group;
mod so_far;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use rayon::ThreadPool;
use rayon::prelude::*;

use associate::Announced;
use budget::Budget;
pub use so_far::Periodic;
use so_far::{Clock, Tick};

use crate::capture::{self, Batch, Description, Epoch, Input, Source};
use crate::error::{Error, Result};
use crate::flow::{Announcement, Limits, SHARDS, Shard, Sign};
use crate::grade::{Policy, Verdict};
use crate::model::{Class, Facts, FlowPart, FlowSummary, Loss, Seed, Steps, Transport};
use crate::net::fragments::Pool;
use crate::tally::{Alike, CaptureEntry, Collector, Plan, Tally, Timeline};

/// How to scan.
#[derive(Clone, Debug)]
pub struct Options {
    /// Threads; `None` is one for each core.
    pub jobs: Option<usize>,
    /// Bound on the memory of the process while it reads. Unit: bytes.
    pub max_memory: u64,
    /// Stop at the first input that cannot be read.
    pub strict: bool,
    /// Treat all inputs as one capture of one link, in time order.
    pub continued: bool,
    /// Keep, of each flow, how it was recognised.
    pub trace: bool,
    /// Policies to grade by; verdicts come in this order.
    pub policies: Arc<Vec<Policy>>,
    /// Intervals of the timeline.
    pub steps: Steps,
    /// What flows are broken down by.
    pub plan: Option<Arc<Plan>>,
    /// Shards of the flow table in use, up to 64, a power of two. Nothing depends on it: for tests of that.
    #[doc(hidden)]
    pub shards: usize,
    /// Set to stop reading: what was read up to then is reported, with [`Loss::Interrupted`] for each input that was not
    /// read to its end.
    pub stop: Arc<AtomicBool>,
}

impl Default for Options {
    /// As the program does without arguments: all cores, 1 GiB, the policy `bcp195`.
    fn default() -> Self {
        Self {
            jobs: None,
            max_memory: 1 << 30,
            strict: false,
            continued: false,
            trace: false,
            policies: Arc::new(Policy::builtin("bcp195").into_iter().collect()),
            steps: Steps::Automatic,
            plan: None,
            shards: SHARDS,
            stop: Arc::default(),
        }
    }
}

impl Options {
    /// How captures are read so that reading them keeps to its part of `max_memory`.
    #[must_use]
    pub fn reading(&self) -> capture::Options {
        let reading = Budget::of(self.max_memory).reading;
        capture::Options { decoders: self.jobs.unwrap_or(reading.decoders), ..reading }
    }
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

/// Takes each closed flow with the name of its capture: captures in the order given, flows in the order of their first
/// frames. When the records of a capture do not fit into memory they come in several such runs, one after the other.
pub type FlowSink<'a> = &'a mut dyn FnMut(&str, &FlowSummary, &[Verdict]) -> Result<()>;

/// Reads one capture and keeps, of each flow, how it was recognised ([`crate::model::Facts::trace`]); flows in the order
/// of their first frames.
///
/// # Errors
/// When the threads cannot be started, or the input cannot be read.
pub fn trace(input: &Input, options: &Options) -> Result<Vec<(FlowSummary, Vec<Verdict>)>> {
    let options = Options { trace: true, strict: true, ..options.clone() };
    let mut flows = Vec::new();
    let mut keep = |_: &str, flow: &FlowSummary, verdicts: &[Verdict]| {
        flows.push((flow.clone(), verdicts.to_vec()));
        Ok(())
    };
    scan(std::slice::from_ref(input), &options, &|_| {}, Some(&mut keep))?;
    Ok(flows)
}

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
    scan_with_reports(inputs, options, progress, flows, None)
}

/// The same, with reports of what was read so far.
///
/// # Errors
/// Those of [`scan`], and those of the periodic reports.
pub fn scan_with_reports(
    inputs: &[Input],
    options: &Options,
    progress: &(dyn Fn(u64) + Sync),
    flows: Option<FlowSink<'_>>,
    periodic: Option<Periodic<'_>>,
) -> Result<Scan> {
    let pool = threads(options)?;
    let mut scan = Scan::default();
    let mut out = Out::new(flows);
    let mut clock = Clock::new(periodic);
    let apart = clock.is_running();
    let groups = pool.install(|| group::groups(inputs, options, apart));
    for (group, behind) in groups.iter().copied().zip(groups.iter().copied().skip(1).chain([&[][..]])) {
        if options.stop.load(Ordering::Relaxed) {
            scan.tally.add_loss(Loss::Interrupted, group.len() as u64);
            continue;
        }
        if group.len() == 1 || options.continued {
            group::fetch(behind);
            let keep = out.keep;
            let closed: CloseSink<'_> = &mut |name, flows| out.write(name, flows);
            let tick: Tick<'_> = &mut |run, file, sums| clock.look(&scan.tally, run, file, sums);
            let read = read_files(Run::new(options, &pool, keep), group, progress, closed, tick);
            scan.take(read, options)?;
            continue;
        }
        let keep = out.keep;
        let read_one = |input: &Input| {
            let mut closed = Vec::new();
            let mut collect = |_: &str, mut flows: Vec<Closed>| {
                closed.append(&mut flows);
                Ok(())
            };
            let run = Run::with_shards(options, &pool, keep, 1);
            let read = read_files(run, std::slice::from_ref(input), progress, &mut collect, &mut so_far::never);
            (read, closed)
        };
        for (several, closed) in pool.install(|| group::read(group, options, read_one)) {
            for (name, flows) in closed {
                out.write(&name, flows)?;
            }
            scan.add(several, options)?;
        }
    }
    scan.tally.name_policies(&options.policies);
    Ok(scan)
}

/// A part of a capture.
#[derive(Debug)]
pub struct Part {
    /// Sums of the flows that this part closed.
    pub scan: Scan,
    /// What is open at its end, for the next part; `None` when the capture ends here.
    pub state: Option<Vec<u8>>,
}

/// Reads files that are a part of one capture, in time order. `before` is the state at the end of the part before; with
/// `more`, what is open at the end of this one is handed on instead of closed.
///
/// The reports of all parts, merged, are the report of a scan of all files as one capture, wherever it is cut.
///
/// # Errors
/// When a file cannot be read: a part with a hole would make all parts behind it wrong. When `before` is no state, when the
/// threads cannot be started, when `flows` fails.
pub fn scan_part(
    inputs: &[Input],
    options: &Options,
    before: Option<&[u8]>,
    more: bool,
    progress: &(dyn Fn(u64) + Sync),
    flows: Option<FlowSink<'_>>,
) -> Result<Part> {
    let pool = threads(options)?;
    let mut out = Out::new(flows);
    // What is carried over does not depend on the machine.
    let mut run = Run::with_shards(options, &pool, out.keep, SHARDS);
    if let Some(before) = before {
        run.resume(before).map_err(|what| Error::usage("--state-in", what))?;
    }
    let closed: CloseSink<'_> = &mut |name, flows| out.write(name, flows);
    run.read_all(inputs, progress, closed, &mut so_far::never)?;
    if let Some(error) = run.failed.pop() {
        return Err(error);
    }
    let mut scan = Scan::default();
    let state = if more && !options.stop.load(Ordering::Relaxed) {
        let (read, state) = run.suspend(closed)?;
        scan.take(Ok(read), options)?;
        Some(state)
    } else {
        let mut read = run.finish(closed)?;
        if before.is_some() {
            read.tally.note_carried();
        }
        scan.take(Ok(read), options)?;
        None
    };
    scan.tally.name_policies(&options.policies);
    Ok(Part { scan, state })
}

/// Reads one capture that is open already.
///
/// # Errors
/// When the threads cannot be started, when `flows` fails, and when the capture cannot be read.
pub fn scan_source(source: Box<dyn Source>, options: &Options, flows: Option<FlowSink<'_>>) -> Result<Scan> {
    scan_source_with_reports(source, options, flows, None)
}

/// The same, with reports of what was read so far.
///
/// # Errors
/// Those of [`scan_source`], and those of the periodic reports.
pub fn scan_source_with_reports(
    source: Box<dyn Source>,
    options: &Options,
    flows: Option<FlowSink<'_>>,
    periodic: Option<Periodic<'_>>,
) -> Result<Scan> {
    let pool = threads(options)?;
    let mut scan = Scan::default();
    let mut out = Out::new(flows);
    let mut clock = Clock::new(periodic);
    let mut run = Run::new(options, &pool, out.keep);
    let closed: CloseSink<'_> = &mut |name, flows| out.write(name, flows);
    let tick: Tick<'_> = &mut |run, file, sums| clock.look(&Tally::default(), run, file, sums);
    let read = Started::with(source)
        .and_then(|started| run.read(started, &|_| {}, closed, tick))
        .and_then(|()| run.finish(closed));
    scan.take(read, options)?;
    scan.tally.name_policies(&options.policies);
    Ok(scan)
}

fn threads(options: &Options) -> Result<ThreadPool> {
    let builder = || rayon::ThreadPoolBuilder::new().num_threads(options.jobs.unwrap_or(0));
    // Who asks is one of the threads, so that nobody has to be woken for each batch; a thread can be that once.
    let pool = builder()
        .use_current_thread()
        .build()
        .or_else(|_| builder().build())
        .map_err(|error| Error::usage("--jobs", format!("threads cannot be started: {error}")))?;
    crate::tls::share_memory(Budget::of(options.max_memory).memos, pool.current_num_threads());
    Ok(pool)
}

/// A closed flow with its verdicts.
type Closed = (FlowSummary, Vec<Verdict>);

/// Takes runs of closed flows of the capture that is named.
type CloseSink<'a> = &'a mut dyn FnMut(&str, Vec<Closed>) -> Result<()>;

/// Where flow records go, if anywhere.
struct Out<'a> {
    flows: Option<FlowSink<'a>>,
    keep: bool,
}

impl<'a> Out<'a> {
    fn new(flows: Option<FlowSink<'a>>) -> Self {
        Self { keep: flows.is_some(), flows }
    }

    fn write(&mut self, name: &str, closed: Vec<Closed>) -> Result<()> {
        let Some(sink) = self.flows.as_deref_mut() else { return Ok(()) };
        closed.iter().try_for_each(|(flow, verdicts)| sink(name, flow, verdicts))
    }
}

impl Scan {
    fn take(&mut self, read: Result<Read>, options: &Options) -> Result<()> {
        match read {
            Ok(read) => {
                self.warnings.extend(read.warnings);
                self.failed.extend(read.failed);
                self.tally.merge(read.tally);
            }
            // Where records go is no input: without it there is nothing to go on for.
            Err(error @ Error::Io(_)) => return Err(error),
            Err(error) => self.failed.push(error),
        }
        self.check(options)
    }

    /// Adds other captures.
    fn add(&mut self, other: Self, options: &Options) -> Result<()> {
        self.warnings.extend(other.warnings);
        self.failed.extend(other.failed);
        self.tally.merge(other.tally);
        self.check(options)
    }

    fn check(&mut self, options: &Options) -> Result<()> {
        if options.strict && !self.failed.is_empty() {
            return Err(self.failed.swap_remove(0));
        }
        Ok(())
    }
}

/// What one capture gives.
struct Read {
    name: String,
    tally: Tally,
    warnings: Vec<String>,
    failed: Vec<Error>,
}

/// Opens and reads one capture, or several files that are one, in the order of their first frames.
fn read_files(
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

/// A source, and its first batch.
struct Started {
    source: Box<dyn Source>,
    first: Batch,
    /// Whether there may be more than the first batch.
    more: bool,
}

impl Started {
    fn with(mut source: Box<dyn Source>) -> Result<Self> {
        let mut first = Batch::default();
        let more = source.next_batch(&mut first)?;
        Ok(Self { source, first, more })
    }
}

/// Opens an input; `None` when the user stopped before it said anything. A pipe may keep a reader waiting for as long as it
/// likes, so that a thread of its own waits there.
fn start(input: &Input, reading: capture::Options, stop: &AtomicBool) -> Result<Option<Started>> {
    if !input.is_live() {
        return capture::open(input, reading).and_then(Started::with).map(Some);
    }
    let (send, started) = mpsc::sync_channel(1);
    let input = input.clone();
    std::thread::spawn(move || send.send(capture::open(&input, reading).and_then(Started::with)));
    loop {
        match started.recv_timeout(Duration::from_millis(100)) {
            Ok(started) => return started.map(Some),
            Err(_) if stop.load(Ordering::Relaxed) => return Ok(None),
            Err(RecvTimeoutError::Timeout) => {}
            Err(error @ RecvTimeoutError::Disconnected) => return Err(Error::Io(std::io::Error::other(error))),
        }
    }
}

/// Time of the first frame of a file. The file is opened again when its turn comes, since many files open at once would
/// each hold buffers; what can be read only once stays open.
fn first_time(
    input: &Input,
    reading: capture::Options,
    stop: &AtomicBool,
) -> Result<Option<(Option<i64>, Option<Started>)>> {
    let once = input.stored_len().is_none();
    // Of what is opened again no more is read, and decompressed, than it takes.
    let reading = if once { reading } else { capture::Options { batch_bytes: 1, decoders: 1, ..reading } };
    let Some(mut started) = start(input, reading, stop)? else { return Ok(None) };
    while once && started.first.frames.is_empty() && started.more && !stop.load(Ordering::Relaxed) {
        started.more = started.source.next_batch(&mut started.first)?;
    }
    let time_ns = started.first.frames.first().map(|frame| frame.time_ns);
    Ok(Some((time_ns, once.then_some(started))))
}

/// Workers side by side, each a task of its own. A thread begins with its own ones, whose flows its caches hold and whose
/// memory is its own; who has nothing left takes over from the others, the last first.
fn each(workers: &mut [Worker], act: impl Fn(usize, &mut Worker) + Sync) {
    let threads = rayon::current_num_threads();
    let tasks: Vec<Mutex<Option<&mut Worker>>> = workers.iter_mut().map(|worker| Mutex::new(Some(worker))).collect();
    let run = |number: usize| {
        let Some(task) = tasks.get(number) else { return };
        let taken = task.lock().ok().and_then(|mut task| task.take());
        taken.into_iter().for_each(|worker| act(number, worker));
    };
    (0..threads).into_par_iter().with_max_len(1).for_each(|_| {
        let own = rayon::current_thread_index().unwrap_or(0) * tasks.len() / threads;
        let share = tasks.len().div_ceil(threads);
        (own..own + share).for_each(run);
        (0..tasks.len()).rev().for_each(run);
    });
}

/// A shard with its sums.
struct Worker {
    shard: Shard,
    sums: Account,
    /// Flows that may still be explained by what another flow announced.
    pending: Vec<FlowSummary>,
    /// What its flows announced, as far as it is kept.
    announced: Announced,
    /// The connection IDs of its QUIC flows, as far as they are kept; apart, because nearly all flows of a web are QUIC.
    connections: Announced,
    /// Most announcements to keep of either kind, for each of [`SHARDS`].
    most_announced: usize,
}

/// Flows that are closed and explained: graded, added up, and kept if their records are wanted.
struct Account {
    tally: Tally,
    /// What goes into `tally` when that is taken out.
    alike: Alike,
    /// The hosts of all accounts.
    hosts: Arc<Collector>,
    plan: Option<Arc<Plan>>,
    policies: Arc<Vec<Policy>>,
    /// Records are wanted.
    keep: bool,
    flows: Vec<Closed>,
    /// Memory of `flows`, roughly.
    kept_bytes: usize,
    /// Something was added up.
    used: bool,
}

/// One capture on its way through the stages.
struct Run<'a> {
    /// Where the next file goes on.
    epoch: Epoch,
    options: &'a Options,
    pool: &'a ThreadPool,
    budget: Budget,
    name: String,
    workers: Vec<Worker>,
    /// Hosts that the workers handed over.
    hosts: Arc<Collector>,
    pieces: Vec<batch::Piece>,
    fragments: Pool,
    tally: Tally,
    /// What keys are hashed with.
    seed: Seed,
    frames: u64,
    now_ns: i64,
    warnings: Vec<String>,
    failed: Vec<Error>,
}

impl<'a> Run<'a> {
    /// With as many shards as its threads have use for: few enough that the packets of each are many, enough that nobody waits
    /// long for who has the last.
    fn new(options: &'a Options, pool: &'a ThreadPool, keep: bool) -> Self {
        let shards = (8 * pool.current_num_threads()).next_power_of_two().min(SHARDS);
        Self::with_shards(options, pool, keep, shards)
    }

    /// Nothing but time depends on the number of shards: each costs more than a small capture itself.
    fn with_shards(options: &'a Options, pool: &'a ThreadPool, keep: bool, shards: usize) -> Self {
        let (budget, seed) = (Budget::of(options.max_memory), Seed::random());
        let tally = || {
            let mut tally = Tally { timeline: Timeline::new(options.steps), ..Tally::default() };
            tally.limit_watch(budget.watch);
            tally
        };
        let hosts = Arc::default();
        let worker = || Worker {
            shard: Shard::new(Limits { trace: options.trace, ..Limits::default() }, options.steps, seed),
            sums: Account {
                tally: tally(),
                alike: Alike::default(),
                hosts: Arc::clone(&hosts),
                plan: options.plan.clone(),
                policies: Arc::clone(&options.policies),
                keep,
                flows: Vec::new(),
                kept_bytes: 0,
                used: false,
            },
            pending: Vec::new(),
            announced: Announced::default(),
            connections: Announced::default(),
            most_announced: budget.announcements / (SHARDS * 4 * size_of::<Announcement>()),
        };
        Self {
            epoch: Epoch::default(),
            options,
            pool,
            budget,
            name: String::new(),
            workers: std::iter::repeat_with(worker).take(shards).collect(),
            hosts,
            pieces: Vec::new(),
            fragments: Pool::new(budget.fragments),
            tally: tally(),
            seed,
            frames: 0,
            now_ns: i64::MIN,
            warnings: Vec::new(),
            failed: Vec::new(),
        }
    }

    /// Reads one file, or several in the order of their first frames. Files that cannot be read are among the failed.
    fn read_all(
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
    fn read(
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
    fn add_file(&mut self, description: Description, sums: &batch::Sums) -> Vec<String> {
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

    /// Memory of the closed flows that are kept for their records. Unit: bytes.
    fn kept_memory(&self) -> usize {
        self.workers.iter().map(|worker| worker.sums.kept_bytes).sum()
    }

    /// The closed flows kept so far, in the order of their first frames.
    fn take_flows(&mut self) -> Vec<Closed> {
        let mut flows = Vec::new();
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
    fn keys(&self) -> batch::Keys {
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
    fn finish(mut self, closed: CloseSink<'_>) -> Result<Read> {
        self.pool.install(|| self.close());
        let flows = self.take_flows();
        closed(&self.name, flows)?;
        let Self { name, mut tally, workers, hosts, warnings, failed, pool, .. } = self;
        pool.install(|| {
            // Most shards of a small capture saw nothing.
            let used = workers.into_par_iter().filter(|worker| worker.sums.used);
            let tallies = used.map(|mut worker| {
                let mut tally = worker.take_tally();
                tally.hand_all_hosts_over(&hosts);
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
    fn suspend(mut self, closed: CloseSink<'_>) -> Result<(Read, Vec<u8>)> {
        let flows = self.take_flows();
        closed(&self.name, flows)?;
        for worker in &mut self.workers {
            self.tally.merge(worker.take_tally());
        }
        self.tally.take_hosts(&self.hosts);
        let state = self.carry().map_err(|what| Error::usage("--state-out", what))?;
        let Self { name, tally, warnings, failed, .. } = self;
        Ok((Read { name, tally, warnings, failed }, state))
    }

    /// What is open ends; what others cannot explain is added up at once, to make room. Then all is known that flows announced
    /// about others, and the rest is added up.
    fn close(&mut self) {
        let keys = self.keys();
        let leftovers = batch::leftovers(&mut self.fragments, self.frames, keys, &mut self.tally);
        each(&mut self.workers, |number, worker| {
            batch::serve_late(&mut worker.shard, number, &leftovers);
            worker.end();
        });
        let known = self.known();
        each(&mut self.workers, |_, worker| worker.close(&known));
    }
}

/// Memory of the parts of a flow, beside the flow itself. Unit: bytes.
fn parts_memory(flow: &FlowSummary) -> usize {
    flow.parts.capacity() * size_of::<FlowPart>()
}

impl Worker {
    /// Takes over the flows that the shard has closed.
    fn settle(&mut self) {
        for announcement in self.shard.announced.drain(..) {
            let lists = match announcement.by {
                Sign::End(_) => &mut self.announced,
                Sign::Connection(_) => &mut self.connections,
            };
            if !lists.keep(announcement, self.most_announced) {
                self.sums.used = true;
                self.sums.tally.add_loss(Loss::ForgottenAnnouncements, 1);
            }
        }
        for flow in std::mem::take(&mut self.shard.closed) {
            if associate::may_be_announced(flow.class, flow.protocol) {
                self.pending.push(flow);
            } else {
                self.sums.add(flow);
            }
        }
    }

    /// Adds up what waited.
    fn explain(&mut self, known: &associate::Known) {
        for mut flow in std::mem::take(&mut self.pending) {
            known.explain(&mut flow);
            self.sums.add(flow);
        }
    }

    /// The capture has ended: adds up all flows but those that others may explain.
    fn end(&mut self) {
        let sums = &mut self.sums;
        self.shard.end(associate::may_be_announced, |flow| sums.add(flow));
        self.settle();
    }

    /// Explains the flows that waited for it, and adds them up.
    fn close(&mut self, known: &associate::Known) {
        self.explain(known);
        let sums = &mut self.sums;
        self.shard.finish(|mut flow| {
            known.explain(&mut flow);
            sums.add(flow);
        });
    }

    /// Takes the sums out.
    fn take_tally(&mut self) -> Tally {
        let mut tally = std::mem::take(&mut self.sums.tally);
        tally.add_alike(std::mem::take(&mut self.sums.alike));
        tally.timeline.coarsen(self.shard.interval_level());
        tally
    }

    fn pending_memory(&self) -> usize {
        self.pending.iter().map(|flow| size_of::<FlowSummary>() + 64 + parts_memory(flow)).sum()
    }
}

impl Account {
    /// Grades a flow and adds it up.
    fn add(&mut self, flow: FlowSummary) {
        self.used = true;
        let verdicts: Vec<Verdict> = if flow.class == Class::Encrypted {
            self.policies.iter().map(|policy| policy.grade(flow.protocol, flow.facts.as_deref())).collect()
        } else {
            Vec::new()
        };
        self.tally.add_flow_among(&mut self.alike, &flow, &verdicts);
        self.tally.hand_hosts_over(&self.hosts);
        if let Some(plan) = &self.plan {
            self.tally.breakdowns.add_flow(&flow, plan);
        }
        self.tally.add_loss(Loss::MissingSegments, u64::from(flow.gaps));
        self.tally.add_loss(Loss::ConflictingSegments, u64::from(flow.conflicts));
        if flow.key.transport() == Transport(0) {
            return;
        }
        if !flow.flags.is_empty() {
            self.add_losses(&flow);
        }
        if self.keep {
            self.kept_bytes +=
                size_of::<Closed>() + 64 + parts_memory(&flow) + flow.facts.as_deref().map_or(0, Facts::memory);
            self.flows.push((flow, verdicts));
        }
    }

    /// What of a flow was not seen.
    fn add_losses(&mut self, flow: &FlowSummary) {
        for (word, loss) in [
            ("evicted", Loss::EvictedFlows),
            ("one_sided", Loss::OneSidedFlows),
            ("midstream", Loss::MidstreamFlows),
            ("cut_short", Loss::HandshakeCutShort),
        ] {
            self.tally.add_loss(loss, u64::from(flow.flags.contains(&word)));
        }
    }
}
