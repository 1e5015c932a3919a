//! SoftEther VPN's NAT traversal: readable packs, and a text that says under which address the other end is seen.
//!
//! Sources: SoftEther VPN `Mayaqua/Pack.c` (`WritePack`: a count, then named elements of typed values, all lengths in 32
//! bits), `Mayaqua/Network.c` (`IP=%r,PORT=%u` as the answer to a single `A`).
//! Evidence: a pack whose lengths lead exactly to its end, from both sides or twice; or the question and its answer.
//! The VPN itself runs inside TLS over TCP and counts as `tls`; its own acceleration over UDP shows nothing fixed and stays
//! unknown.

use crate::detect::{Datagram, Dissector, Found, Heads, Outcome};
use crate::model::{Protocol, Transport};

pub(super) struct SoftEther;

impl Dissector for SoftEther {
    fn protocol(&self) -> Protocol {
        Protocol(&"softether")
    }

    fn transport(&self) -> Transport {
        Transport::UDP
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let (mut asked, mut answered, mut packs) = (false, false, 0);
        for datagram in heads.datagrams {
            match datagram.bytes {
                b"A" => asked |= datagram.from_client,
                bytes if is_address(bytes) => answered |= asked && !datagram.from_client,
                _ if is_pack(*datagram) => packs += 1,
                _ => return Outcome::No,
            }
        }
        let found = Found::plaintext(self.protocol());
        match (packs, answered) {
            (2.., _) => Outcome::Found(found),
            (1, _) | (_, true) => Outcome::Likely(found),
            _ => Outcome::NeedMore,
        }
    }
}

/// `IP=192.0.2.1,PORT=4000`, and nothing else.
fn is_address(bytes: &[u8]) -> bool {
    let parts = bytes.strip_prefix(b"IP=").and_then(|rest| std::str::from_utf8(rest).ok()?.split_once(",PORT="));
    parts.is_some_and(|(ip, port)| ip.parse::<std::net::IpAddr>().is_ok() && port.parse::<u16>().is_ok())
}

fn is_pack(datagram: Datagram<'_>) -> bool {
    datagram.bytes.len() == datagram.wire_len && walk(datagram.bytes).is_some_and(<[u8]>::is_empty)
}

/// Reads a pack; gives what is behind it.
fn walk(bytes: &[u8]) -> Option<&[u8]> {
    let (elements, mut rest) = number(bytes)?;
    if !(1..=MAX_ELEMENTS).contains(&elements) {
        return None;
    }
    for _ in 0..elements {
        // The length of a name counts an end that is not sent.
        let (name_len, after) = number(rest)?;
        let (name, after) = after.split_at_checked((name_len as usize).checked_sub(1)?)?;
        let written = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'@' | b':' | b'-');
        if !(1..=MAX_NAME).contains(&name.len()) || !name.iter().all(written) {
            return None;
        }
        let (kind, after) = number(after)?;
        let (values, after) = number(after)?;
        rest = after;
        if values > MAX_VALUES {
            return None;
        }
        for _ in 0..values {
            rest = match kind {
                0 => rest.get(4..)?,
                1..=3 => {
                    let (len, after) = number(rest)?;
                    after.get(len as usize..)?
                }
                4 => rest.get(8..)?,
                _ => return None,
            };
        }
    }
    Some(rest)
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes(*number), rest))
}

const MAX_ELEMENTS: u32 = 128;
const MAX_VALUES: u32 = 64;
const MAX_NAME: usize = 63;

#[cfg(test)]
pub(super) mod tests {
    use super::super::shape::testing::letter;
    use super::*;
    use crate::detect::tests::ask;

    fn element(name: &str, kind: u32, value: &[u8]) -> Vec<u8> {
        let numbers = |numbers: &[u32]| numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<u8>>();
        [&numbers(&[name.len() as u32 + 1])[..], name.as_bytes(), &numbers(&[kind, 1]), value].concat()
    }

    #[test]
    pub(crate) fn probe() {
        let pack = [&[0, 0, 0, 2][..], &element("opcode", 2, b"\0\0\0\x07nat_get"), &element("port", 0, &[0, 0, 1, 2])]
            .concat();
        let longer = [&pack[..], &[0]].concat();
        let odd = [&[0, 0, 0, 1][..], &element("op code", 0, &[0; 4])].concat();
        let address = b"IP=192.0.2.1,PORT=4000".to_vec();
        let cases: &[(&str, Vec<(bool, &[u8])>, char)] = &[
            ("two packs", vec![(true, &pack), (false, &pack)], 'f'),
            ("one pack", vec![(true, &pack)], 'l'),
            ("question and answer", vec![(true, b"A"), (false, &address)], 'l'),
            ("question alone", vec![(true, b"A")], 'm'),
            ("answer alone", vec![(false, &address)], 'm'),
            ("bytes behind a pack", vec![(true, &longer)], 'n'),
            ("a name with a space", vec![(true, &odd)], 'n'),
            ("no element", vec![(true, &[0, 0, 0, 0])], 'n'),
            ("an address that is none", vec![(true, b"A"), (false, b"IP=somewhere,PORT=4000")], 'n'),
            ("something else between", vec![(true, b"A"), (false, b"B"), (false, &address)], 'n'),
        ];
        for (name, sent, want) in cases {
            let datagrams: Vec<_> = sent
                .iter()
                .map(|(from_client, bytes)| Datagram { from_client: *from_client, bytes, wire_len: bytes.len() })
                .collect();
            let heads = Heads { datagrams: &datagrams, from_start: true, ..Heads::default() };
            assert_eq!(letter(ask(&SoftEther, heads)), *want, "{name}");
        }
    }
}
