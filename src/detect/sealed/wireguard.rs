//! WireGuard over UDP, and what Tailscale sends beside it (disco).
//!
//! Sources: "WireGuard: Next Generation Kernel Network Tunnel" (Donenfeld, 2017) section 5.4; Linux
//! `drivers/net/wireguard/messages.h`; Tailscale `disco/disco.go` (magic `TS` and a speech balloon, sender's key, sealed box).
//! Evidence: a response that names the index of the initiation (handshake); initiations alone (one-sided); in
//! mid-stream, transport packets of one receiver index whose counters rise and whose tags vary (framing).
//! Not handled: obfuscated variants (AmneziaWG, udp2raw).

use super::{rises, varies};
use crate::detect::{Datagram, Dissector, Found, Heads, Openings, Outcome};
use crate::model::{Evidence, Protocol, Transport};

pub(super) struct WireGuard;

impl Dissector for WireGuard {
    fn protocol(&self) -> Protocol {
        PROTOCOL
    }

    fn transport(&self) -> Transport {
        Transport::UDP
    }

    fn openings(&self) -> Openings {
        const OPENINGS: Openings = Openings::of(&[0..=4, b'T'..=b'T']);
        OPENINGS
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let mut messages = Vec::new();
        let mut disco = 0_usize;
        for datagram in heads.datagrams {
            match message(datagram) {
                Some(message) => messages.push((datagram, message)),
                None if is_disco(datagram) => disco += 1,
                // Tailscale and others find their way with STUN on the same ports.
                None if is_stun(datagram.bytes) => {}
                None => return Outcome::No,
            }
        }
        let encrypted = |evidence| Found::encrypted(PROTOCOL, evidence);
        for (asked, initiation) in &messages {
            let Message::Initiation { sender, .. } = initiation else { continue };
            let answered = messages.iter().any(|(datagram, answer)| {
                datagram.from_client != asked.from_client
                    && matches!(answer, Message::Response { receiver } | Message::Cookie { receiver } if receiver == sender)
            });
            match (answered, asked.from_client) {
                (true, true) => return Outcome::Found(encrypted(Evidence::Handshake).from_client()),
                // The side that answers may ask the next time; only the first to ask is the client.
                (true, false) if !messages.iter().any(|(datagram, _)| datagram.from_client != asked.from_client) => {
                    return Outcome::No;
                }
                (true, false) => return Outcome::Found(encrypted(Evidence::Handshake)),
                (false, _) => {}
            }
        }
        let sure = [true, false].map(|side| data_run(&messages, side));
        if sure.iter().all(|&count| count >= 2) && sure.iter().sum::<usize>() >= 5
            || sure.iter().any(|&count| count >= 6)
        {
            return Outcome::Found(encrypted(Evidence::Framing));
        }
        if sure.iter().any(|&count| count >= 4) {
            return Outcome::Likely(encrypted(Evidence::Framing));
        }
        let initiations: Vec<bool> = messages
            .iter()
            .filter_map(|(datagram, message)| match message {
                Message::Initiation { plain_cookie, .. } if datagram.wire_len == 148 => Some(*plain_cookie),
                _ => None,
            })
            .collect();
        if initiations.len() >= 2 || initiations.first() == Some(&true) {
            return Outcome::Likely(encrypted(Evidence::OneSided));
        }
        match (messages.is_empty(), disco) {
            (_, 1..) => Outcome::Likely(Found::encrypted(Protocol(&"tailscale-disco"), Evidence::Signature)),
            (false, 0) => Outcome::NeedMore,
            (true, 0) => Outcome::No,
        }
    }
}

/// A message, as far as it is in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    Initiation { sender: [u8; 4], plain_cookie: bool },
    Response { receiver: [u8; 4] },
    Cookie { receiver: [u8; 4] },
    Data { receiver: [u8; 4], counter: u64 },
}

/// Reads a message: type, three reserved bytes, and the only lengths that the type may have.
fn message(datagram: &Datagram<'_>) -> Option<Message> {
    let (&[kind, reserved @ ..], after) = datagram.bytes.split_first_chunk::<4>()?;
    let (&first, rest) = after.split_first_chunk::<4>()?;
    // Cloudflare fills the reserved bytes of its clients; messages of fixed length can afford to let that pass.
    match (kind, datagram.wire_len) {
        (1, 148) => {
            // The second MAC is zero unless the responder is under load.
            let plain_cookie = reserved == [0; 3] && datagram.bytes.get(132..148).is_some_and(|mac| mac == [0; 16]);
            Some(Message::Initiation { sender: first, plain_cookie })
        }
        // Some providers add to both messages of the handshake; the index still ties them together.
        (1, 149..=MAX_HANDSHAKE) if reserved == [0; 3] => {
            Some(Message::Initiation { sender: first, plain_cookie: false })
        }
        (2, 93..=MAX_HANDSHAKE) if reserved == [0; 3] => Some(Message::Response { receiver: *rest.first_chunk()? }),
        (2, 92) => Some(Message::Response { receiver: *rest.first_chunk()? }),
        (3, 64) if reserved == [0; 3] => Some(Message::Cookie { receiver: first }),
        (4, 32..) if reserved == [0; 3] && datagram.wire_len.is_multiple_of(16) => {
            Some(Message::Data { receiver: first, counter: u64::from_le_bytes(*rest.first_chunk()?) })
        }
        _ => None,
    }
}

