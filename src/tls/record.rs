//! The TLS record layer of one side of a stream, fed in pieces of any size, and the handshake messages inside.
//!
//! Sources: RFC 8446 section 5, RFC 5246 section 6.2, RFC 8446 appendix D.4 (ChangeCipherSpec for middleboxes), and for
//! SSL 2 hellos RFC 5246 appendix E.2 and RFC 6176.
//! Memory: one handshake message, cut at [`kept`] bytes; everything else is skipped by its length.
//! Not handled: content after this side's ChangeCipherSpec, which is encrypted; a gap ends reading (the caller's part).

use super::hello::{Carrier, ServerHello};

/// What a side sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event<'a> {
    /// A readable handshake message without its header.
    Handshake {
        /// HandshakeType.
        kind: u8,
        /// The message, or its start when it is longer than what is kept.
        body: &'a [u8],
    },
    /// An SSL 2 hello, from `version` (client) or `session_id_hit` (server) on; or the client's key behind it.
    Ssl2Hello {
        /// 1 from a client, 4 from a server; 2 is the key.
        kind: u8,
        /// The message after its type.
        body: &'a [u8],
    },
    /// What follows the SSL 2 hello of this side is SSL 2 too.
    Ssl2Data,
    /// ChangeCipherSpec.
    ChangeCipherSpec,
    /// A readable alert.
    Alert {
        /// 1 warning, 2 fatal.
        level: u8,
        /// AlertDescription.
        description: u8,
    },
    /// A record whose content cannot be read: application data, or anything after ChangeCipherSpec.
    Protected {
        /// ContentType.
        kind: u8,
        /// Length of the record's content.
        len: usize,
    },
    /// These are no TLS records. Nothing follows.
    NotTls,
}

/// One side of a stream.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Stream {
    header: Head,
    kind: Kind,
    /// Bytes of the current record that are still to come.
    left: u32,
    message: Message,
    /// What came of an alert record.
    alert: Head,
    /// ChangeCipherSpec was seen.
    protected: bool,
    /// The latest handshake message was a HelloRetryRequest: a ChangeCipherSpec after it protects nothing.
    retry: bool,
    first: First,
    ended: bool,
}

/// What may stand where a record begins.
#[derive(Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
enum First {
    /// The first record of the side: SSL 2 is possible.
    #[default]
    Any,
    /// After an SSL 2 hello: TLS records, or more SSL 2.
    AfterSsl2,
    /// TLS records.
    Tls,
}

/// What is being read.
#[derive(Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
enum Kind {
    /// The header of the next record.
    #[default]
    Header,
    /// Content that is skipped by its length.
    Skipped,
    /// Readable handshake messages.
    Handshake,
    /// A readable alert.
    Alert,
    /// A handshake record behind a ChangeCipherSpec, that may be in clear yet.
    Perhaps,
    /// An SSL 2 hello of this type.
    Ssl2(u8),
}

