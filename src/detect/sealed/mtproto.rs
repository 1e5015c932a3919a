//! MTProto, Telegram's transport, where it is not obfuscated.
//!
//! Sources: core.telegram.org/mtproto: "Mobile Protocol: Detailed Description" (key ID, message key, unencrypted
//! messages), "Creating an Authorization Key" (`req_pq`, `resPQ`), "MTProto transports" (abridged, intermediate, padded
//! intermediate, full).
//! Evidence: the transport's opening and a first message of exact length: either `req_pq` and the `resPQ` that repeats
//! its nonce (handshake; `req_pq` alone is one-sided), or the same 64-bit key ID from both sides (framing).
//! Not handled: obfuscated transports, which most clients use: they have no pattern, and stay unknown.

use crate::detect::{Dissector, Found, Heads, Outcome};
use crate::model::{Evidence, Protocol, Transport};

pub(super) struct MtProto;

impl Dissector for MtProto {
    fn protocol(&self) -> Protocol {
        PROTOCOL
    }

    fn transport(&self) -> Transport {
        Transport::TCP
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let Some(wire) = Wire::of(heads.client) else {
            return if heads.client.is_empty() { Outcome::NeedMore } else { Outcome::No };
        };
        let found = |evidence| Found::encrypted(PROTOCOL, evidence).from_client();
        let opening = heads.client.get(wire.opening()..).unwrap_or_default();
        match (wire.message(opening), wire.message(heads.server)) {
            (Message::Wrong, _) | (_, Message::Wrong) => Outcome::No,
            (Message::Plain(REQ_PQ | REQ_PQ_MULTI, asked), Message::Plain(RES_PQ, answered)) if asked == answered => {
                Outcome::Found(found(Evidence::Handshake))
            }
            (Message::Plain(REQ_PQ | REQ_PQ_MULTI, _), Message::Short) => Outcome::Likely(found(Evidence::OneSided)),
            (Message::Sealed(ours), Message::Sealed(theirs)) if ours == theirs => {
                Outcome::Found(found(Evidence::Framing))
            }
            (Message::Short, _) | (Message::Sealed(_), Message::Short) => Outcome::NeedMore,
            _ => Outcome::No,
        }
    }
}

/// How messages are wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    Abridged,
    Intermediate,
    Padded,
    Full,
}

/// The first message of a side.
enum Message<'a> {
    /// There is none in these bytes.
    Wrong,
    /// Nothing against one so far.
    Short,
    /// Unencrypted: constructor and the nonce behind it.
    Plain(u32, &'a [u8; 16]),
    /// Encrypted: the ID of the key.
    Sealed(u64),
}

impl Wire {
    /// `None` when the stream opens like none of them.
    fn of(client: &[u8]) -> Option<Self> {
        match client {
            [0xef, ..] => Some(Self::Abridged),
            [0xee, rest @ ..] if rest.iter().take(3).all(|byte| *byte == 0xee) => Some(Self::Intermediate),
            [0xdd, rest @ ..] if rest.iter().take(3).all(|byte| *byte == 0xdd) => Some(Self::Padded),
            // Length in 32 bits and the number of the packet, which is 0.
            [len, rest @ ..] if len % 4 == 0 && rest.iter().skip(2).take(5).all(|byte| *byte == 0) => Some(Self::Full),
            _ => None,
        }
    }

    /// Bytes ahead of the first message of the client.
    fn opening(self) -> usize {
        match self {
            Self::Abridged => 1,
            Self::Intermediate | Self::Padded => 4,
            Self::Full => 0,
        }
    }

