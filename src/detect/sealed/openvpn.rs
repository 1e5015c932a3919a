//! OpenVPN over UDP, and over TCP with a length before each packet.
//!
//! Sources: OpenVPN `doc/doxygen/doc_protocol_overview.h` and `src/openvpn/ssl_pkt.h` (opcodes, session IDs, tls-auth,
//! tls-crypt), draft-openvpn-wire-protocol.
//! Evidence: hard resets of both sides, tied together by a session ID: the server repeats the client's, or where tls-crypt
//! hides that, later control packets repeat their own side's. One side's resets alone are one-sided. In mid-stream, data
//! packets of version 2 of both sides with rising packet IDs and varying tags (framing).
//! Not handled: static keys without opcodes, XOR-scrambled variants, data of version 1 alone (no fixed byte but one).

use super::{openvpn_control, rises, u16_at, u32_at, varies};
use crate::detect::{Dissector, Found, Heads, Openings, Outcome, Session};
use crate::model::{Evidence, Protocol, Transport};

pub(super) struct OpenVpnUdp;

impl Dissector for OpenVpnUdp {
    fn protocol(&self) -> Protocol {
        PROTOCOL
    }

    fn transport(&self) -> Transport {
        Transport::UDP
    }

    fn openings(&self) -> Openings {
        const OPENINGS: Openings = Openings::of(&[1 << 3..=11 << 3 | 7]);
        OPENINGS
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        if heads.datagrams.iter().any(|sent| opcode(sent.bytes).is_none()) {
            return Outcome::No;
        }
        let of = |from_client| -> Vec<&[u8]> {
            heads.datagrams.iter().filter(|sent| sent.from_client == from_client).map(|sent| sent.bytes).collect()
        };
        judge(&of(true), &of(false), heads.datagrams.len() >= crate::detect::MAX_DATAGRAMS)
    }

    fn session(&self, found: Found) -> Option<Box<dyn Session>> {
        (found.evidence == Evidence::Handshake).then(|| openvpn_control::session(false))
    }
}

pub(super) struct OpenVpnTcp;

impl Dissector for OpenVpnTcp {
    fn protocol(&self) -> Protocol {
        PROTOCOL
    }

    fn transport(&self) -> Transport {
        Transport::TCP
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let (Some(client), Some(server)) = (packets(heads.client), packets(heads.server)) else { return Outcome::No };
        judge(&client, &server, false)
    }

    fn session(&self, found: Found) -> Option<Box<dyn Session>> {
        (found.evidence == Evidence::Handshake).then(|| openvpn_control::session(true))
    }
}

/// The packets of a stream that are whole. `None` when it cannot be OpenVPN.
fn packets(mut head: &[u8]) -> Option<Vec<&[u8]>> {
    let mut found = Vec::new();
    while found.len() < MAX_STREAM_PACKETS {
        let Some(len) = u16_at(head, 0) else { break };
        let after = head.get(2..).unwrap_or_default();
        if len == 0 || after.first().is_some_and(|first| !(1..=11).contains(&(first >> 3))) {
            return None;
        }
        let Some((packet, rest)) = after.split_at_checked(usize::from(len)) else { break };
        found.push(packet);
        head = rest;
    }
    Some(found)
}

/// Weighs the packets of both sides; `last` when no more will come.
fn judge(client: &[&[u8]], server: &[&[u8]], last: bool) -> Outcome {
    // A flow is tied to its first packets: an opcode that does not exist, or one that its side never sends.
    let wrong = |packets: &[&[u8]], forbidden: [u8; 3]| {
        packets.iter().any(|packet| opcode(packet).is_none_or(|opcode| forbidden.contains(&opcode)))
    };
    if client.is_empty() && server.is_empty() {
        return Outcome::NeedMore;
    }
    if wrong(client, [RESET_SERVER_V1, RESET_SERVER_V2, 0])
        || wrong(server, [RESET_CLIENT_V1, RESET_CLIENT_V2, RESET_CLIENT_V3])
    {
        return Outcome::No;
    }
    let asked = reset_of(client, &[RESET_CLIENT_V1, RESET_CLIENT_V2, RESET_CLIENT_V3]);
    let answered = reset_of(server, &[RESET_SERVER_V1, RESET_SERVER_V2]);
    if let (Some(asked), Some(answered)) =
        (asked.and_then(session_id), answered.and_then(|packet| Some((packet, session_id(packet)?))))
    {
        let (answer, server_id) = answered;
        let echoed = answer.get(9..).unwrap_or_default().windows(8).any(|window| window == asked);
        let repeated = |packets: &[&[u8]], id: [u8; 8]| {
            packets.iter().filter(|packet| is_control(packet) && session_id(packet) == Some(id)).count() >= 2
        };
        if asked != server_id && (echoed || repeated(client, asked) || repeated(server, server_id)) {
            return Outcome::Found(Found::encrypted(PROTOCOL, Evidence::Handshake).from_client());
        }
    }
    if let Some(asked) = asked
        && server.is_empty()
        && (is_bare_reset(asked) || resets_again(client))
    {
        return Outcome::Likely(Found::encrypted(PROTOCOL, Evidence::OneSided).from_client());
    }
    let runs = [client, server].map(|packets| if is_data(packets) { packets.len() } else { 0 });
    let long_run = |run: usize, other: &[&[u8]]| run >= 6 && other.is_empty();
    if asked.is_none()
        && answered.is_none()
        && (runs.iter().all(|&run| run >= 3) || long_run(runs[0], server) || long_run(runs[1], client))
    {
        return Outcome::Likely(Found::encrypted(PROTOCOL, Evidence::Framing));
    }
    if last { Outcome::No } else { Outcome::NeedMore }
}

