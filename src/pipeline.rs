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
mod run;
mod so_far;
mod started;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::ThreadPool;

use budget::Budget;
use run::{CloseSink, Read, Run, read_files};
pub use so_far::Periodic;
use so_far::{Clock, Tick};
use started::Started;
use worker::Closed;

use crate::capture::{self, Input, Source};
use crate::error::{Error, Result};
use crate::flow::SHARDS;
use crate::grade::{Policy, Verdict};
use crate::model::{FlowSummary, Loss, Steps};
use crate::tally::{Plan, Tally};

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