/// Transport packets of one side that continue each other.
fn data_run(messages: &[(&Datagram<'_>, Message)], from_client: bool) -> usize {
    let run: Vec<_> = messages
        .iter()
        .filter(|(datagram, _)| datagram.from_client == from_client)
        .filter_map(|(datagram, message)| match message {
            Message::Data { receiver, counter } => Some((*receiver, *counter, datagram.bytes)),
            _ => None,
        })
        .collect();
    let one_receiver = run.windows(2).all(|pair| matches!(pair, [a, b] if a.0 == b.0));
    let sealed: Vec<_> = run.iter().filter_map(|(_, _, bytes)| bytes.get(16..32)).collect();
    if one_receiver && rises(run.iter().map(|(_, counter, _)| *counter)) && varies(&sealed) { run.len() } else { 0 }
}

fn is_disco(datagram: &Datagram<'_>) -> bool {
    // Magic, public key, nonce, tag of the box.
    datagram.bytes.starts_with(b"TS\xf0\x9f\x92\xac") && datagram.wire_len >= 6 + 32 + 24 + 16
}

fn is_stun(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(0..=1)) && bytes.get(4..8) == Some(&[0x21, 0x12, 0xa4, 0x42])
}

const PROTOCOL: Protocol = Protocol(&"wireguard");
const MAX_HANDSHAKE: usize = 1500;

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::{noise, probe_datagrams};
    use super::*;

    fn initiation(sender: u8) -> Vec<u8> {
        [&[1, 0, 0, 0][..], &[sender; 4], &noise(sender, 124), &[0; 16]].concat()
    }

    fn response(receiver: u8) -> Vec<u8> {
        [&[2, 0, 0, 0][..], &[0x77; 4], &[receiver; 4], &noise(receiver, 80)].concat()
    }

    fn data(receiver: u8, counter: u64, len: usize) -> Vec<u8> {
        let mut noise = noise(counter as u8, len);
        noise.truncate(len);
        [&[4, 0, 0, 0][..], &[receiver; 4], &counter.to_le_bytes(), &noise].concat()
    }

    #[test]
    pub(crate) fn probe() {
        let encrypted = |evidence| Found::encrypted(PROTOCOL, evidence);
        let asked = initiation(5);
        let loaded = [&[1, 0, 0, 0][..], &[5; 4], &noise(5, 140)].concat();
        let run: Vec<_> = (0..6).map(|counter| data(9, 1000 + counter, 48)).collect();
        let still: Vec<_> = (0..6).map(|_| data(9, 1000, 48)).collect();
        let plain: Vec<_> = (0_u64..6)
            .map(|counter| [&[4, 0, 0, 0, 9, 9, 9, 9][..], &counter.to_le_bytes(), &[0; 48]].concat())
            .collect();
        let all = |packets: &[Vec<u8>]| packets.iter().map(|packet| (true, packet.clone())).collect::<Vec<_>>();
        let both: Vec<_> = run.iter().enumerate().map(|(at, packet)| (at % 2 == 0, packet.clone())).collect();
        let cases: &[(&str, Vec<(bool, Vec<u8>)>, Outcome)] = &[
            (
                "handshake",
                vec![(true, asked.clone()), (false, response(5))],
                Outcome::Found(encrypted(Evidence::Handshake).from_client()),
            ),
            ("answer to another", vec![(true, loaded.clone()), (false, response(6))], Outcome::NeedMore),
            ("initiation only", vec![(true, asked.clone())], Outcome::Likely(encrypted(Evidence::OneSided))),
            ("initiation under load", vec![(true, loaded)], Outcome::NeedMore),
            ("a byte too long", vec![(true, [asked.clone(), vec![0]].concat())], Outcome::NeedMore),
            (
                "both longer",
                vec![(true, [asked.clone(), vec![7; 56]].concat()), (false, [response(5), vec![7; 8]].concat())],
                Outcome::Found(encrypted(Evidence::Handshake).from_client()),
            ),
            ("a byte too short", vec![(true, asked.get(1..).unwrap_or_default().to_vec())], Outcome::No),
            ("data", all(&run), Outcome::Found(encrypted(Evidence::Framing))),
            ("data of both sides", both, Outcome::Found(encrypted(Evidence::Framing))),
            ("three packets of data", all(run.get(..3).unwrap_or_default()), Outcome::NeedMore),
            ("counters that stand still", all(&still), Outcome::NeedMore),
            ("counters before readable data", all(&plain), Outcome::NeedMore),
            ("reserved bytes", vec![(true, [&[4, 1, 0, 0][..], &[0; 44]].concat())], Outcome::No),
            ("text", vec![(true, b"hello".to_vec())], Outcome::No),
        ];
        for (name, sent, want) in cases {
            assert_eq!(probe_datagrams(&WireGuard, sent), *want, "{name}");
        }
    }
}
