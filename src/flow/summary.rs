//! A flow as it leaves this stage.

use super::order;
use super::parts::Clock;
use super::record::{Cold, Flow, Rare, mark};
use super::stacks::Stacks;
use crate::detect::content::Look;
use crate::model::{Class, Counts, Evidence, FlowSummary, Side, Transport};

/// The class of a settled flow: nothing is claimed of one that said different things in one place.
pub(super) fn class(flow: &Flow) -> Class {
    let conflicts =
        || flow.cold.as_deref().and_then(|cold| cold.rare.as_deref()).is_some_and(|rare| rare.conflicts > 0);
    match flow.class {
        _ if flow.total().payload_bytes == 0 => Class::Control,
        Class::Encrypted if conflicts() => Class::Unknown,
        class => class,
    }
}

/// The flow as it leaves this stage.
pub(super) fn summary(mut flow: Flow, clock: &Clock, stacks: &Stacks) -> FlowSummary {
    let (client, class, tunnels) = (flow.client(), class(&flow), flow.tunnels(stacks));
    let [from_client, from_server] = [client, client.other()].map(|side| flow.counts(side));
    let Cold { facts, rare, parts, .. } = flow.cold.take().map_or_else(Cold::default, |cold| *cold);
    let rare = rare.map_or_else(Rare::default, |rare| *rare);
    let has_payload = from_client.payload_bytes + from_server.payload_bytes > 0;
    let unfilled: u32 = rare.holes().map(order::Holes::unfilled).sum::<u32>();
    if class != flow.class {
        (flow.class, flow.evidence) = (class, Evidence::None);
    }
    let mut flags = Vec::new();
    let mut flag = |set: bool, word| {
        if set {
            flags.push(word);
        }
    };
    let tcp = flow.key().transport() == Transport::TCP;
    flag(tcp && !flow.has(mark::SYN) && has_payload, "midstream");
    flag(tcp && (from_client.packets == 0 || from_server.packets == 0) && has_payload, "one_sided");
    flag(unfilled > 0, "gap");
    flag(flow.has(mark::CUT_SHORT), "cut_short");
    flag(rare.conflicts > 0, "conflict");
    flag(flow.has(mark::EVICTED), "evicted");
    flag(flow.has(mark::RST), "reset");
    if flow.class == Class::Unknown {
        flag(true, flow.content.unwrap_or(Look::Undetermined).name());
    }
    let readable = if flow.class == Class::Encrypted { rare.readable } else { Counts::default() };
    let latest_ns = clock.time_ns(flow.interval);
    let latest = [Side::Low, Side::High].map(|side| flow.take_counts(side));
    let parts = parts.map(|parts| parts.finish(latest_ns, latest, readable, clock));
    FlowSummary {
        key: flow.key(),
        client,
        first_frame: flow.first_frame(),
        first_ns: flow.first_ns,
        last_ns: flow.last_ns,
        from_client,
        from_server,
        retransmitted_bytes: rare.retransmitted_bytes,
        class: flow.class,
        readable,
        evidence: flow.evidence,
        protocol: flow.protocol.into(),
        upgraded_from: rare.upgraded_from,
        tunnels,
        vlan: flow.vlan,
        facts,
        flags,
        gaps: unfilled,
        conflicts: rare.conflicts,
        openings: rare.openings.filter(|_| flow.class == Class::Unknown),
        parts: parts.unwrap_or_default(),
    }
}
