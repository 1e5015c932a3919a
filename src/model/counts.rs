//! Sums. Every figure of a report is a ratio of these; they merge by addition.

use serde::{Deserialize, Serialize};

/// What one direction of a flow, or any set of packets, amounts to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    /// Frames.
    pub packets: u64,
    /// Original frame lengths, link header included. Unit: bytes.
    pub wire_bytes: u64,
    /// Transport payload, each TCP sequence byte once. Unit: bytes.
    pub payload_bytes: u64,
}

impl Counts {
    /// Adds `other` to these sums.
    pub fn add(&mut self, other: Self) {
        self.packets += other.packets;
        self.wire_bytes += other.wire_bytes;
        self.payload_bytes += other.payload_bytes;
    }

    /// What is left after taking `part` out; never below zero.
    #[must_use]
    pub fn without(self, part: Self) -> Self {
        Self {
            packets: self.packets.saturating_sub(part.packets),
            wire_bytes: self.wire_bytes.saturating_sub(part.wire_bytes),
            payload_bytes: self.payload_bytes.saturating_sub(part.payload_bytes),
        }
    }
}

/// The units of every total in a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Units {
    /// Flows; a flow that upgrades is counted once, as encrypted.
    pub flows: u64,
    /// Frames.
    pub packets: u64,
    /// Original frame lengths, link headers included. Unit: bytes.
    pub wire_bytes: u64,
    /// Transport payload, each TCP sequence byte once. Unit: bytes.
    pub payload_bytes: u64,
}

impl Units {
    /// Adds `flows` flows that amount to `counts`.
    pub fn add_flows(&mut self, flows: u64, counts: Counts) {
        self.flows += flows;
        self.packets += counts.packets;
        self.wire_bytes += counts.wire_bytes;
        self.payload_bytes += counts.payload_bytes;
    }

    /// Adds another total.
    pub fn merge(&mut self, other: &Self) {
        self.flows += other.flows;
        self.packets += other.packets;
        self.wire_bytes += other.wire_bytes;
        self.payload_bytes += other.payload_bytes;
    }
}
