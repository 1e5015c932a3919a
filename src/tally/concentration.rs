//! How much of the traffic a few flows and hosts make up, and how encryption is spread over clients.
//!
//! A capture is the whole within which hosts are told apart: an address in two captures is two hosts. So a report needs
//! to hold no address, nor a hash that could be turned back into one, and reports still merge exactly: the ten largest of
//! two captures are among the ten largest of each, and clients are counted by their share.
//!
//! A host is measured by what it sent, so that every byte has one host. Memory: at most [`MOST_HOSTS`] hosts of the capture
//! that is being read; a capture with more has no figure about hosts and clients, which is counted and said. Tallies of one
//! capture hold few hosts each, and hand them over to one [`Collector`].

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use rayon::prelude::*;
use serde::{Serialize, Serializer};

use crate::model::{Address, Class, Counts, FlowSummary};

/// How many flows or hosts are "the largest".
pub const LARGEST: usize = 10;

/// Hosts of one capture that are told apart.
pub const MOST_HOSTS: usize = 1 << 17;

/// Hosts that a tally holds before it hands them over: what a table of 512 places takes.
const MOST_HELD: usize = 448;

/// Hosts of a capture that several tallies see parts of. Each address has one stripe, so that those who hand over at the
/// same time seldom wait for each other.
#[derive(Debug, Default)]
pub struct Collector {
    stripes: [Mutex<Sums>; STRIPES],
    /// Hosts in all stripes; once that is too many, none is kept.
    hosts: AtomicUsize,
}

/// Stripes of a [`Collector`].
const STRIPES: usize = 16;

/// The largest flows and hosts, and clients by their share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Concentration {
    /// Bytes of the largest flows that no share leaves out.
    pub flows: Largest,
    /// Bytes sent by the largest senders of the captures that have ended.
    pub hosts: Largest,
    /// Clients of the captures that have ended, by their encrypted share by wire bytes in thousandths, rounded down.
    pub clients: BTreeMap<u16, u64>,
    /// Captures with more than [`MOST_HOSTS`] hosts, which are neither in `hosts` nor in `clients`.
    pub uncounted_captures: u64,
    seen: Hosts,
}

/// The largest of some amounts, at most [`LARGEST`], in descending order. Unit: wire bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Largest(Vec<u64>);

/// Hosts of the capture that is being read.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Hosts {
    #[serde(serialize_with = "in_order")]
    sums: Sums,
    too_many: bool,
}

/// Hosts by address. Hashed with a secret of the run, because a capture may come from an attacker.
type Sums = HashMap<Address, Host, RandomState>;

/// Written in one order, whatever the order of the table.
fn in_order<S: Serializer>(sums: &Sums, serializer: S) -> Result<S::Ok, S::Error> {
    sums.iter().map(|(address, host)| (IpAddr::from(*address), host)).collect::<BTreeMap<_, _>>().serialize(serializer)
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Host {
    sent: u64,
    /// Of its flows as a client, encrypted and in all.
    encrypted: u64,
    whole: u64,
}

impl Largest {
    /// Adds one amount.
    pub fn add(&mut self, amount: u64) {
        let is_among = self.0.get(LARGEST - 1).is_none_or(|last| *last < amount);
        if is_among && amount > 0 {
            self.0.truncate(LARGEST - 1);
            self.0.insert(self.0.partition_point(|larger| *larger >= amount), amount);
        }
    }

    /// The amounts, largest first.
    #[must_use]
    pub fn amounts(&self) -> &[u64] {
        &self.0
    }

    fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|amount| self.add(*amount));
    }
}

impl Host {
    fn add(&mut self, more: Self) {
        self.sent += more.sent;
        self.encrypted += more.encrypted;
        self.whole += more.whole;
    }
}

impl Hosts {
    fn too_many() -> Self {
        Self { sums: Sums::default(), too_many: true }
    }

    fn add(&mut self, address: Address, more: Host) {
        if self.too_many {
            return;
        }
        self.sums.entry(address).or_default().add(more);
        if self.sums.len() > MOST_HOSTS {
            *self = Self::too_many();
        }
    }

    /// Takes all of `other`.
    fn take(&mut self, other: &mut Self) {
        if self.too_many || other.too_many {
            *self = Self::too_many();
            other.sums.clear();
            return;
        }
        if other.sums.len() > self.sums.len() {
            std::mem::swap(self, other);
        }
        for (address, host) in std::mem::take(&mut other.sums) {
            self.add(address, host);
        }
    }
}

impl Collector {
    fn has_too_many(&self) -> bool {
        self.hosts.load(Ordering::Relaxed) > MOST_HOSTS
    }

