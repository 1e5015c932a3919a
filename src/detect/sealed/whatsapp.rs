//! WhatsApp's own transport: a Noise handshake over TCP, then sealed frames.
//!
//! Sources: "WhatsApp Encryption Overview" (technical white paper), section "Transport Security": Noise Pipes with
//! Curve25519 and AES-GCM; the Noise Protocol Framework, revision 34; whatsmeow `socket/` for the bytes around them: an
//! optional routing preface (`ED`, 0, 1 and a length of three bytes), `WA` and a version, then frames with a length of
//! three bytes. The first frame of each side is a Protocol Buffers message with the ephemeral key.
//! Evidence: the preface, and the hello of the client (one side) and of the server (handshake), whose nested lengths fit.
//! Not handled: the transport before Noise (version 1), whose bytes were never described; it stays unknown. Signal's and
//! WhatsApp's web sockets run inside TLS and count as `tls`.

use crate::detect::{Dissector, Found, Heads, Outcome};
use crate::model::{Evidence, Protocol, Transport};

pub(super) struct WhatsApp;

impl Dissector for WhatsApp {
    fn protocol(&self) -> Protocol {
        PROTOCOL
    }

    fn transport(&self) -> Transport {
        Transport::TCP
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        if heads.client.is_empty() {
            return if matches!(hello(heads.server, SERVER_HELLO), Read::Wrong) {
                Outcome::No
            } else {
                Outcome::NeedMore
            };
        }
        let found = |evidence| Found::encrypted(PROTOCOL, evidence).from_client();
        let client = match preface(heads.client) {
            Read::Good(rest) => hello(rest, CLIENT_HELLO),
            other => other,
        };
        match (client, hello(heads.server, SERVER_HELLO)) {
            (Read::Wrong, _) | (_, Read::Wrong) => Outcome::No,
            (Read::Short, _) => Outcome::NeedMore,
            (Read::Good(_), Read::Short) => Outcome::Likely(found(Evidence::OneSided)),
            (Read::Good(_), Read::Good(_)) => Outcome::Found(found(Evidence::Handshake)),
        }
    }
}

/// What reading the start of a side gave.
enum Read<'a> {
    /// It is something else.
    Wrong,
    /// Right so far.
    Short,
    /// Right; what follows.
    Good(&'a [u8]),
}

/// Takes the routing preface, if any, and the version.
fn preface(head: &[u8]) -> Read<'_> {
    let head = match starts(head, &[b'E', b'D', 0, 1]) {
        Some(false) => head,
        None => return Read::Short,
        Some(true) => {
            let Some(&[high, middle, low]) = head.get(4..).and_then(|rest| rest.first_chunk()) else {
                return Read::Short;
            };
            let len = u32::from_be_bytes([0, high, middle, low]) as usize;
            if len > MAX_ROUTING {
                return Read::Wrong;
            }
            match head.get(7 + len..) {
                Some(rest) => rest,
                None => return Read::Short,
            }
        }
    };
    match *head {
        [b'W', b'A', 2..=15, minor, ref rest @ ..] if minor < 16 => Read::Good(rest),
        [] | [b'W'] | [b'W', b'A'] | [b'W', b'A', 2..=15] => Read::Short,
        _ => Read::Wrong,
    }
}

/// Takes one frame that holds a hello: the field `tag` as long as the frame, and in it first a key of 32 bytes.
fn hello(head: &[u8], tag: u8) -> Read<'_> {
    let Some((&[high, middle, low], body)) = head.split_first_chunk::<3>() else {
        return if head.first().is_some_and(|first| *first != 0) { Read::Wrong } else { Read::Short };
    };
    let len = u32::from_be_bytes([0, high, middle, low]) as usize;
    let (field, inner) = match *body {
        [] => return if (FEWEST..MOST).contains(&len) { Read::Short } else { Read::Wrong },
        [first, ..] if first != tag => return Read::Wrong,
        [_] => return Read::Short,
        // A length is a variable-length integer: seven bits a byte.
        [_, low, ref inner @ ..] if low < 0x80 => (2 + usize::from(low), inner),
        [_, low, high, ref inner @ ..] if high < 0x80 => {
            (3 + (usize::from(high) << 7 | usize::from(low & 0x7f)), inner)
        }
        [_, _] => return Read::Short,
        _ => return Read::Wrong,
    };
    if !(FEWEST..MOST).contains(&len) || field != len {
        return Read::Wrong;
    }
    match starts(inner, EPHEMERAL) {
        Some(false) => Read::Wrong,
        None => Read::Short,
        Some(true) => body.get(len..).map_or(Read::Short, Read::Good),
    }
}

/// Whether `head` starts with `magic`; `None` while it is too short to tell.
fn starts(head: &[u8], magic: &[u8]) -> Option<bool> {
    match head.get(..magic.len()) {
        Some(start) => Some(start == magic),
        None if magic.starts_with(head) => None,
        None => Some(false),
    }
}

const PROTOCOL: Protocol = Protocol(&"whatsapp");
/// Field 2 of the handshake message.
const CLIENT_HELLO: u8 = 0x12;
/// Field 3.
const SERVER_HELLO: u8 = 0x1a;
/// Field 1 of a hello: 32 bytes.
const EPHEMERAL: &[u8] = &[0x0a, 0x20];
/// Tag, length, and the key with its own.
const FEWEST: usize = 2 + 34;
/// What two bytes of length can say.
const MOST: usize = 3 + (1 << 14);
const MAX_ROUTING: usize = 4096;

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::noise;
    use super::*;
    use crate::detect::tests::probe_streams;

    fn frame(tag: u8, rest: &[u8]) -> Vec<u8> {
        let body = [EPHEMERAL, &noise(tag, 32), rest].concat();
        let len = [body.len() as u8 & 0x7f | 0x80, (body.len() >> 7) as u8];
        let len = if body.len() < 128 { &[body.len() as u8][..] } else { &len };
        [&[0, 0, (1 + len.len() + body.len()) as u8, tag][..], len, &body].concat()
    }

    #[test]
    pub(crate) fn probe() {
        let one_sided = Outcome::Likely(Found::encrypted(PROTOCOL, Evidence::OneSided).from_client());
        let found = Outcome::Found(Found::encrypted(PROTOCOL, Evidence::Handshake).from_client());
        let client = [b"WA\x06\x03", &frame(0x12, b"")[..]].concat();
        let long = [b"WA\x06\x03", &frame(0x12, &noise(5, 150))[..]].concat();
        let routed = [b"ED\0\x01\0\0\x04abcd", &client[..]].concat();
        let server = frame(0x1a, &noise(3, 18));
        let old = b"WA\x01\x05\0\0\x17\xf8\x05\x01\xa5\x91\x89\xfc\x0fAndroid-2.12.84";
        let mut other_len = client.clone();
        other_len[8] += 1;
        let cases: &[(&str, &[u8], &[u8], Outcome)] = &[
            ("both hellos", &client, &server, found),
            ("a long hello", &long, &server, found),
            ("with a routing preface", &routed, &server, found),
            ("client alone", &client, b"", one_sided),
            ("half a hello", &client[..20], b"", Outcome::NeedMore),
            ("version before Noise", old, b"", Outcome::No),
            ("lengths that do not fit", &other_len, b"", Outcome::No),
            ("server speaks another protocol", &client, b"HTTP/1.1 400", Outcome::No),
            ("server repeats the client", &client, &client[4..], Outcome::No),
            ("text", b"WALK north\r\n", b"", Outcome::No),
        ];
        probe_streams(&WhatsApp, cases);
    }
}
