//! Flows that are alike, as one.
//!
//! Most flows say nothing of themselves beyond what they are: probes, names, datagrams that nobody knows. All of one kind add
//! to the same sums, but for those by host and by time. So they are added to each other first, and to the sums once.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::model::{Class, Evidence, FlowSummary, Tunnel};

/// Flows by kind. There are as many kinds as the program has names for, not as many as traffic likes.
#[derive(Clone, Debug, Default)]
pub struct Alike(HashMap<Kind, Several, RandomState>);

/// All that the sums, but for those by host and by time, ask of a flow that said nothing of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Kind {
    /// Where the name of the protocol stands: two places of one name are two kinds, which does no harm.
    protocol: usize,
    class: Class,
    evidence: Evidence,
    /// Whether its bytes look random, and like text.
    looks: [bool; 2],
    tunnel: Tunnel,
}

/// The first flow of a kind, amounting to what all of them do.
#[derive(Clone, Debug)]
struct Several {
    flows: u64,
    sum: FlowSummary,
}

impl Alike {
    /// Adds a closed flow to those of its kind; `false` when it is of none.
    pub fn add(&mut self, flow: &FlowSummary) -> bool {
        let says_more = flow.facts.is_some() || flow.upgraded_from.is_some() || flow.class == Class::Encrypted;
        if says_more || flow.tunnels[1..] != [Tunnel::default(); 5] {
            return false;
        }
        let kind = Kind {
            protocol: std::ptr::from_ref(flow.protocol.0).addr(),
            class: flow.class,
            evidence: flow.evidence,
            looks: ["looks_random", "looks_text"].map(|word| flow.flags.contains(&word)),
            tunnel: flow.tunnels[0],
        };
        match self.0.get_mut(&kind) {
            Some(Several { flows, sum }) => {
                *flows += 1;
                sum.from_client.add(flow.from_client);
                sum.from_server.add(flow.from_server);
                sum.retransmitted_bytes += flow.retransmitted_bytes;
            }
            None => {
                let sum = FlowSummary { openings: None, parts: Vec::new(), ..flow.clone() };
                self.0.insert(kind, Several { flows: 1, sum });
            }
        }
        true
    }

    /// The sum of each kind, as a flow, with the number of flows.
    pub(super) fn sums(self) -> impl Iterator<Item = (FlowSummary, u64)> {
        self.0.into_values().map(|Several { flows, sum }| (sum, flows))
    }
}
