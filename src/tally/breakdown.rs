//! Sums by service, direction and label, kept only when they were asked for.
//!
//! Flows are broken down; frames of no flow are not. With each sum goes the number of distinct clients behind it, so that
//! small cells can be folded: counted up to [`MOST_CLIENTS`] within one capture, and the largest number of several captures.
//! That is never more than there were, which is the safe side for a rule that hides what few clients did.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::ByClass;
use super::plan::{By, Plan};
use crate::model::{Class, Counts, FlowSummary, Units};

/// Clients are counted up to this many.
pub const MOST_CLIENTS: usize = 64;

/// Sums of all cells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Breakdowns(BTreeMap<(By, String), Cell>);

/// Sums of one cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// Totals by class.
    pub classes: ByClass<Units>,
    /// Distinct clients, up to [`MOST_CLIENTS`]; of several captures the largest number.
    pub clients: usize,
    /// Clients of the capture that is being read.
    seen: BTreeSet<IpAddr>,
}

impl Breakdowns {
    /// Adds a closed flow.
    pub fn add_flow(&mut self, flow: &FlowSummary, plan: &Plan) {
        let readable = if flow.class == Class::Encrypted { flow.readable } else { Counts::default() };
        let rest = flow.total().without(readable);
        for (by, word) in plan.places(flow) {
            let key = (by, word.to_owned());
            let cell = self.0.entry(key).or_default();
            cell.classes[flow.class].add_flows(1, rest);
            cell.classes[Class::Plaintext].add_flows(0, readable);
            if cell.seen.len() < MOST_CLIENTS {
                cell.seen.insert(flow.key.endpoint(flow.client).ip);
            }
        }
    }

    /// The capture has ended: clients are counted and forgotten.
    pub fn end_capture(&mut self) {
        for cell in self.0.values_mut() {
            cell.clients = cell.clients.max(cell.seen.len());
            cell.seen.clear();
        }
    }

    /// Takes out the clients of the capture that is being read, to be counted when it ends.
    pub(super) fn take_seen(&mut self) -> Vec<(By, String, BTreeSet<IpAddr>)> {
        let cells = self.0.iter_mut().filter(|(_, cell)| !cell.seen.is_empty());
        cells.map(|((by, name), cell)| (*by, name.clone(), std::mem::take(&mut cell.seen))).collect()
    }

    /// Puts back what [`Breakdowns::take_seen`] took.
    pub(super) fn put_seen(&mut self, seen: Vec<(By, String, BTreeSet<IpAddr>)>) {
        for (by, name, clients) in seen {
            self.0.entry((by, name)).or_default().seen = clients.into_iter().take(MOST_CLIENTS).collect();
        }
    }

    /// Adds sums that a report holds.
    pub fn add(&mut self, by: By, name: &str, classes: ByClass<Units>, clients: usize) {
        let cell = self.0.entry((by, name.to_owned())).or_default();
        cell.classes.merge(&classes);
        cell.clients = cell.clients.max(clients.min(MOST_CLIENTS));
    }

    /// All cells, in order of kind and name.
    pub fn iter(&self) -> impl Iterator<Item = (By, &str, &Cell)> {
        self.0.iter().map(|((by, name), cell)| (*by, name.as_str(), cell))
    }

    /// Adds all of `other`.
    pub(super) fn merge(&mut self, other: Self) {
        for (key, more) in other.0 {
            let cell = self.0.entry(key).or_default();
            cell.classes.merge(&more.classes);
            cell.clients = cell.clients.max(more.clients);
            for client in more.seen {
                if cell.seen.len() < MOST_CLIENTS {
                    cell.seen.insert(client);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{flow, office};
    use super::*;
    use crate::model::{Evidence, Protocol};

    fn plan() -> Plan {
        Plan { by_service: true, ..Plan::default() }
    }

    #[test]
    fn cells_add_up_to_the_flows() {
        let mut sums = Breakdowns::default();
        office().iter().for_each(|flow| sums.add_flow(flow, &plan()));
        sums.end_capture();
        let mut total = Units::default();
        for (_, _, cell) in sums.iter() {
            Class::ALL.iter().for_each(|class| total.merge(&cell.classes[*class]));
        }
        assert_eq!(total, Units { flows: 12, packets: 360, wire_bytes: 60_000, payload_bytes: 30_000 });
        // Port 443: web, QUIC, the flow in mid-stream and the NULL suite.
        let https = sums.iter().find(|(_, name, _)| *name == "https").map(|(_, _, cell)| cell.clone());
        let https = https.unwrap_or_default();
        assert_eq!(
            (https.classes[Class::Encrypted].flows, https.classes[Class::Plaintext].flows, https.clients),
            (3, 1, 4)
        );
    }

    #[test]
    fn clients_are_distinct_and_never_overstated() {
        let web = |host| flow(host, 443, Protocol::TLS, Class::Encrypted, Evidence::Framing);
        let of = |hosts: &[u8]| {
            let mut sums = Breakdowns::default();
            hosts.iter().for_each(|host| sums.add_flow(&web(*host), &plan()));
            sums
        };
        let clients = |sums: &Breakdowns| sums.iter().map(|(_, _, cell)| cell.clients).sum::<usize>();
        let mut one_capture = of(&[1, 2, 2]);
        one_capture.merge(of(&[2, 3]));
        one_capture.end_capture();
        assert_eq!(clients(&one_capture), 3, "shards of one capture");
        let (mut a, mut b) = (of(&[1, 2, 3]), of(&[1, 2]));
        a.end_capture();
        b.end_capture();
        a.merge(b);
        assert_eq!(clients(&a), 3, "two captures");
        let mut many = of(&(0..=255).collect::<Vec<_>>());
        many.end_capture();
        assert_eq!(clients(&many), MOST_CLIENTS);
    }
}
