//! Flows that are known only because another flow announced them: FTP data, media from SDP, QUIC packets with the
//! connection ID of a connection whose start was seen elsewhere (RFC 9000 sections 5.1 and 9: after a pause, a new NAT
//! binding or a move to another address).
//!
//! Not handled: connections that changed to IDs of NEW_CONNECTION_ID frames, which are encrypted, and clients without an
//! ID of their own where only their side was captured.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::BuildHasher;
use std::net::IpAddr;

use foldhash::fast::RandomState;
use rayon::prelude::*;

use crate::flow::Announcement;
use crate::model::{Class, ConnectionId, Endpoint, Evidence, FlowSummary, Opening, Protocol, Side, Sign, Transport};

/// All announcements of a capture.
pub(super) struct Known {
    by_endpoint: HashMap<Endpoint, Protocol>,
    /// By the hosts of the flow that said so and the announced port: an address inside FTP is often not the one on the
    /// wire (RFC 2428 sends none, RFC 3022 section 4.3 rewrites it), and the data goes between the same two hosts.
    by_hosts: HashMap<([IpAddr; 2], u16), Protocol>,
    connections: Connections,
}

/// Announcements, as far as they are kept, by the shard of the flow that made them: what is kept is the same however many
/// shards there are.
#[derive(Clone, Default)]
pub(super) struct Announced(BTreeMap<u8, List>);

/// Announcements, each once. Hashed with a secret of the run, because a capture may come from an attacker.
pub(super) type List = HashSet<Announcement, RandomState>;

impl Announced {
    /// Keeps one more, of each shard the `most` that come first; `false` when it is lost.
    pub(super) fn keep(&mut self, announcement: Announcement, most: usize) -> bool {
        let list = self.0.entry(announcement.shard).or_default();
        if list.len() < most {
            list.insert(announcement);
            return true;
        }
        list.contains(&announcement)
    }

    /// The lists, none of them empty.
    pub(super) fn lists(&self) -> impl Iterator<Item = &List> {
        self.0.values()
    }
}

impl FromIterator<Announcement> for Announced {
    fn from_iter<I: IntoIterator<Item = Announcement>>(all: I) -> Self {
        let mut announced = Self::default();
        all.into_iter().for_each(|announcement| _ = announced.keep(announcement, usize::MAX));
        announced
    }
}

/// The QUIC connections that are known by an ID.
struct Connections {
    /// An ID, and a host that has part in the connection: one of the two moves at a time. Each ID has one of the sets, so that
    /// they can be made side by side: nearly all flows of a web are QUIC.
    known: Vec<HashSet<(ConnectionId, IpAddr), RandomState>>,
    /// What decides the set of an ID.
    place: RandomState,
    /// The lengths of the IDs, as bits: a short header does not say how long its ID is.
    lengths: u32,
}

impl Connections {
    fn new(announced: &[&List]) -> Self {
        let places = rayon::current_num_threads();
        let place = RandomState::default();
        let split = |announced: &&List| {
            let (mut parts, mut lengths) = (vec![Vec::new(); places], 0);
            for announcement in announced.iter() {
                if let Sign::Connection(id) = announcement.by {
                    lengths |= 1 << id.len();
                    parts[place.hash_one(id) as usize % places].push((id, announcement.said_by.map(|end| end.ip)));
                }
            }
            (parts, lengths)
        };
        let split: Vec<_> = announced.par_iter().map(split).collect();
        let put_together = |number: usize| {
            let parts = split.iter().flat_map(|(parts, _)| &parts[number]);
            parts.flat_map(|(id, hosts)| hosts.map(|host| (*id, host))).collect()
        };
        let known = (0..places).into_par_iter().map(put_together).collect();
        Self { known, lengths: split.iter().fold(0, |all, (_, lengths)| all | lengths), place }
    }

    /// Whether one of the two openings has the ID of a connection that one of the two hosts has part in.
    fn knows(&self, openings: &[Opening; 2], hosts: [IpAddr; 2]) -> bool {
        let lengths = (ConnectionId::SHORTEST..=ConnectionId::LONGEST).filter(|len| self.lengths >> len & 1 == 1);
        lengths
            .flat_map(|len| openings.iter().filter_map(move |opening| opening.get(1..=len)))
            .filter_map(ConnectionId::new)
            .any(|id| {
                let known = &self.known[self.place.hash_one(id) as usize % self.known.len()];
                hosts.iter().any(|host| known.contains(&(id, *host)))
            })
    }
}

/// Protocols that stay open until it is known what was announced about them.
const UNDECIDED: &[&str] = &["unknown", "rtp", "rtcp"];

/// Whether an announcement could still say more about this flow than its own bytes did.
pub(super) fn may_be_announced(class: Class, protocol: Protocol) -> bool {
    class != Class::Control && class != Class::Encrypted && UNDECIDED.contains(&protocol.name())
}

