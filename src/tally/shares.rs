//! Public values of servers that come up in more than one connection of a capture.
//!
//! While a capture is read, values are watched by a digest. A value counts as repeated when it stood in two ServerHellos
//! with different randoms, so one connection captured at two places is no repetition. At the end of the capture
//! ([`Watch::close`]) only sums remain: no digest gets into a report, and repetition across captures is not looked for,
//! so reports merge exactly.
//!
//! Memory: at most [`MOST_WATCHED`] values, or as many as a part of `--max-memory` holds ([`Watch::limit`]), those with
//! the smallest digests. A digest is a hash, so that is a fair sample;
//! and since a value among the smallest of all is among the smallest of every part, parts merge exactly and neither
//! order nor threads play a role. Connections with values outside the sample are counted as `unwatched`.

use std::collections::BTreeMap;

use crate::model::kept::Word;
use crate::model::{Counts, Evidence, TlsFacts, Units};

/// Values that are watched at the same time.
pub const MOST_WATCHED: usize = 1 << 16;

/// The values of one capture that is being read.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Watch {
    values: BTreeMap<u64, Seen>,
    flows: u64,
    most: Most,
}

/// Values to be watched at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Most(usize);

impl Default for Most {
    fn default() -> Self {
        Self(MOST_WATCHED)
    }
}

/// Memory of one value that is watched, with its place in the tree. Unit: bytes.
const VALUE_BYTES: u64 = 256;
/// So many values are watched however little memory there is.
const LEAST_WATCHED: u64 = 256;

/// What was seen of one value.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Seen {
    /// Smallest and largest of the randoms beside which it stood.
    randoms: (u64, u64),
    /// Sums by protocol and evidence.
    rows: Vec<Row>,
}

type Row = ((Word, Evidence), Units);

/// Sums over all captures that were closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct ServerShares {
    /// Flows that show a server's key share or (EC)DHE public value.
    pub flows: u64,
    /// Public values that stood in more than one connection of a capture.
    pub repeated_values: u64,
    /// Flows with such a value.
    pub repeated_flows: u64,
    /// Flows whose value was not watched, because there were more values than memory for them.
    pub unwatched_flows: u64,
}

impl ServerShares {
    /// Adds another total.
    pub fn merge(&mut self, other: Self) {
        self.flows += other.flows;
        self.repeated_values += other.repeated_values;
        self.repeated_flows += other.repeated_flows;
        self.unwatched_flows += other.unwatched_flows;
    }
}

impl Watch {
    /// Watches no more values than fit into `bytes`. All parts of a capture must be given the same.
    pub(super) fn limit(&mut self, bytes: u64) {
        let most = (bytes / VALUE_BYTES).max(LEAST_WATCHED);
        self.most = Most(usize::try_from(most).map_or(MOST_WATCHED, |most| most.min(MOST_WATCHED)));
    }

    /// What is watched so far; from here on nothing is.
    pub(super) fn take_all(&mut self) -> Self {
        let most = self.most;
        std::mem::replace(self, Self { most, ..Self::default() })
    }

    /// Adds one flow, if it shows a public value.
    pub(super) fn add(&mut self, tls: &TlsFacts, protocol: &'static str, evidence: Evidence, counts: Counts) {
        let (Some(value), Some(random)) = (tls.server_share_digest, tls.server_random) else { return };
        self.flows += 1;
        let mut units = Units::default();
        units.add_flows(1, counts);
        let seen = Seen { randoms: (random, random), rows: vec![((Word(protocol), evidence), units)] };
        self.take(value, seen);
    }

    /// Adds all of `other`.
    pub(super) fn merge(&mut self, other: Self) {
        self.flows += other.flows;
        self.most = Most(self.most.0.min(other.most.0));
        while self.values.len() > self.most.0 {
            self.values.pop_last();
        }
        for (value, seen) in other.values {
            self.take(value, seen);
        }
    }

    fn take(&mut self, value: u64, seen: Seen) {
        let full = self.values.len() >= self.most.0;
        if full && self.values.last_key_value().is_some_and(|(largest, _)| value > *largest) {
            return;
        }
        match self.values.get_mut(&value) {
            Some(known) => known.merge(seen),
            None => {
                self.values.insert(value, seen);
                if full {
                    self.values.pop_last();
                }
            }
        }
    }

