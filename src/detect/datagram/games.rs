//! Games: Quake and Source engines (connectionless packets), RakNet.
//!
//! Sources: the Valve developer wiki (server queries), the Quake 3 network protocol, the RakNet and Bedrock protocol notes
//! (wiki.vg "Raknet protocol").
//! Evidence: four bytes of ones with a known query behind; RakNet's sixteen byte magic. A RakNet connection, once open, may
//! encrypt its game data, so that only pings are plaintext and the rest is `unknown`.

use super::shape::{Check, Reader, Shape, Stop, is_keepalive, printable};
use crate::detect::{Dissector, Found, Heads, Openings, Outcome};
use crate::model::{Class, Protocol, Transport};

/// Server queries of the Quake and Source engines.
pub(super) static QUERY: Shape = Shape::new(&"game-query", query).opens(&[0xff..=0xff]);

/// RakNet.
pub(super) struct RakNet;

const RAKNET: Protocol = Protocol(&"raknet");

fn query(reader: &mut Reader<'_>) -> Check {
    reader.literal(&[0xff; 4])?;
    let bytes = reader.rest();
    const WORDS: [&[u8]; 16] = [
        b"TSource Engine Query\0",
        b"getinfo",
        b"getstatus",
        b"infoResponse",
        b"statusResponse",
        b"getservers",
        b"connect ",
        b"challengeResponse",
        b"getchallenge",
        b"print\n",
        b"rcon ",
        b"disconnect",
        b"heartbeat",
        b"connectResponse",
        b"getKeyAuthorize",
        b"ipAuthorize",
    ];
    if WORDS.iter().any(|word| bytes.starts_with(word)) {
        return reader.holds(true, 32);
    }
    match bytes {
        // Challenge requests and answers, players, rules, info.
        [b'A', _, _, _, _] | [b'U' | b'V', _, _, _, _] => reader.holds(true, 10),
        [b'i' | b'W' | b'q'] => reader.holds(true, 8),
        [b'I' | b'm', rest @ ..] => {
            let text = rest.get(1..17.min(rest.len())).unwrap_or_default();
            let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
            reader.holds(!text.is_empty() && printable(text), 16)
        }
        [b'D' | b'E', _, _, ..] => reader.holds(true, 8),
        // The Steam client on the local network.
        [0x21, 0x4c, 0x5f, 0xa0, ..] => reader.holds(true, 32),
        [] if reader.is_cut() => Err(Stop::Cut),
        _ => Err(Stop::Against),
    }
}

/// Marks messages outside of a connection.
const MAGIC: [u8; 16] = [0, 0xff, 0xff, 0, 0xfe, 0xfe, 0xfe, 0xfe, 0xfd, 0xfd, 0xfd, 0xfd, 0x12, 0x34, 0x56, 0x78];

impl Dissector for RakNet {
    fn protocol(&self) -> Protocol {
        RAKNET
    }

    fn transport(&self) -> Transport {
        Transport::UDP
    }

    fn openings(&self) -> Openings {
        const OPENINGS: Openings = Openings::of(&[1..=2, 5..=8, 0x11..=0x1c]);
        OPENINGS
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let (mut pings, mut opened) = (false, false);
        let mut datagrams = heads.datagrams.iter().filter(|datagram| !is_keepalive(datagram.bytes));
        for datagram in datagrams.by_ref() {
            match offline(datagram.bytes) {
                Some(true) => pings = true,
                Some(false) => opened = true,
                None if opened => break,
                None => return Outcome::No,
            }
        }
        let plain = Found::plaintext(RAKNET);
        if opened {
            Outcome::Found(Found { class: Class::Unknown, ..plain })
        } else if pings {
            // A connection may follow the pings on the same ports.
            if heads.datagrams.len() >= crate::detect::MAX_DATAGRAMS {
                Outcome::Found(plain)
            } else {
                Outcome::Likely(plain)
            }
        } else {
            Outcome::NeedMore
        }
    }
}

/// Whether a message outside of a connection is a ping or pong; `None` when it is no such message.
fn offline(bytes: &[u8]) -> Option<bool> {
    let at = |offset: usize| bytes.get(offset..offset + MAGIC.len()) == Some(&MAGIC[..]);
    match bytes.first()? {
        1 | 2 if at(9) => Some(true),
        0x1c if at(17) => Some(true),
        5..=8 | 0x11 | 0x12 | 0x14 | 0x17 | 0x1a if at(1) => Some(false),
        0x19 if at(2) => Some(false),
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::shape::testing::{hex, letter, probe, table};
    use super::*;

    #[test]
    pub(crate) fn queries() {
        table(
            &QUERY,
            &[
                ("source query", "ffffffff 54536f7572636520456e67696e6520517565727900", 'f'),
                ("challenge", "ffffffff 41 01020304", 'f'),
                ("other", "ffffffff 00010203", 'n'),
                ("three bytes of ones", "ffffff00 54536f75", 'n'),
            ],
        );
    }

    #[test]
    pub(crate) fn raknet() {
        let magic = "00ffff00fefefefefdfdfdfd12345678";
        let ping = hex(&format!("01 0000000000000001 {magic} 0000000000000002"));
        let open = hex(&format!("05 {magic} 0a 0000"));
        assert_eq!(letter(probe(&RakNet, &[&ping])), 'l');
        match probe(&RakNet, &[&ping, &open]) {
            Outcome::Found(found) => assert_eq!(found.class, Class::Unknown),
            other => panic!("{other:?}"),
        }
        assert_eq!(letter(probe(&RakNet, &[&hex("01 0000000000000001 00ffff00fefefefe")])), 'n');
    }
}
