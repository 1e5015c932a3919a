//! Concentration and clients: from sums to figures, and back.

use super::layout::{Clients, ClientsRow, Concentration, Coverage, Largest};
use super::number::{count, percent};
use super::ratio;
use crate::tally::{self, MOST_HOSTS};

pub(super) fn largest(sums: &tally::Concentration, whole: u64) -> Concentration {
    let of = |largest: &tally::Largest, reason: Option<String>| Largest {
        share: ratio(largest.amounts().iter().sum(), whole).filter(|_| reason.is_none()),
        reason,
        wire_bytes: largest.amounts().to_vec(),
    };
    let no_flow = || sums.flows.amounts().is_empty().then(|| "no flow carries payload".to_owned());
    let no_end = || sums.hosts.amounts().is_empty().then(|| "hosts are counted at the end of a capture".to_owned());
    Concentration {
        flows: of(&sums.flows, no_flow()),
        hosts: of(&sums.hosts, uncounted(sums).or_else(no_flow).or_else(no_end)),
    }
}

pub(super) fn clients(sums: &tally::Concentration, ratio_of_sums: Option<f64>) -> Clients {
    let clients: u64 = sums.clients.values().sum();
    let reason = uncounted(sums).or_else(|| (clients == 0).then(|| "no client sent or received payload".to_owned()));
    let mut below = 0;
    let middle = sums.clients.iter().find(|(_, count)| {
        below += **count;
        below * 2 >= clients
    });
    Clients {
        ratio_of_sums,
        median: middle.filter(|_| reason.is_none()).map(|(thousandths, _)| f64::from(*thousandths) / 1e3),
        reason,
        clients,
        by_share: sums
            .clients
            .iter()
            .map(|(thousandths, clients)| ClientsRow { thousandths: *thousandths, clients: *clients })
            .collect(),
        uncounted_captures: sums.uncounted_captures,
    }
}

/// A line of the table of how the traffic is spread over flows, hosts and clients.
pub(super) struct Spread<'a> {
    pub(super) name: &'static str,
    /// The figure, or why there is none.
    pub(super) value: Result<String, &'a str>,
}

/// How the traffic is spread, for people.
pub(super) fn spread(coverage: &Coverage) -> [Spread<'_>; 5] {
    let Coverage { concentration, clients, .. } = coverage;
    let line = |name, share: Option<f64>, reason| Spread {
        name,
        value: match reason {
            Some(reason) if share.is_none() => Err(reason),
            _ => Ok(percent(share)),
        },
    };
    [
        line(
            "Of the bytes, in the ten largest flows",
            concentration.flows.share,
            concentration.flows.reason.as_deref(),
        ),
        line(
            "Of the bytes, sent by the ten largest senders",
            concentration.hosts.share,
            concentration.hosts.reason.as_deref(),
        ),
        line("Encrypted share of all bytes", clients.ratio_of_sums, None),
        line("Encrypted share of the client in the middle", clients.median, clients.reason.as_deref()),
        Spread { name: "Clients", value: Ok(count(clients.clients)) },
    ]
}

/// Why nothing is said of hosts and clients, when there are too many of them.
fn uncounted(sums: &tally::Concentration) -> Option<String> {
    let captures = sums.uncounted_captures;
    (captures > 0).then(|| {
        let captures = super::number::counted(captures, "capture");
        format!("{captures} with more than {MOST_HOSTS} hosts, which are not told apart")
    })
}

pub(super) fn sums(concentration: &Concentration, clients: &Clients) -> tally::Concentration {
    tally::Concentration::restored(
        &concentration.flows.wire_bytes,
        &concentration.hosts.wire_bytes,
        clients.by_share.iter().map(|row| (row.thousandths, row.clients)),
        clients.uncounted_captures,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::testing::office_tally;

    #[test]
    fn the_office_by_hand() {
        let sums = office_tally().concentration;
        // Ten flows of 5,000 bytes, and the server's 44,000 with nine clients' 1,000, of 55,000 in all.
        let of = largest(&sums, 55_000);
        assert_eq!((of.flows.share, of.hosts.share), (Some(0.909_091), Some(0.963_636)));
        // Five clients at 0, one at 0.84, five at 1: the sixth of eleven is in the middle.
        let clients = clients(&sums, Some(0.530_909));
        assert_eq!((clients.ratio_of_sums, clients.median, clients.clients), (Some(0.530_909), Some(0.84), 11));
    }

    #[test]
    fn the_client_in_the_middle() {
        let cases: &[(&[(u16, u64)], Option<f64>)] = &[
            (&[], None),
            (&[(500, 1)], Some(0.5)),
            (&[(0, 1), (1000, 1)], Some(0.0)),
            (&[(0, 1), (1000, 2)], Some(1.0)),
            (&[(0, 2), (400, 1), (1000, 2)], Some(0.4)),
        ];
        for (rows, want) in cases {
            let sums = tally::Concentration::restored(&[], &[], rows.iter().copied(), 0);
            let clients = clients(&sums, None);
            assert_eq!(clients.median, *want, "{rows:?}");
            assert_eq!(clients.reason.is_some(), want.is_none(), "{rows:?}");
        }
    }

    #[test]
    fn what_was_not_counted_leaves_no_figure_and_says_why() {
        let sums = tally::Concentration::restored(&[9], &[5], [(0, 1)], 2);
        let (largest, clients) = (largest(&sums, 10), clients(&sums, Some(0.5)));
        assert_eq!((largest.flows.share, largest.hosts.share, clients.median), (Some(0.9), None, None));
        for reason in [largest.hosts.reason, clients.reason] {
            assert_eq!(reason.as_deref(), Some("2 captures with more than 131072 hosts, which are not told apart"));
        }
    }
}