impl Known {
    /// Orders what was announced of ends; of two announcements that contradict each other about an endpoint, the one that
    /// claims less (plaintext before encrypted) holds. Connections have no order.
    pub(super) fn new(ends: impl Iterator<Item = Announcement>, connections: &[&List]) -> Self {
        let mut announced: Vec<Announcement> = ends.collect();
        announced.sort_unstable_by_key(|a| (a.by, a.protocol.name(), a.said_by));
        announced.dedup();
        let mut by_endpoint: HashMap<Endpoint, Protocol> = HashMap::with_capacity(announced.len());
        let mut by_hosts = HashMap::new();
        for announcement in &announced {
            let hosts = announcement.said_by.map(|end| end.ip);
            let Sign::End(endpoint) = announcement.by else { continue };
            by_endpoint
                .entry(endpoint)
                .and_modify(|known| {
                    if class(*known) == Class::Encrypted {
                        *known = announcement.protocol;
                    }
                })
                .or_insert(announcement.protocol);
            if !is_media(announcement.protocol) {
                by_hosts.entry((hosts, endpoint.port)).or_insert(announcement.protocol);
            }
        }
        Self { by_endpoint, by_hosts, connections: Connections::new(connections) }
    }

    /// Gives the flow the protocol that was announced for one of its ends.
    pub(super) fn explain(&self, flow: &mut FlowSummary) {
        let hosts = [Side::Low, Side::High].map(|side| flow.key.endpoint(side).ip);
        let Some(protocol) = self.of_ends(flow, hosts).or_else(|| self.of_connection(flow, hosts)) else { return };
        flow.class = class(protocol);
        flow.protocol = protocol;
        flow.evidence = Evidence::Association;
        flow.flags.retain(|flag| !matches!(*flag, "looks_random" | "looks_text" | "undetermined"));
    }

    /// What was announced for one of the ends of the flow.
    fn of_ends(&self, flow: &FlowSummary, hosts: [IpAddr; 2]) -> Option<Protocol> {
        if self.by_endpoint.is_empty() {
            return None;
        }
        let announced = [Side::Low, Side::High].into_iter().find_map(|side| {
            let end = flow.key.endpoint(side);
            if let Some(protocol) = self.by_hosts.get(&(hosts, end.port)) {
                return Some(*protocol);
            }
            // RTCP uses the port after that of RTP unless told otherwise (RFC 3550 section 11).
            let even = Endpoint { port: end.port & !1, ..end };
            self.by_endpoint
                .get(&end)
                .or_else(|| self.by_endpoint.get(&even).filter(|known| is_media(**known)))
                .copied()
        });
        let stream = flow.key.transport() == Transport::TCP;
        announced.filter(|protocol| is_media(*protocol) != stream)
    }

    /// QUIC, when the flow goes on with a connection whose start is known.
    fn of_connection(&self, flow: &FlowSummary, hosts: [IpAddr; 2]) -> Option<Protocol> {
        let openings = flow.openings.as_deref().filter(|_| flow.class == Class::Unknown)?;
        self.connections.knows(openings, hosts).then_some(Protocol::QUIC)
    }
}

fn is_media(protocol: Protocol) -> bool {
    matches!(protocol.name(), "rtp" | "rtcp" | "srtp" | "srtcp" | "t38")
}

fn class(protocol: Protocol) -> Class {
    if matches!(protocol.name(), "srtp" | "srtcp" | "quic") { Class::Encrypted } else { Class::Plaintext }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announcement(port: u16, shard: u8) -> Announcement {
        let end = |port| Endpoint { ip: IpAddr::from([192, 0, 2, 1]), port };
        Announcement { by: Sign::End(end(port)), protocol: Protocol::HTTP, said_by: [end(1), end(2)], shard }
    }

    /// What is kept is decided for each sixty-fourth of the keys, so that it does not depend on who else is in the same shard.
    #[test]
    fn each_shard_keeps_its_first_whoever_else_is_there() {
        let come = [(10, 3), (11, 5), (12, 3), (10, 3), (13, 3), (11, 3), (14, 5), (15, 5)];
        let keep = |those: &dyn Fn(u8) -> bool| {
            let mut kept = Announced::default();
            let mine = come.iter().filter(|(_, shard)| those(*shard));
            let answers: Vec<bool> = mine.map(|(port, shard)| kept.keep(announcement(*port, *shard), 2)).collect();
            let lists: Vec<BTreeMap<u16, u8>> = kept
                .lists()
                .map(|list| {
                    let port = |by| if let Sign::End(end) = by { end.port } else { 0 };
                    list.iter().map(|announcement| (port(announcement.by), announcement.shard)).collect()
                })
                .collect();
            (answers, lists)
        };
        let (answers, lists) = keep(&|_| true);
        assert_eq!(answers, [true, true, true, true, false, false, true, false]);
        assert_eq!(lists, [BTreeMap::from([(10, 3), (12, 3)]), BTreeMap::from([(11, 5), (14, 5)])]);
        assert_eq!(keep(&|shard| shard == 3).1, lists[..1]);
        assert_eq!(keep(&|shard| shard == 5).1, lists[1..]);
    }
}
