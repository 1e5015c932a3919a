//! Flows that are known only because another flow announced them: FTP data, media from SDP.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::flow::Announcement;
use crate::model::{Class, Endpoint, Evidence, FlowSummary, Protocol, Side};

/// All announcements of a capture.
pub(super) struct Known {
    by_endpoint: HashMap<Endpoint, Protocol>,
    /// By the hosts of the flow that said so and the announced port: an address inside FTP is often not the one on the
    /// wire (RFC 2428 sends none, RFC 3022 section 4.3 rewrites it), and the data goes between the same two hosts.
    by_hosts: HashMap<([IpAddr; 2], u16), Protocol>,
}

/// Protocols that stay open until it is known what was announced about them.
const UNDECIDED: &[&str] = &["unknown", "rtp", "rtcp"];

/// Whether an announcement could still say more about this flow than its own bytes did.
pub(super) fn may_be_announced(flow: &FlowSummary) -> bool {
    flow.class != Class::Control && flow.class != Class::Encrypted && UNDECIDED.contains(&flow.protocol.name())
}

impl Known {
    /// Orders the announcements; of two that contradict each other about an endpoint, the one that claims less
    /// (plaintext before encrypted) holds.
    pub(super) fn new(announced: &mut Vec<Announcement>) -> Self {
        announced.sort_unstable_by_key(|a| (a.endpoint, a.protocol.name(), a.said_by));
        announced.dedup();
        let mut by_endpoint: HashMap<Endpoint, Protocol> = HashMap::with_capacity(announced.len());
        let mut by_hosts = HashMap::new();
        for announcement in announced.iter() {
            by_endpoint
                .entry(announcement.endpoint)
                .and_modify(|known| {
                    if class(*known) == Class::Encrypted {
                        *known = announcement.protocol;
                    }
                })
                .or_insert(announcement.protocol);
            if !is_media(announcement.protocol) {
                let hosts = announcement.said_by.map(|end| end.ip);
                by_hosts.entry((hosts, announcement.endpoint.port)).or_insert(announcement.protocol);
            }
        }
        Self { by_endpoint, by_hosts }
    }

    /// Gives the flow the protocol that was announced for one of its ends.
    pub(super) fn explain(&self, flow: &mut FlowSummary) {
        if self.by_endpoint.is_empty() {
            return;
        }
        let hosts = [Side::Low, Side::High].map(|side| flow.key.endpoint(side).ip);
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
        let Some(protocol) = announced else { return };
        let stream = flow.key.transport() == crate::model::Transport::TCP;
        if is_media(protocol) == stream {
            return;
        }
        flow.class = class(protocol);
        flow.protocol = protocol;
        flow.evidence = Evidence::Association;
        flow.flags.retain(|flag| !matches!(*flag, "looks_random" | "looks_text" | "undetermined"));
    }
}

fn is_media(protocol: Protocol) -> bool {
    matches!(protocol.name(), "rtp" | "rtcp" | "srtp" | "srtcp" | "t38")
}

fn class(protocol: Protocol) -> Class {
    if matches!(protocol.name(), "srtp" | "srtcp") { Class::Encrypted } else { Class::Plaintext }
}