    /// The stripes with what each holds.
    fn stripes(&self) -> impl Iterator<Item = MutexGuard<'_, Sums>> {
        self.stripes.iter().map(|stripe| stripe.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes all of `hosts`.
    fn take(&self, hosts: &mut Hosts) {
        if hosts.too_many {
            self.hosts.fetch_max(MOST_HOSTS + 1, Ordering::Relaxed);
        }
        // Room for twice what a stripe has on average, so that hardly any part grows.
        let mut parts = [(); STRIPES].map(|()| Vec::with_capacity(2 * hosts.sums.len() / STRIPES));
        for (address, host) in hosts.sums.drain() {
            parts[stripe(address)].push((address, host));
        }
        for (mut stripe, part) in self.stripes().zip(parts) {
            let before = stripe.len();
            for (address, host) in part {
                stripe.entry(address).or_default().add(host);
            }
            self.hosts.fetch_add(stripe.len() - before, Ordering::Relaxed);
            if self.has_too_many() {
                *stripe = Sums::default();
            }
        }
        if self.has_too_many() {
            *hosts = Hosts::too_many();
        }
    }
}

/// The stripe of an address.
fn stripe(address: Address) -> usize {
    (address.folded() >> 32) as usize % STRIPES
}

impl Concentration {
    /// Adds a closed flow; `rest` is what of it has the class of the flow.
    pub(super) fn add_flow(&mut self, flow: &FlowSummary, rest: Counts) {
        if flow.class == Class::Control {
            return;
        }
        let whole = flow.total().wire_bytes;
        self.flows.add(whole);
        let encrypted = if flow.class == Class::Encrypted { rest.wire_bytes } else { 0 };
        let [client, server] = [flow.client, flow.client.other()].map(|side| flow.key.address(side));
        self.seen.add(client, Host { sent: flow.from_client.wire_bytes, encrypted, whole });
        self.seen.add(server, Host { sent: flow.from_server.wire_bytes, ..Host::default() });
    }

    /// The capture has ended: its hosts turn into sums and are forgotten.
    pub(super) fn end_capture(&mut self) {
        let Hosts { sums, too_many } = std::mem::take(&mut self.seen);
        self.uncounted_captures += u64::from(too_many);
        self.end_hosts(sums);
    }

    /// The capture has ended: its hosts, these and those in `all`, turn into sums and are forgotten.
    pub(super) fn end_collected(&mut self, all: &Collector) {
        self.hand_all_over(all);
        let too_many = all.hosts.swap(0, Ordering::Relaxed) > MOST_HOSTS;
        self.uncounted_captures += u64::from(too_many);
        let stripes: Vec<Sums> = all.stripes().map(|mut stripe| std::mem::take(&mut *stripe)).collect();
        let ended = stripes.into_par_iter().filter(|_| !too_many).map(|stripe| {
            let mut sums = Self::default();
            sums.end_hosts(stripe);
            sums
        });
        ended.collect::<Vec<_>>().into_iter().for_each(|sums| self.merge(sums));
    }

    fn end_hosts(&mut self, sums: Sums) {
        for host in sums.into_values() {
            self.hosts.add(host.sent);
            let thousandths = u128::from(host.encrypted) * 1000;
            if let Some(share) = thousandths.checked_div(u128::from(host.whole)) {
                *self.clients.entry(u16::try_from(share).unwrap_or(1000)).or_default() += 1;
            }
        }
    }

    /// The hosts of a capture that goes on in another part.
    pub(super) fn suspend(&mut self) -> Hosts {
        std::mem::take(&mut self.seen)
    }

    /// Goes on with the hosts of the part before.
    pub(super) fn resume(&mut self, hosts: Hosts) {
        self.seen = hosts;
    }

    /// Hands the hosts over to `all` when there are many; when those are too many, no more are held here.
    pub(super) fn hand_over(&mut self, all: &Collector) {
        if self.seen.sums.len() < MOST_HELD {
            return;
        }
        all.take(&mut self.seen);
    }

    /// Hands all hosts over to `all`.
    pub(super) fn hand_all_over(&mut self, all: &Collector) {
        all.take(&mut self.seen);
        self.seen = Hosts::default();
    }

    /// Takes the hosts that were handed over to `all`.
    pub(super) fn take_collected(&mut self, all: &Collector) {
        self.take_stripes(all, std::mem::take);
        all.hosts.store(0, Ordering::Relaxed);
    }

    /// Takes copies of the hosts that were handed over to `all`.
    pub(super) fn copy_collected(&mut self, all: &Collector) {
        self.take_stripes(all, |stripe| stripe.clone());
    }

    fn take_stripes(&mut self, all: &Collector, get: impl Fn(&mut Sums) -> Sums) {
        let too_many = all.has_too_many();
        for mut stripe in all.stripes() {
            self.seen.take(&mut Hosts { sums: get(&mut stripe), too_many });
        }
    }

    /// Sums that a report holds.
    #[must_use]
    pub fn restored(
        flows: &[u64],
        hosts: &[u64],
        clients: impl IntoIterator<Item = (u16, u64)>,
        uncounted_captures: u64,
    ) -> Self {
        let mut restored = Self { uncounted_captures, ..Self::default() };
        flows.iter().for_each(|amount| restored.flows.add(*amount));
        hosts.iter().for_each(|amount| restored.hosts.add(*amount));
        for (share, count) in clients {
            *restored.clients.entry(share).or_default() += count;
        }
        restored
    }

