//! Sums by service, direction, label and the like, kept only when they were asked for.
//!
//! Flows are broken down; frames of no flow are not. With each sum goes the number of distinct clients behind it, so that
//! small cells can be folded: counted up to [`MOST_CLIENTS`] within one capture, and the largest number of several captures.
//! That is never more than there were, which is the safe side for a rule that hides what few clients did.
//!
//! Traffic can invent server names. So each kind of breakdown keeps [`MOST_CELLS`] rows, those whose names have the smallest
//! digests, and adds the others up in [`OTHER`]. What is among the smallest digests of all is among the smallest of every
//! part, so parts and reports merge exactly, in whatever order.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::ByClass;
use super::plan::{By, Plan};
use crate::model::{Class, FlowSummary, Units};

/// Clients are counted up to this many.
pub const MOST_CLIENTS: usize = 64;

/// Rows of one kind of breakdown, beside [`OTHER`].
pub const MOST_CELLS: usize = 1 << 16;

/// Name of the row that takes others in.
pub const OTHER: &str = "other";

/// Sums of all cells: by kind, then by digest and name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Breakdowns(BTreeMap<By, BTreeMap<(u64, String), Cell>>);

/// Sums of one cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// Totals by class.
    pub classes: ByClass<Units>,
    /// Distinct clients, up to [`MOST_CLIENTS`]; of several captures the largest number.
    pub clients: usize,
    /// Clients of the capture that is being read, by a digest; two of the same digest count once.
    seen: Vec<u32>,
}

/// Digests of the clients of one cell.
pub(super) type SeenClients = (By, String, Vec<u32>);

impl Breakdowns {
    /// Adds a closed flow.
    pub fn add_flow(&mut self, flow: &FlowSummary, plan: &Plan) {
        let (readable, rest) = super::readable_and_rest(flow);
        let mut cell = Cell { seen: vec![client_digest(flow.key.endpoint(flow.client).ip)], ..Cell::default() };
        cell.classes[flow.class].add_flows(1, rest);
        cell.classes[Class::Plaintext].add_flows(0, readable);
        for (by, word) in plan.places(flow) {
            self.put(by, &word, &cell);
        }
    }

    /// The capture has ended: clients are counted and forgotten.
    pub fn end_capture(&mut self) {
        for cell in self.0.values_mut().flat_map(BTreeMap::values_mut) {
            cell.clients = cell.clients.max(cell.seen.len());
            cell.seen = Vec::new();
        }
    }

    /// Takes out the clients of the capture that is being read, to be counted when it ends.
    pub(super) fn take_seen(&mut self) -> Vec<SeenClients> {
        let cells =
            self.0.iter_mut().flat_map(|(by, cells)| cells.iter_mut().map(|((_, name), cell)| (*by, name, cell)));
        let seen = cells.filter(|(_, _, cell)| !cell.seen.is_empty());
        seen.map(|(by, name, cell)| (by, name.clone(), std::mem::take(&mut cell.seen))).collect()
    }

    /// Puts back what [`Breakdowns::take_seen`] took.
    pub(super) fn put_seen(&mut self, seen: Vec<SeenClients>) {
        for (by, name, seen) in seen {
            self.put(by, &name, &Cell { seen, ..Cell::default() });
        }
    }

    /// Adds sums that a report holds.
    pub fn add(&mut self, by: By, name: &str, classes: ByClass<Units>, clients: usize) {
        self.put(by, name, &Cell { classes, clients: clients.min(MOST_CLIENTS), seen: Vec::new() });
    }

    /// All cells, by kind.
    pub fn iter(&self) -> impl Iterator<Item = (By, &str, &Cell)> {
        self.0.iter().flat_map(|(by, cells)| cells.iter().map(|((_, name), cell)| (*by, name.as_str(), cell)))
    }

    /// Adds all of `other`.
    pub(super) fn merge(&mut self, other: Self) {
        for (by, cells) in other.0 {
            for ((_, name), cell) in cells {
                self.put(by, &name, &cell);
            }
        }
    }

    fn put(&mut self, by: By, name: &str, cell: &Cell) {
        let cells = self.0.entry(by).or_default();
        cells.entry((digest(name), name.to_owned())).or_default().merge(cell);
        let others = cells.first_key_value().is_some_and(|((digest, _), _)| *digest == 0);
        if cells.len() - usize::from(others) > MOST_CELLS
            && let Some((_, last)) = cells.pop_last()
        {
            cells.entry((digest(OTHER), OTHER.to_owned())).or_default().merge(&last);
        }
    }
}

impl Cell {
    fn merge(&mut self, more: &Self) {
        self.classes.merge(&more.classes);
        self.clients = self.clients.max(more.clients);
        for client in &more.seen {
            if self.seen.len() < MOST_CLIENTS
                && let Err(place) = self.seen.binary_search(client)
            {
                self.seen.insert(place, *client);
            }
        }
    }
}

/// 64-bit FNV-1a, then the finaliser of MurmurHash3, the same on every machine. What others were put into never goes.
fn digest(name: &str) -> u64 {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    if name == OTHER { 0 } else { mix(hash).max(1) }
}

fn client_digest(client: IpAddr) -> u32 {
    let bits = match client {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    (mix(bits as u64 ^ mix((bits >> 64) as u64)) >> 32) as u32
}

fn mix(mut value: u64) -> u64 {
    value = (value ^ value >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    value = (value ^ value >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    value ^ value >> 33
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

    /// More names than are kept, in several parts: however they are cut and joined, rows and sums are the same.
    #[test]
    fn merges_exactly_beyond_the_bound() {
        let mut units = ByClass::default();
        units[Class::Encrypted] = Units { flows: 1, packets: 1, wire_bytes: 100, payload_bytes: 0 };
        let of = |numbers: std::ops::Range<usize>| {
            let mut sums = Breakdowns::default();
            numbers.for_each(|number| sums.add(By::ServerName, &format!("name{number}.example"), units, 1));
            sums
        };
        let count = MOST_CELLS + 500;
        let whole = of(0..count);
        let rows = whole.iter().count();
        assert_eq!(rows, MOST_CELLS + 1);
        let other = whole.iter().find(|(_, name, _)| *name == OTHER).map(|(_, _, cell)| cell.classes[Class::Encrypted]);
        assert_eq!(other.unwrap_or_default().flows, (count - MOST_CELLS) as u64);
        for cut in [700, count / 2] {
            let (mut a, mut b) = (of(0..cut), of(cut..count));
            a.merge(b.clone());
            b.merge(of(0..cut));
            assert!(a == whole && b == whole, "cut at {cut}");
        }
    }
}
