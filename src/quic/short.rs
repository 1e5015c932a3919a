//! QUIC in mid-stream: short headers only, and nobody to say what the connection IDs are.
//!
//! Sources: RFC 9000 section 17.3.1 (two fixed bits, then the ID of the receiver), RFC 9001 section 5.4.1 (the five lowest
//! bits of the flags are masked, so they vary), RFC 9000 section 5.1 (an ID stays as long as the path does).
//! Evidence: every datagram of both sides has the two fixed bits; one side keeps to one irregular ID of at least eight
//! bytes through five datagrams or more, while the masked bits and the tags at the ends vary as ciphertext does (framing).
//! Not handled: IDs shorter than that, and endpoints that agreed to vary the fixed bit (RFC 9287).

use crate::detect::{Datagram, varies};
use crate::model::ConnectionId;

/// Whether these may be packets with short headers, all of them.
pub(super) fn all_short(datagrams: &[Datagram<'_>]) -> bool {
    datagrams.iter().all(|datagram| datagram.bytes.first().is_some_and(|flags| flags & 0xc0 == 0x40))
}

/// Whether one side keeps to one connection ID, and to nothing else.
pub(super) fn keeps_an_id(datagrams: &[Datagram<'_>]) -> bool {
    all_short(datagrams) && [true, false].into_iter().any(|side| side_keeps_an_id(datagrams, side))
}

fn side_keeps_an_id(datagrams: &[Datagram<'_>], from_client: bool) -> bool {
    let side = || datagrams.iter().filter(move |datagram| datagram.from_client == from_client);
    let ids: Option<Vec<&[u8]>> = side().map(|sent| sent.bytes.get(1..=ConnectionId::SHORTEST)).collect();
    let tags: Option<Vec<&[u8]>> = side()
        .filter(|sent| sent.bytes.len() == sent.wire_len && sent.bytes.len() >= SHORTEST)
        .map(|sent| sent.bytes.last_chunk::<TAG>().map(|tag| &tag[..]))
        .collect();
    let (Some(ids), Some(tags)) = (ids, tags) else { return false };
    let one_id = ids.windows(2).all(|pair| matches!(pair, [a, b] if a == b));
    let mut masked: Vec<u8> = side().filter_map(|sent| Some(sent.bytes.first()? & 0x1f)).collect();
    masked.sort_unstable();
    masked.dedup();
    ids.len() >= FEWEST
        && tags.len() == ids.len()
        && one_id
        && ids.first().is_some_and(|id| ConnectionId::new(id).is_some())
        && masked.len() >= FEWEST_FLAGS
        && varies(&tags)
        && is_binary(&tags)
}

/// Whether about half of the bytes have their highest bit set: text that varies, such as Base64, has none.
fn is_binary(fields: &[&[u8]]) -> bool {
    let all: usize = fields.iter().map(|field| field.len()).sum();
    let high = fields.iter().flat_map(|field| field.iter()).filter(|byte| **byte & 0x80 != 0).count();
    (all / 4..=all / 4 * 3).contains(&high)
}

/// Datagrams of one side from which something follows.
const FEWEST: usize = 5;
/// Values that the five masked bits must take in them; chance gives fewer once in some two thousand flows.
const FEWEST_FLAGS: usize = 3;
/// Tag of every AEAD that QUIC uses (RFC 9001 section 5.3). Unit: bytes.
const TAG: usize = 16;
/// Flags, the shortest ID, a packet number with payload for the sample, and the tag.
const SHORTEST: usize = 1 + ConnectionId::SHORTEST + 4 + TAG;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::tests::noise;

    const ID: &[u8; 8] = b"\x9f\x13\xa5\x77\x02\xee\x41\x08";

    fn keeps(sent: &[(bool, Vec<u8>)]) -> bool {
        let datagrams: Vec<_> = sent
            .iter()
            .map(|(from_client, bytes)| Datagram { from_client: *from_client, bytes, wire_len: bytes.len() })
            .collect();
        keeps_an_id(&datagrams)
    }

    #[test]
    fn by_what_stays_and_what_varies() {
        let packet = |flags: u8, id: &[u8], body: Vec<u8>| [&[flags][..], id, &body].concat();
        let sealed = |number: u8| packet(0x40 | noise(number, 1)[0] & 0x1f, ID, noise(number, 40));
        let many = |each: &dyn Fn(u8) -> Vec<u8>, count: u8| -> Vec<(bool, Vec<u8>)> {
            (1..=count).map(|number| (true, each(number))).collect()
        };
        let letters = |number: u8| noise(number, 40).iter().map(|byte| b'0' + byte % 64).collect::<Vec<u8>>();
        let answer = (false, [&[0x47][..], &noise(99, 30)].concat());
        let cases: &[(&str, Vec<(bool, Vec<u8>)>, bool)] = &[
            ("five packets", many(&sealed, 5), true),
            ("answers without an ID", [many(&sealed, 5), vec![answer.clone()]].concat(), true),
            ("four packets", many(&sealed, 4), false),
            ("answers of another kind", [many(&sealed, 5), vec![(false, vec![0x90; 40])]].concat(), false),
            ("answers only", vec![answer; 5], false),
            ("flags that stay", many(&|number| packet(0x45, ID, noise(number, 40)), 6), false),
            ("IDs that vary", many(&|number| packet(0x40 | number, &noise(number, 8), noise(number, 40)), 6), false),
            ("a regular ID", many(&|number| packet(0x40 | number, &[0; 8], noise(number, 40)), 6), false),
            ("text", many(&|number| packet(b'A' + number, b"BCDEFGHI", letters(number)), 6), false),
            ("a readable end", many(&|number| packet(0x40 | number, ID, vec![number; 40]), 6), false),
            ("ESP", many(&|number| [&[0x41, 2, 3, 4, 0, 0, 0, number][..], &noise(number, 64)].concat(), 6), false),
            ("nothing", vec![], false),
        ];
        for (name, sent, want) in cases {
            assert_eq!(keeps(sent), *want, "{name}");
        }
    }
}