    /// Adds all of `other`.
    pub(super) fn merge(&mut self, mut other: Self) {
        self.flows.merge(&other.flows);
        self.hosts.merge(&other.hosts);
        for (share, count) in other.clients {
            *self.clients.entry(share).or_default() += count;
        }
        self.uncounted_captures += other.uncounted_captures;
        self.seen.take(&mut other.seen);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{flow, office};
    use super::*;
    use crate::model::{Evidence, Protocol};
    use std::net::Ipv6Addr;

    fn of(flows: &[FlowSummary]) -> Concentration {
        let mut sums = Concentration::default();
        for flow in flows {
            sums.add_flow(flow, super::super::readable_and_rest(flow).1);
        }
        sums
    }

    #[test]
    fn the_ten_largest_are_kept_in_order() {
        let mut largest = Largest::default();
        [5, 1, 0, 9, 9, 3, 4, 8, 7, 2, 6, 10, 0].iter().for_each(|amount| largest.add(*amount));
        assert_eq!(largest.amounts(), [10, 9, 9, 8, 7, 6, 5, 4, 3, 2]);
    }

    #[test]
    fn the_office_by_hand() {
        let mut sums = of(&office());
        assert!(sums.hosts.amounts().is_empty(), "the capture goes on");
        sums.end_capture();
        // Eleven flows of 5,000 bytes; the server sent 4,000 in each, its eleven clients 1,000.
        assert_eq!(sums.flows.amounts(), [5_000; 10]);
        assert_eq!(sums.hosts.amounts(), [44_000, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000]);
        // Five clients encrypt everything, the mail client 4,200 of 5,000, and five nothing.
        assert_eq!(sums.clients, BTreeMap::from([(0, 5), (840, 1), (1000, 5)]));
        assert_eq!(sums.uncounted_captures, 0);
    }

    #[test]
    fn parts_of_a_capture_join_hosts_and_captures_do_not() {
        let web = |host| flow(host, 443, Protocol::TLS, Class::Encrypted, Evidence::Framing);
        let clear = |host| flow(host, 80, Protocol::HTTP, Class::Plaintext, Evidence::Signature);
        let mut whole = of(&[web(1), clear(1), web(2)]);
        let (mut a, mut b) = (of(&[web(1)]), of(&[clear(1), web(2)]));
        b.merge(a.clone());
        assert_eq!(b, whole, "shards of one capture");
        whole.end_capture();
        assert_eq!(whole.clients, BTreeMap::from([(500, 1), (1000, 1)]));
        a.end_capture();
        let mut other = of(&[clear(1), web(2)]);
        other.end_capture();
        let mut turned = other.clone();
        turned.merge(a.clone());
        a.merge(other);
        assert_eq!(a, turned);
        assert_eq!(a.clients, BTreeMap::from([(0, 1), (1000, 2)]), "the first client is two");
        assert_eq!(a.hosts.amounts()[..2], [8_000, 4_000], "and so is the server");
    }

    #[test]
    fn too_many_hosts_are_no_figure_in_whatever_order() {
        let hosts = |from: u128, count: usize| {
            let mut hosts = Hosts::default();
            for number in 0..count {
                let address = IpAddr::V6(Ipv6Addr::from(from + number as u128));
                hosts.add(address.into(), Host { sent: 1, encrypted: 0, whole: 1 });
            }
            Concentration { seen: hosts, ..Concentration::default() }
        };
        let (few, most, more) = (hosts(0, 9), hosts(9, MOST_HOSTS - 9), hosts(1 << 64, 1));
        let close = |parts: &[&Concentration]| {
            let mut sums = Concentration::default();
            parts.iter().for_each(|part| sums.merge((*part).clone()));
            sums.end_capture();
            (sums.uncounted_captures, sums.hosts.amounts().len(), sums.clients)
        };
        assert_eq!(close(&[&few, &most]), (0, 10, BTreeMap::from([(0, MOST_HOSTS as u64)])));
        for parts in [[&few, &most, &more], [&more, &most, &few], [&most, &more, &few]] {
            assert_eq!(close(&parts), (1, 0, BTreeMap::new()));
        }
        assert_eq!(close(&[&hosts(0, MOST_HOSTS + 1), &few]).0, 1, "one part alone has too many");
        let collected = |parts: &[&Concentration]| {
            let (all, mut sums) = (Collector::default(), Concentration::default());
            for part in parts {
                let mut part = (*part).clone();
                part.hand_over(&all);
                sums.merge(part);
            }
            let mut copy = sums.clone();
            copy.copy_collected(&all);
            sums.take_collected(&all);
            assert_eq!(copy, sums);
            let closed = close(&[&sums]);
            sums.end_collected(&all);
            assert_eq!((sums.uncounted_captures, sums.hosts.amounts().len(), sums.clients), closed);
            assert!(sums.seen.sums.is_empty() && all.stripes().all(|stripe| stripe.is_empty()));
            closed
        };
        for parts in [&[&few, &most][..], &[&few, &most, &more], &[&most, &more, &few]] {
            assert_eq!(collected(parts), close(parts));
        }
        assert_eq!(close(&[&few, &hosts(0, MOST_HOSTS + 1), &few]).0, 1);
    }
}
