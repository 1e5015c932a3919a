//! Tailscale's disco: the messages by which two nodes find a direct way for their WireGuard packets.
//!
//! Sources: the package documentation of `tailscale.com/disco`: six bytes of magic, the sender's public key (32), a nonce
//! (24), and a NaCl box with a message inside.
//! Evidence: the magic and the length, and a key that stays with its side while nonces change. One message is enough.
//! WireGuard shares the ports; what WireGuard shows by itself is found as `wireguard`.
//! DERP, the relay, runs inside TLS and counts as `tls`; in the clear variant for tests it is HTTP.

use crate::detect::{Dissector, Found, Heads, Openings, Outcome};
use crate::model::{Evidence, Protocol, Transport};

pub(super) struct Disco;

impl Dissector for Disco {
    fn protocol(&self) -> Protocol {
        PROTOCOL
    }

    fn transport(&self) -> Transport {
        Transport::UDP
    }

    fn openings(&self) -> Openings {
        const OPENINGS: Openings = Openings::of(&[b'T'..=b'T']);
        OPENINGS
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let mut keys = [None; 2];
        for datagram in heads.datagrams {
            let Some(message) = datagram.bytes.strip_prefix(MAGIC) else { continue };
            let (Some(key), true) = (message.get(..KEY), datagram.wire_len >= SHORTEST) else { return Outcome::No };
            let noted = keys[usize::from(datagram.from_client)].get_or_insert(key);
            if *noted != key || key.iter().all(|byte| Some(byte) == key.first()) {
                return Outcome::No;
            }
        }
        let evidence = match keys {
            [None, None] => return Outcome::No,
            [Some(_), Some(_)] => Evidence::Handshake,
            _ => Evidence::OneSided,
        };
        let found = Found::encrypted(PROTOCOL, evidence);
        if evidence == Evidence::Handshake { Outcome::Found(found) } else { Outcome::Likely(found) }
    }
}

const PROTOCOL: Protocol = Protocol(&"tailscale");
/// `TS` and a speech balloon in UTF-8.
const MAGIC: &[u8] = b"TS\xf0\x9f\x92\xac";
const KEY: usize = 32;
/// Magic, key, nonce, the tag of the box, and a message of two bytes at least: type and version.
const SHORTEST: usize = 6 + KEY + 24 + 16 + 2;

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::{noise, probe_datagrams};
    use super::*;

    #[test]
    pub(crate) fn probe() {
        let message = |key: u8, nonce: u8, sealed: usize| {
            [MAGIC, &noise(key, KEY), &noise(nonce, 24), &noise(nonce + 100, sealed)].concat()
        };
        let one_sided = Outcome::Likely(Found::encrypted(PROTOCOL, Evidence::OneSided));
        let both = Outcome::Found(Found::encrypted(PROTOCOL, Evidence::Handshake));
        let zeros = [MAGIC, &[0; 90]].concat();
        let stun = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat();
        let cases: &[(&str, Vec<(bool, Vec<u8>)>, Outcome)] = &[
            ("ping and pong", vec![(true, message(1, 2, 30)), (false, message(3, 4, 40))], both),
            ("ping alone", vec![(true, message(1, 2, 30))], one_sided),
            ("behind STUN", vec![(true, stun.clone()), (true, message(1, 2, 30)), (false, message(3, 4, 40))], both),
            ("a key that changes", vec![(true, message(1, 2, 30)), (true, message(3, 4, 30))], Outcome::No),
            ("one byte too short", vec![(true, message(1, 2, 17))], Outcome::No),
            ("zeros", vec![(true, zeros)], Outcome::No),
            ("another magic", vec![(true, [b"TS\xf0\x9f\x92\xad", &noise(1, 90)[..]].concat())], Outcome::No),
            ("STUN alone", vec![(true, stun)], Outcome::No),
        ];
        for (name, sent, want) in cases {
            assert_eq!(probe_datagrams(&Disco, sent), *want, "{name}");
        }
    }
}
