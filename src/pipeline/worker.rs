//! A shard with all that its flows amount to, and how threads share the work.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

use super::Options;
use super::associate::{self, Announced};
use super::budget::Budget;
use crate::flow::{Announcement, Limits, SHARDS, Shard};
use crate::grade::{Policy, Verdict};
use crate::model::{Class, Facts, FlowPart, FlowSummary, Loss, Seed, Sign, Transport};
use crate::tally::{Alike, Collector, Plan, Tally, Timeline};

/// A closed flow with its verdicts.
pub(super) type Closed = (FlowSummary, Vec<Verdict>);

/// A shard with its sums.
pub(super) struct Worker {
    pub(super) shard: Shard,
    pub(super) sums: Account,
    /// Flows that may still be explained by what another flow announced.
    pub(super) pending: Vec<FlowSummary>,
    /// What its flows announced, as far as it is kept.
    pub(super) announced: Announced,
    /// The connection IDs of its QUIC flows, as far as they are kept; apart, because nearly all flows of a web are QUIC.
    pub(super) connections: Announced,
    /// Most announcements to keep of either kind, for each of [`SHARDS`].
    pub(super) most_announced: usize,
}

/// Flows that are closed and explained: graded, added up, and kept if their records are wanted.
pub(super) struct Account {
    pub(super) tally: Tally,
    /// What goes into the sums of all accounts when the capture has ended.
    pub(super) alike: Arc<Kinds>,
    /// The hosts of all accounts.
    pub(super) hosts: Arc<Collector>,
    pub(super) plan: Option<Arc<Plan>>,
    pub(super) policies: Arc<Vec<Policy>>,
    /// Records are wanted.
    pub(super) keep: bool,
    pub(super) flows: Vec<Closed>,
    /// Memory of `flows`, roughly.
    pub(super) kept_bytes: usize,
    /// Something was added up.
    pub(super) used: bool,
}

/// Flows that are alike, apart for each thread that adds flows up: few threads, and many shards, meet one kind again.
pub(super) struct Kinds(Vec<Mutex<Alike>>);

impl Kinds {
    /// Without flows, for as many threads; all kinds of handshakes together get `bytes`.
    pub(super) fn new(threads: usize, bytes: usize) -> Self {
        /// Enough for what the clients and servers of one network say. Unit: bytes.
        const ENOUGH: usize = 2 << 20;
        let room = (bytes / threads.max(1)).min(ENOUGH);
        Self((0..threads.max(1)).map(|_| Mutex::new(Alike::within(room))).collect())
    }

    fn of_this_thread(&self) -> MutexGuard<'_, Alike> {
        let number = rayon::current_thread_index().unwrap_or(0) % self.0.len();
        lock(&self.0[number])
    }

    /// Moves share `number` of `shares` into `tally`: what is one thread's is in one share.
    pub(super) fn add_share(&self, number: usize, shares: usize, tally: &mut Tally) {
        let own = self.0.iter().skip(number).step_by(shares);
        own.for_each(|alike| tally.add_alike(std::mem::take(&mut *lock(alike))));
    }

    /// Gives `other`, which is new, the same flows.
    pub(super) fn copy_to(&self, other: &Self) {
        self.0.iter().zip(&other.0).for_each(|(from, to)| lock(to).clone_from(&lock(from)));
    }
}

fn lock(alike: &Mutex<Alike>) -> MutexGuard<'_, Alike> {
    alike.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Workers side by side, each a task of its own. A thread begins with its own ones, whose flows its caches hold and whose
/// memory is its own; who has nothing left takes over from the others, the last first.
pub(super) fn each(workers: &mut [Worker], act: impl Fn(usize, &mut Worker) + Sync) {
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

/// Memory of the parts of a flow, beside the flow itself. Unit: bytes.
fn parts_memory(flow: &FlowSummary) -> usize {
    flow.parts.capacity() * size_of::<FlowPart>()
}

/// Sums before the first flow.
pub(super) fn no_flows(options: &Options, budget: &Budget) -> Tally {
    let mut tally = Tally { timeline: Timeline::new(options.steps), ..Tally::default() };
    tally.limit_watch(budget.watch);
    tally
}

impl Worker {
    /// A worker without flows, whose table hashes with `seed`; with `keep` it keeps flows for their records.
    pub(super) fn new(
        options: &Options,
        budget: &Budget,
        seed: Seed,
        (hosts, alike): (&Arc<Collector>, &Arc<Kinds>),
        keep: bool,
    ) -> Self {
        Self {
            shard: Shard::new(Limits { trace: options.trace, ..Limits::default() }, options.steps, seed),
            sums: Account {
                tally: no_flows(options, budget),
                alike: Arc::clone(alike),
                hosts: Arc::clone(hosts),
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
        }
    }

    /// Takes over the flows that the shard has closed.
    pub(super) fn settle(&mut self) {
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
    pub(super) fn explain(&mut self, known: &associate::Known) {
        for mut flow in std::mem::take(&mut self.pending) {
            known.explain(&mut flow);
            self.sums.add(flow);
        }
    }

    /// The capture has ended: adds up all flows up to the first frame `upto` but those that others may explain.
    pub(super) fn end(&mut self, upto: u64) {
        let sums = &mut self.sums;
        self.shard.end(upto, associate::may_be_announced, |flow| sums.add(flow));
        self.settle();
    }

    /// Explains the flows up to the first frame `upto` that waited for it, and adds them up.
    pub(super) fn close(&mut self, upto: u64, known: &associate::Known) {
        let sums = &mut self.sums;
        self.shard.finish(upto, |mut flow| {
            known.explain(&mut flow);
            sums.add(flow);
        });
    }

    /// Takes the sums out.
    pub(super) fn take_tally(&mut self) -> Tally {
        let mut tally = std::mem::take(&mut self.sums.tally);
        tally.timeline.coarsen(self.shard.interval_level());
        tally
    }

    pub(super) fn pending_memory(&self) -> usize {
        self.pending.iter().map(|flow| size_of::<FlowSummary>() + 64 + parts_memory(flow)).sum()
    }
}

impl Account {
    /// Grades a flow and adds it up.
    fn add(&mut self, flow: FlowSummary) {
        self.used = true;
        let grade = || match flow.class {
            Class::Encrypted => {
                self.policies.iter().map(|policy| policy.grade(flow.protocol, flow.facts.as_deref())).collect()
            }
            _ => Vec::new(),
        };
        let mut alike = self.alike.of_this_thread();
        let verdicts = self.tally.add_flow_among(&mut alike, &flow, grade);
        let verdicts = if self.keep { verdicts.into_owned() } else { Vec::new() };
        drop(alike);
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