/// The first packet that is a hard reset with one of these opcodes: key 0, and one of the forms of [`is_reset`].
fn reset_of<'a>(packets: &[&'a [u8]], opcodes: &[u8]) -> Option<&'a [u8]> {
    let is_one_of =
        |packet: &&[u8]| packet.first().is_some_and(|first| first & 7 == 0 && opcodes.contains(&(first >> 3)));
    packets.iter().copied().find(|packet| is_one_of(packet) && is_reset(packet))
}

/// Whether what follows the session ID is what a reset may hold: nothing, or an acknowledgement; with tls-auth the hash
/// and with tls-crypt nothing before a replay ID that has just begun to count.
fn is_reset(packet: &[u8]) -> bool {
    let bare = matches!(packet.get(9..), Some([0, 0, 0, 0, 0] | [1, 0, 0, 0, 0, _, _, _, _, _, _, _, _, 0, 0, 0, 0]));
    bare || packet.len() >= 42
        && REPLAY_ID_AT.iter().any(|&at| matches!(packet.get(at..at + 4), Some([0, 0, 0, 1..=MAX_RETRIES])))
}

/// The opcode, in the five high bits of the first byte; `None` when there is no such opcode.
fn opcode(packet: &[u8]) -> Option<u8> {
    packet.first().map(|first| first >> 3).filter(|opcode| (1..=11).contains(opcode))
}

/// The sender's session ID, which all control packets carry behind the opcode. Zero is none.
fn session_id(packet: &[u8]) -> Option<[u8; 8]> {
    packet.get(1..)?.first_chunk().copied().filter(|id| *id != [0; 8])
}

fn is_control(packet: &[u8]) -> bool {
    opcode(packet).is_some_and(|opcode| !matches!(opcode, DATA_V1 | DATA_V2))
}

/// A client's first packet without tls-auth: opcode, session ID, no acknowledgement, packet ID 0.
fn is_bare_reset(packet: &[u8]) -> bool {
    packet.len() == 14 && packet.get(9..) == Some(&[0; 5])
}

/// A client that repeats its reset: the same session ID, and at one place a replay ID that counts up.
fn resets_again(client: &[&[u8]]) -> bool {
    let resets: Vec<_> = client.iter().filter(|packet| matches!(packet.first(), Some(0x38 | 0x50))).collect();
    let same = resets.windows(2).all(|pair| matches!(pair, [a, b] if session_id(a) == session_id(b)));
    let counts_up = |at: usize| {
        let ids: Vec<_> = resets.iter().filter_map(|packet| u32_at(packet, at)).collect();
        ids.len() == resets.len()
            && ids.first().is_some_and(|&first| (1..=u32::from(MAX_RETRIES)).contains(&first))
            && ids.windows(2).all(|pair| matches!(pair, [a, b] if a < b && *b <= u32::from(MAX_RETRIES)))
    };
    resets.len() >= 2 && same && REPLAY_ID_AT.into_iter().any(counts_up)
}

/// Data packets of version 2: opcode and peer ID stay, packet IDs rise, the tag behind them varies.
fn is_data(packets: &[&[u8]]) -> bool {
    if packets.len() < 3 || !packets.iter().all(|packet| opcode(packet) == Some(DATA_V2)) {
        return false;
    }
    let heads: Vec<_> = packets.iter().filter_map(|packet| packet.first_chunk::<4>()).collect();
    let tags: Vec<_> = packets.iter().filter_map(|packet| packet.get(8..24)).collect();
    heads.windows(2).all(|pair| matches!(pair, [a, b] if a == b))
        && rises(packets.iter().filter_map(|packet| u32_at(packet, 4)).map(u64::from))
        && tags.len() == packets.len()
        && varies(&tags)
}