    /// Reads the first message of a side.
    fn message(self, stream: &[u8]) -> Message<'_> {
        let Some((len, body)) = self.unwrap(stream) else { return Message::Short };
        let (Some(key), Some(rest)) = (u64_at(body, 0), body.get(8..)) else {
            return if LENGTHS.contains(&len) { Message::Short } else { Message::Wrong };
        };
        if !LENGTHS.contains(&len) {
            return Message::Wrong;
        }
        if key != 0 {
            // A message key of 16 bytes, then whole blocks of AES.
            let blocks = len.checked_sub(24).is_some_and(|sealed| sealed >= 16 && sealed.is_multiple_of(16));
            return if blocks || self == Self::Padded { Message::Sealed(key) } else { Message::Wrong };
        }
        // Message ID, length, constructor, nonce.
        let (Some(said), Some(constructor)) = (u32_le(rest, 8), u32_le(rest, 12)) else { return Message::Short };
        let fits = (said as usize).checked_add(20).is_some_and(|whole| match self {
            Self::Padded => whole <= len && len < whole + 16,
            _ => whole == len,
        });
        match rest.get(16..).and_then(|nonce| nonce.first_chunk()) {
            _ if !fits || !matches!(constructor, REQ_PQ | REQ_PQ_MULTI | RES_PQ) => Message::Wrong,
            Some(nonce) => Message::Plain(constructor, nonce),
            None => Message::Short,
        }
    }

    /// Length of the first message, and its bytes as far as they are there.
    fn unwrap(self, stream: &[u8]) -> Option<(usize, &[u8])> {
        match self {
            Self::Abridged => match *stream {
                // The highest bit asks for a quick acknowledgement.
                [0x7f | 0xff, a, b, c, ref body @ ..] => Some((u32::from_le_bytes([a, b, c, 0]) as usize * 4, body)),
                [0x7f | 0xff, ..] | [] => None,
                [words, ref body @ ..] => Some((usize::from(words & 0x7f) * 4, body)),
            },
            Self::Intermediate | Self::Padded => Some(((u32_le(stream, 0)? & 0x7fff_ffff) as usize, stream.get(4..)?)),
            // Number in front, check sum behind.
            Self::Full => Some(((u32_le(stream, 0)? as usize).saturating_sub(12), stream.get(8..)?)),
        }
    }
}

fn u32_le(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}

const PROTOCOL: Protocol = Protocol(&"mtproto");
const REQ_PQ: u32 = 0x6046_9778;
const REQ_PQ_MULTI: u32 = 0xbe7e_8ef1;
const RES_PQ: u32 = 0x0516_2463;
/// An unencrypted message with a nonce, up to what a client may send at once.
const LENGTHS: std::ops::RangeInclusive<usize> = 40..=1 << 20;

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::noise;
    use super::*;
    use crate::detect::tests::probe_streams;

    fn plain(constructor: u32, nonce: &[u8]) -> Vec<u8> {
        let data = [&constructor.to_le_bytes()[..], nonce].concat();
        [&[0; 8][..], &noise(7, 8), &(data.len() as u32).to_le_bytes(), &data].concat()
    }

    fn abridged(body: &[u8]) -> Vec<u8> {
        [&[(body.len() / 4) as u8][..], body].concat()
    }

    fn sized(body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32).to_le_bytes()[..], body].concat()
    }

    fn full(number: u8, body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32 + 12).to_le_bytes()[..], &[number, 0, 0, 0], body, &noise(1, 4)].concat()
    }

    #[test]
    pub(crate) fn probe() {
        let of = |evidence| Found::encrypted(PROTOCOL, evidence).from_client();
        let (nonce, other) = (noise(1, 16), noise(2, 16));
        let ask = plain(REQ_PQ_MULTI, &nonce);
        let answer = [&plain(RES_PQ, &nonce)[..], &[]].concat();
        let stranger = plain(RES_PQ, &other);
        let sealed = |seed: u8, len: usize| [&noise(9, 8)[..], &noise(seed, 16 + len)].concat();
        let with = |opening: &[u8], message: Vec<u8>| [opening, &message].concat();
        let cases: &[(&str, Vec<u8>, Vec<u8>, Outcome)] = &[
            ("abridged", with(&[0xef], abridged(&ask)), abridged(&answer), Outcome::Found(of(Evidence::Handshake))),
            ("intermediate", with(&[0xee; 4], sized(&ask)), sized(&answer), Outcome::Found(of(Evidence::Handshake))),
            ("full", full(0, &ask), full(0, &answer), Outcome::Found(of(Evidence::Handshake))),
            ("question alone", with(&[0xef], abridged(&ask)), vec![], Outcome::Likely(of(Evidence::OneSided))),
            ("another nonce", with(&[0xef], abridged(&ask)), abridged(&stranger), Outcome::No),
            (
                "with a key",
                with(&[0xef], abridged(&sealed(3, 64))),
                abridged(&sealed(4, 128)),
                Outcome::Found(of(Evidence::Framing)),
            ),
            ("with a key, alone", with(&[0xef], abridged(&sealed(3, 64))), vec![], Outcome::NeedMore),
            ("no whole blocks", with(&[0xef], abridged(&sealed(3, 60))), vec![], Outcome::No),
            ("two keys", with(&[0xef], abridged(&sealed(3, 64))), abridged(&noise(6, 88)), Outcome::No),
            ("another opening", with(&[0xe0], abridged(&ask)), vec![], Outcome::No),
            ("noise", noise(8, 200), noise(9, 200), Outcome::No),
        ];
        for (name, client, server, want) in cases {
            probe_streams(&MtProto, &[(name, client, server, *want)]);
        }
    }
}