    /// The capture has ended: the sums, and a row for each protocol and evidence of flows with a repeated value.
    pub(super) fn close(&mut self) -> (ServerShares, BTreeMap<(&'static str, Evidence), Units>) {
        let watch = self.take_all();
        let mut sums = ServerShares { flows: watch.flows, ..ServerShares::default() };
        let mut repeated: BTreeMap<_, Units> = BTreeMap::new();
        let mut watched = 0;
        for seen in watch.values.into_values() {
            let flows: u64 = seen.rows.iter().map(|(_, units)| units.flows).sum();
            watched += flows;
            if seen.randoms.0 != seen.randoms.1 {
                sums.repeated_values += 1;
                sums.repeated_flows += flows;
                for ((Word(protocol), evidence), units) in seen.rows {
                    repeated.entry((protocol, evidence)).or_default().merge(&units);
                }
            }
        }
        sums.unwatched_flows = watch.flows - watched;
        (sums, repeated)
    }
}

impl Seen {
    fn merge(&mut self, other: Self) {
        self.randoms = (self.randoms.0.min(other.randoms.0), self.randoms.1.max(other.randoms.1));
        for (key, units) in other.rows {
            match self.rows.binary_search_by(|(known, _)| known.cmp(&key)) {
                Ok(place) => {
                    if let Some((_, sum)) = self.rows.get_mut(place) {
                        sum.merge(&units);
                    }
                }
                Err(place) => self.rows.insert(place, (key, units)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTS: Counts = Counts { packets: 2, wire_bytes: 100, payload_bytes: 50 };

    fn watch(flows: &[(u64, u64)]) -> Watch {
        let mut watch = Watch::default();
        for (value, random) in flows {
            let tls =
                TlsFacts { server_share_digest: Some(*value), server_random: Some(*random), ..TlsFacts::default() };
            watch.add(&tls, "tls", Evidence::Handshake, COUNTS);
        }
        watch
    }

    #[test]
    fn a_value_in_two_connections_is_repeated() {
        type Case<'a> = (&'a str, &'a [(u64, u64)], (u64, u64));
        let cases: &[Case<'_>] = &[
            ("once", &[(1, 10)], (0, 0)),
            ("two values", &[(1, 10), (2, 11)], (0, 0)),
            ("one connection captured twice", &[(1, 10), (1, 10)], (0, 0)),
            ("two connections", &[(1, 10), (1, 11), (2, 12)], (1, 2)),
            ("captured twice, and another", &[(1, 10), (1, 10), (1, 9)], (1, 3)),
        ];
        for (name, flows, want) in cases {
            let (sums, rows) = watch(flows).close();
            assert_eq!((sums.repeated_values, sums.repeated_flows), *want, "{name}");
            assert_eq!((sums.flows, sums.unwatched_flows), (flows.len() as u64, 0), "{name}");
            assert_eq!(rows.values().map(|units| units.flows).sum::<u64>(), want.1, "{name}");
        }
        let (sums, _) = watch(&[]).close();
        assert_eq!(sums, ServerShares::default());
    }

    /// With less memory fewer values are watched, and what is not is counted.
    #[test]
    fn memory_bounds_what_is_watched() {
        let flows: Vec<(u64, u64)> = (0..1000).flat_map(|value| [(value, value), (value, value + 1)]).collect();
        for (bytes, watched) in [(0, 256), (300 * VALUE_BYTES, 300), (u64::MAX, 1000)] {
            let mut parts = [Watch::default(), Watch::default()];
            for (place, (value, random)) in flows.iter().enumerate() {
                let part = &mut parts[place % 2];
                part.limit(bytes);
                let tls =
                    TlsFacts { server_share_digest: Some(*value), server_random: Some(*random), ..TlsFacts::default() };
                part.add(&tls, "tls", Evidence::Handshake, COUNTS);
            }
            let [mut whole, other] = parts;
            whole.merge(other);
            let (sums, _) = whole.close();
            assert_eq!((sums.flows, sums.repeated_values), (2000, watched), "{bytes} bytes");
            assert_eq!(sums.unwatched_flows, 2000 - 2 * watched, "{bytes} bytes");
        }
    }

    /// More values than are watched, in several parts: however they are cut and joined, the sums are the same.
    #[test]
    fn merges_exactly_beyond_the_bound() {
        let count = MOST_WATCHED as u64 + 1000;
        let value = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let flows: Vec<(u64, u64)> =
            (0..count).flat_map(|n| [(value(n), n), (value(n), n + u64::from(n % 3 == 0))]).collect();
        let whole = watch(&flows);
        assert_eq!(whole.values.len(), MOST_WATCHED);
        for cut in [1, flows.len() / 3, flows.len() - 1] {
            let (a, b) = (watch(&flows[..cut]), watch(&flows[cut..]));
            let (mut ab, mut ba) = (a.clone(), b.clone());
            ab.merge(b);
            ba.merge(a);
            assert_eq!(ab, whole, "cut at {cut}");
            assert_eq!(ba, whole, "cut at {cut}, other order");
        }
        let (sums, _) = whole.clone().close();
        assert_eq!((sums.flows, sums.unwatched_flows), (2 * count, 2000));
    }
}