const PROTOCOL: Protocol = Protocol(&"openvpn");
const RESET_CLIENT_V1: u8 = 1;
const RESET_SERVER_V1: u8 = 2;
const DATA_V1: u8 = 6;
const RESET_CLIENT_V2: u8 = 7;
const RESET_SERVER_V2: u8 = 8;
const DATA_V2: u8 = 9;
const RESET_CLIENT_V3: u8 = 10;
/// Where the replay ID of a reset is: with tls-crypt; with tls-auth behind MD5, SHA-1, SHA-224, SHA-256, SHA-384, SHA-512.
const REPLAY_ID_AT: [usize; 7] = [9, 25, 29, 37, 41, 57, 73];
/// Resets that a client sends before it gives up.
const MAX_RETRIES: u8 = 60;
const MAX_STREAM_PACKETS: usize = 16;

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::{noise, probe_datagrams};
    use super::*;
    use crate::detect::tests::ask;

    const CLIENT: [u8; 8] = *b"clientid";
    const SERVER: [u8; 8] = *b"serverid";

    fn reset() -> Vec<u8> {
        [&[0x38][..], &CLIENT, &[0; 5]].concat()
    }

    fn answer() -> Vec<u8> {
        [&[0x40][..], &SERVER, &[1, 0, 0, 0, 0], &CLIENT, &[0; 4]].concat()
    }

    fn crypt(opcode: u8, id: [u8; 8], replay: u8) -> Vec<u8> {
        [&[opcode << 3][..], &id, &[0, 0, 0, replay], &[0x65; 4], &noise(replay, 37)].concat()
    }

    #[test]
    pub(crate) fn probe() {
        let found = Outcome::Found(Found::encrypted(PROTOCOL, Evidence::Handshake).from_client());
        let one_sided = Outcome::Likely(Found::encrypted(PROTOCOL, Evidence::OneSided).from_client());
        let framing = Outcome::Likely(Found::encrypted(PROTOCOL, Evidence::Framing));
        let data = |side: u8, id: u8| [&[0x48, 0, 0, side, 0, 0, 0, id][..], &noise(id ^ side, 60)].concat();
        let plain = |side: u8, id: u8| [&[0x48, 0, 0, side, 0, 0, 0, id][..], &[id; 60]].concat();
        let tunnel = |packet: &dyn Fn(u8, u8) -> Vec<u8>| -> Vec<(bool, Vec<u8>)> {
            (1..4).flat_map(|id| [(true, packet(1, id)), (false, packet(2, id + 9))]).collect()
        };
        let question = [&[0x38, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 7][..], b"example\0", &[0; 30]].concat();
        let mixed = [answer(), vec![0; 9]].concat();
        let cases: &[(&str, Vec<(bool, Vec<u8>)>, Outcome)] = &[
            ("resets", vec![(true, reset()), (false, answer())], found),
            ("reset only", vec![(true, reset())], one_sided),
            ("sides exchanged", vec![(false, reset()), (true, answer())], Outcome::No),
            ("answer to another", vec![(true, crypt(7, [5; 8], 1)), (false, answer())], Outcome::NeedMore),
            (
                "tls-crypt, two packets",
                vec![(true, crypt(7, CLIENT, 1)), (false, crypt(8, SERVER, 1))],
                Outcome::NeedMore,
            ),
            (
                "tls-crypt, going on",
                vec![(true, crypt(7, CLIENT, 1)), (false, crypt(8, SERVER, 1)), (true, crypt(4, CLIENT, 2))],
                found,
            ),
            ("tls-crypt, repeated", vec![(true, crypt(7, CLIENT, 1)), (true, crypt(7, CLIENT, 2))], one_sided),
            (
                "text that repeats",
                vec![(true, b"8 times the same text, and longer than 42 bytes".to_vec()); 3],
                Outcome::NeedMore,
            ),
            ("a DNS question that repeats", vec![(true, question); 3], Outcome::NeedMore),
            ("data", tunnel(&data), framing),
            ("six of one side", (1..7).map(|id| (true, data(1, id))).collect(), framing),
            ("data of one side", vec![(true, data(1, 1)), (true, data(1, 2)), (true, data(1, 3))], Outcome::NeedMore),
            ("counters before readable data", tunnel(&plain), Outcome::NeedMore),
            ("opcode 0", vec![(true, vec![0x01; 40])], Outcome::No),
            ("answered by another protocol", vec![(true, reset()), (false, vec![0xff; 26])], Outcome::No),
            ("answered by a client", vec![(true, reset()), (false, reset())], Outcome::No),
            ("answer alone", vec![(false, mixed)], Outcome::NeedMore),
        ];
        for (name, sent, want) in cases {
            assert_eq!(probe_datagrams(&OpenVpnUdp, sent), *want, "{name}");
        }
    }

    #[test]
    pub(crate) fn over_tcp() {
        let framed = |packets: &[Vec<u8>]| -> Vec<u8> {
            packets.iter().flat_map(|packet| [&(packet.len() as u16).to_be_bytes()[..], packet].concat()).collect()
        };
        let client = framed(&[reset(), [&[0x20][..], &CLIENT, &[9; 50]].concat()]);
        let server = framed(&[answer()]);
        let found = Outcome::Found(Found::encrypted(PROTOCOL, Evidence::Handshake).from_client());
        let probe = |client: &[u8], server: &[u8]| ask(&OpenVpnTcp, Heads { client, server, ..Heads::default() });
        assert_eq!(probe(&client, &server), found);
        for end in 0..client.len() {
            assert_ne!(probe(client.get(..end).unwrap_or_default(), &server), Outcome::No, "{end} bytes");
        }
        assert_eq!(probe(b"GET / HTTP/1.1\r\n", b""), Outcome::NeedMore, "0x47 in front of a T would be opcode 10");
        assert_eq!(probe(b"\0\x10\xff", b""), Outcome::No);
        assert_eq!(probe(b"\0\0", b""), Outcome::No);
    }
}