impl Stream {
    /// Reads on. `sink` is told what is found, in order.
    pub(super) fn feed(&mut self, mut bytes: &[u8], sink: &mut impl FnMut(Event<'_>)) {
        while !bytes.is_empty() && !self.ended {
            if self.kind == Kind::Header {
                let Some(header) = self.header.read(&mut bytes) else { return };
                self.begin_record(header, sink);
                continue;
            }
            let (now, rest) = bytes.split_at((self.left as usize).min(bytes.len()));
            self.left -= now.len() as u32;
            bytes = rest;
            self.read_content(now, sink);
            if self.left == 0 {
                self.kind = Kind::Header;
            }
        }
    }

    /// Heap bytes held.
    pub(super) fn memory(&self) -> usize {
        self.message.body.capacity()
    }

    /// Stops reading and lets go of memory: bytes are missing.
    pub(super) fn end(&mut self) {
        self.ended = true;
        self.message = Message::default();
    }

    fn begin_record(&mut self, header: [u8; HEADER_LEN], sink: &mut impl FnMut(Event<'_>)) {
        let [a, b, c, d, e] = header;
        let ssl2 = a & 0x80 != 0
            && match self.first {
                First::Any => matches!(c, 1 | 4),
                First::AfterSsl2 => c == SSL2_MASTER_KEY,
                First::Tls => false,
            };
        let ssl2_len = usize::from(u16::from_be_bytes([a & 0x7f, b]));
        if ssl2 && ssl2_len >= SSL2_HELLO_MIN {
            self.first = First::AfterSsl2;
            self.kind = Kind::Ssl2(c);
            self.left = ssl2_len as u32 - 3;
            self.message = Message { body: vec![d, e], ..Message::default() };
            return;
        }
        let Some((kind, len)) = record_header(header) else {
            self.end();
            sink(if self.first == First::AfterSsl2 { Event::Ssl2Data } else { Event::NotTls });
            return;
        };
        self.first = First::Tls;
        self.left = len as u32;
        self.kind = match kind {
            CHANGE_CIPHER_SPEC => {
                sink(Event::ChangeCipherSpec);
                self.protected |= !self.retry;
                Kind::Skipped
            }
            HANDSHAKE if !self.protected => Kind::Handshake,
            ALERT if !self.protected && len == 2 => Kind::Alert,
            _ => {
                sink(Event::Protected { kind, len });
                // In TLS 1.3 a client that was asked for another hello sends it in clear behind a ChangeCipherSpec for
                // the sake of old devices (RFC 8446 appendix D.4).
                match kind == HANDSHAKE && SECOND_HELLO.contains(&len) && self.message.body.is_empty() {
                    true => Kind::Perhaps,
                    false => Kind::Skipped,
                }
            }
        };
        if len == 0 {
            self.kind = Kind::Header;
        }
    }

    fn read_content(&mut self, now: &[u8], sink: &mut impl FnMut(Event<'_>)) {
        match self.kind {
            Kind::Header | Kind::Skipped => {}
            Kind::Handshake => {
                let retry = &mut self.retry;
                self.message.feed(now, &mut |kind, body| {
                    *retry = is_retry(kind, body);
                    sink(Event::Handshake { kind, body });
                });
            }
            Kind::Alert => {
                if let Some([level, description]) = self.alert.read(&mut &*now) {
                    sink(Event::Alert { level, description });
                }
            }
            Kind::Perhaps => {
                self.message.body.extend_from_slice(now);
                if self.left == 0 {
                    let message = std::mem::take(&mut self.message).body;
                    if let [CLIENT_HELLO, 0, high, low, body @ ..] = &*message
                        && body.len() == usize::from(u16::from_be_bytes([*high, *low]))
                    {
                        sink(Event::Handshake { kind: CLIENT_HELLO, body });
                    }
                }
            }
            Kind::Ssl2(kind) => {
                self.message.body.extend_from_slice(now);
                if self.left == 0 {
                    let body = std::mem::take(&mut self.message).body;
                    sink(Event::Ssl2Hello { kind, body: &body });
                }
            }
        }
    }
}

/// A header that may come in pieces.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
struct Head {
    bytes: [u8; HEADER_LEN],
    have: u8,
}

impl Head {
    /// The next header of `N` bytes, once it is whole; what belongs to it is taken from the front of `bytes`.
    fn read<const N: usize>(&mut self, bytes: &mut &[u8]) -> Option<[u8; N]> {
        if self.have == 0
            && let Some((whole, rest)) = bytes.split_first_chunk()
        {
            *bytes = rest;
            return Some(*whole);
        }
        let missing = self.bytes.get_mut(self.have.into()..N).unwrap_or_default();
        let (now, rest) = bytes.split_at(missing.len().min(bytes.len()));
        missing.iter_mut().zip(now).for_each(|(place, byte)| *place = *byte);
        self.have += now.len() as u8;
        *bytes = rest;
        (usize::from(self.have) == N).then_some(())?;
        self.have = 0;
        self.bytes.first_chunk().copied()
    }
}

/// A handshake message that comes in pieces.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
struct Message {
    header: Head,
    /// Type of the message whose body is being read.
    kind: Option<u8>,
    /// Bytes of the body that are still to come.
    left: u32,
    #[serde(with = "crate::model::kept::room")]
    body: Vec<u8>,
}

impl Message {
    fn feed(&mut self, mut bytes: &[u8], sink: &mut impl FnMut(u8, &[u8])) {
        loop {
            let kind = match self.kind {
                Some(kind) => kind,
                None => {
                    let Some([kind, high, middle, low]) = self.header.read(&mut bytes) else { return };
                    self.left = u32::from_be_bytes([0, high, middle, low]);
                    kind
                }
            };
            let (now, rest) = bytes.split_at((self.left as usize).min(bytes.len()));
            self.left -= now.len() as u32;
            bytes = rest;
            if self.left > 0 {
                self.kind = Some(kind);
                self.keep(kind, now);
                return;
            }
            self.kind = None;
            if self.body.is_empty() {
                // It came in one piece, as nearly all do: no need to keep a copy.
                sink(kind, now.get(..kept(kind)).unwrap_or(now));
            } else {
                self.keep(kind, now);
                sink(kind, &std::mem::take(&mut self.body));
            }
        }
    }

    /// Keeps a piece of a message of type `kind`, as far as it is of use.
    fn keep(&mut self, kind: u8, piece: &[u8]) {
        let start = if self.body.is_empty() { piece } else { &self.body };
        let most = match (kind, start.first_chunk()) {
            (CERTIFICATE, Some(start)) => leaf_end(*start),
            _ => kept(kind),
        };
        let room = most.saturating_sub(self.body.len());
        let piece = piece.get(..room).unwrap_or(piece);
        if self.body.is_empty() {
            // All of it at once, unless it claims to be long.
            let all = piece.len() + self.left as usize;
            self.body.reserve_exact(all.min(most).min(piece.len().max(ROOM)));
        }
        self.body.extend_from_slice(piece);
    }
}

/// Where the first certificate ends in a Certificate message (RFC 5246 section 7.4.2) that begins like this, or what is kept
/// of it at most. The others are not read.
fn leaf_end([_, _, _, high, middle, low]: [u8; 6]) -> usize {
    let leaf = u32::from_be_bytes([0, high, middle, low]) as usize;
    kept(CERTIFICATE).min(6 + leaf)
}

/// Room for a message that is made before its bytes come. Unit: bytes.
const ROOM: usize = 4096;

/// Type and content length of a record; `None` when this is no record header.
pub(super) fn record_header(header: [u8; HEADER_LEN]) -> Option<(u8, usize)> {
    let [kind, major, minor, high, low] = header;
    let len = usize::from(u16::from_be_bytes([high, low]));
    let possible = matches!(kind, CHANGE_CIPHER_SPEC..=HEARTBEAT)
        && major == 3
        && (minor <= 4 || (0x11..=0x1c).contains(&minor))
        && len <= MAX_RECORD
        && (kind != CHANGE_CIPHER_SPEC || len == 1);
    possible.then_some((kind, len))
}

/// Whether a server's message is a HelloRetryRequest: by its random, or by its type in the drafts before 22.
pub(super) fn is_retry(kind: u8, body: &[u8]) -> bool {
    match kind {
        SERVER_HELLO => ServerHello::parse(body, Carrier::Tls).is_some_and(|hello| hello.is_retry()),
        HELLO_RETRY_REQUEST => true,
        _ => false,
    }
}

/// Bytes kept of a message of this type: no real hello or leaf certificate is longer, the rest is skipped by length.
pub(super) fn kept(kind: u8) -> usize {
    match kind {
        CLIENT_HELLO | SERVER_HELLO | HELLO_RETRY_REQUEST | SERVER_KEY_EXCHANGE | CERTIFICATE => 64 * 1024,
        _ => 0,
    }
}

pub(super) const HEADER_LEN: usize = 5;
/// TLS 1.2 allows 2^14 + 2048 bytes of ciphertext (RFC 5246 section 6.2.3), TLS 1.3 fewer.
pub(super) const MAX_RECORD: usize = (1 << 14) + 2048;
/// Type, version and three lengths.
const SSL2_HELLO_MIN: usize = 9;
/// The client's answer to the server's hello, in clear but for the key in it.
const SSL2_MASTER_KEY: u8 = 2;

/// Lengths of a record that may hold the second ClientHello.
const SECOND_HELLO: std::ops::RangeInclusive<usize> = 60..=4096;
pub(super) const CHANGE_CIPHER_SPEC: u8 = 20;
pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;
pub(super) const APPLICATION_DATA: u8 = 23;
const HEARTBEAT: u8 = 24;

pub(super) const CLIENT_HELLO: u8 = 1;
pub(super) const SERVER_HELLO: u8 = 2;
pub(super) const HELLO_VERIFY_REQUEST: u8 = 3;
pub(super) const HELLO_RETRY_REQUEST: u8 = 6;
pub(super) const CERTIFICATE: u8 = 11;
pub(super) const SERVER_KEY_EXCHANGE: u8 = 12;
pub(super) const CERTIFICATE_REQUEST: u8 = 13;
pub(super) const SERVER_HELLO_DONE: u8 = 14;

#[cfg(test)]
mod tests {
    use super::*;

    fn events(pieces: &[&[u8]]) -> Vec<String> {
        let (mut stream, mut seen) = (Stream::default(), Vec::new());
        for piece in pieces {
            stream.feed(piece, &mut |event| seen.push(format!("{event:?}")));
        }
        seen
    }

    fn one_by_one(bytes: &[u8]) -> Vec<String> {
        events(&bytes.chunks(1).collect::<Vec<_>>())
    }

    #[test]
    fn records_and_messages() {
        #[rustfmt::skip]
        let cases: &[(&str, &[u8], &[Event<'_>])] = &[
            ("two messages in one record", &[22, 3, 1, 0, 10, 1, 0, 0, 2, 7, 8, 14, 0, 0, 0],
                &[Event::Handshake { kind: 1, body: &[7, 8] }, Event::Handshake { kind: 14, body: &[] }]),
            ("a message over two records", &[22, 3, 1, 0, 5, 1, 0, 0, 2, 7, 22, 3, 1, 0, 1, 8],
                &[Event::Handshake { kind: 1, body: &[7, 8] }]),
            ("a header over two records", &[22, 3, 1, 0, 2, 1, 0, 22, 3, 1, 0, 3, 0, 1, 9],
                &[Event::Handshake { kind: 1, body: &[9] }]),
            ("what is not needed is not kept", &[22, 3, 1, 0, 6, 16, 0, 0, 2, 7, 8],
                &[Event::Handshake { kind: 16, body: &[] }]),
            ("alert", &[21, 3, 1, 0, 2, 2, 40], &[Event::Alert { level: 2, description: 40 }]),
            ("handshake after ChangeCipherSpec is unreadable",
                &[20, 3, 3, 0, 1, 1, 22, 3, 3, 0, 4, 1, 0, 0, 0, 21, 3, 3, 0, 2, 2, 40],
                &[Event::ChangeCipherSpec, Event::Protected { kind: 22, len: 4 }, Event::Protected { kind: 21, len: 2 }]),
            ("ChangeCipherSpec after the old HelloRetryRequest protects nothing",
                &[22, 3, 3, 0, 4, 6, 0, 0, 0, 20, 3, 3, 0, 1, 1, 22, 3, 3, 0, 4, 14, 0, 0, 0],
                &[Event::Handshake { kind: 6, body: &[] }, Event::ChangeCipherSpec,
                  Event::Handshake { kind: 14, body: &[] }]),
            ("empty record", &[23, 3, 3, 0, 0, 23, 3, 3, 0, 1, 9],
                &[Event::Protected { kind: 23, len: 0 }, Event::Protected { kind: 23, len: 1 }]),
            ("not TLS", b"HTTP/1.1 400 Bad Request\r\n\r\n", &[Event::NotTls]),
            ("too long", &[23, 3, 3, 0x48, 1, 0], &[Event::NotTls]),
            ("SSL 2 hello, then SSL 2", &[0x80, 9, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0x80, 5, 2, 9, 9],
                &[Event::Ssl2Hello { kind: 1, body: &[0, 2, 0, 0, 0, 0, 0, 0] }, Event::Ssl2Data]),
            ("SSL 2 hello, the key, then data",
                &[0x80, 9, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0x80, 10, 2, 7, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0x80, 17, 9, 9, 9],
                &[Event::Ssl2Hello { kind: 1, body: &[0, 2, 0, 0, 0, 0, 0, 0] },
                  Event::Ssl2Hello { kind: 2, body: &[7, 0, 0xc0, 0, 0, 0, 0, 0, 0] }, Event::Ssl2Data]),
            ("SSL 2 hello, then TLS", &[0x80, 9, 1, 3, 1, 0, 0, 0, 0, 0, 0, 20, 3, 1, 0, 1, 1],
                &[Event::Ssl2Hello { kind: 1, body: &[3, 1, 0, 0, 0, 0, 0, 0] }, Event::ChangeCipherSpec]),
        ];
        for (name, bytes, want) in cases {
            let want: Vec<String> = want.iter().map(|event| format!("{event:?}")).collect();
            assert_eq!(events(&[bytes]), want, "{name}");
            assert_eq!(one_by_one(bytes), want, "{name}, byte by byte");
        }
    }

    #[test]
    fn a_message_that_never_ends_is_bounded() {
        let mut stream = Stream::default();
        let mut record = vec![22, 3, 3, 0x40, 0, 11, 0xff, 0xff, 0xff];
        record.resize(5 + 0x4000, 0);
        for _ in 0..40 {
            stream.feed(&record, &mut |_| {});
            record.splice(5..9, [0; 4]);
        }
        assert!(stream.memory() <= 2 * kept(CERTIFICATE), "{}", stream.memory());
    }
}
