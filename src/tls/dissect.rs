//! TLS over a stream, recognised by its hellos, or in mid-stream by a chain of records.
//!
//! Sources: RFC 8446 section 4 and 5, RFC 5246 section 6.2 and appendix E; SSL 2 in `ssl2`.
//! Evidence: a ClientHello whose nested lengths and versions fit, and a ServerHello or alert in answer (handshake); a
//! hello of one side only (one-sided); in mid-stream at least three record headers, each where the one before says, up to
//! the end of what was seen, or two on both sides, or fewer whose lengths end exactly with the bytes (framing). Three headers agree by chance once in 2^60 places.
//! An answer that is no TLS (an HTTP error in clear, say) refutes the ClientHello: the class stays open, its facts are kept.
//! Not handled: TLS that begins behind another protocol; upgrades start a session themselves.

use super::record::{ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, HEADER_LEN, MAX_RECORD, record_header};
use super::{read::Reader, session, ssl2};
use crate::detect::{Dissector, Found, Heads, Outcome, Session};
use crate::model::{Class, Evidence, Protocol, Transport};

/// TLS over TCP.
pub(super) struct Tls;

impl Dissector for Tls {
    fn protocol(&self) -> Protocol {
        Protocol::TLS
    }

    fn transport(&self) -> Transport {
        Transport::TCP
    }

    fn forgives_a_side(&self) -> bool {
        true // A hello that is answered with something else is still a hello.
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        match by_hello(heads) {
            Outcome::No if heads.from_start => unproven(by_hello(exchanged(heads))),
            Outcome::No => by_chain(heads),
            outcome => outcome,
        }
    }

    fn session(&self, found: Found) -> Option<Box<dyn Session>> {
        Some(match (found.evidence, found.client_proven) {
            (Evidence::Framing, _) => session::without_handshake(),
            (_, true) => session::stream(),
            (_, false) => session::reversed_stream(),
        })
    }
}

/// Whether `head` opens with a ClientHello of TLS or SSL; `None` while it agrees and is too short to tell.
///
/// For protocols behind which TLS may begin (STARTTLS, CONNECT, SOCKS, PROXY).
#[must_use]
pub fn opens_client_hello(head: &[u8]) -> Option<bool> {
    match client_opening(head) {
        Fit::Yes => Some(true),
        Fit::No => Some(false),
        Fit::Empty | Fit::Partly => None,
    }
}

/// How far the start of a head agrees with what is expected there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    /// Nothing was seen.
    Empty,
    /// It contradicts.
    No,
    /// All that was seen agrees, and it is too little.
    Partly,
    /// It agrees in everything that is checked.
    Yes,
}

fn by_hello(heads: Heads<'_>) -> Outcome {
    let handshake = Outcome::Found(Found::encrypted(Protocol::TLS, Evidence::Handshake).from_client());
    let one_sided = Outcome::Likely(Found::encrypted(Protocol::TLS, Evidence::OneSided).from_client());
    let client = client_opening(heads.client);
    if client == Fit::No {
        return Outcome::No;
    }
    match (client, server_opening(heads.server)) {
        // The client spoke TLS and was answered with something else: its hello is worth reading, its class is open.
        (Fit::Yes, Fit::No) if heads.from_start => Outcome::Likely(Found {
            class: Class::Unknown,
            evidence: Evidence::None,
            ..Found::encrypted(Protocol::TLS, Evidence::OneSided).from_client()
        }),
        (Fit::No, _) | (_, Fit::No) => Outcome::No,
        (Fit::Yes, Fit::Yes) => handshake,
        (Fit::Yes, _) => one_sided,
        // An alert alone is seven bytes that others may send too.
        (Fit::Empty, Fit::Yes) if heads.server.first() != Some(&ALERT) => one_sided,
        _ => Outcome::NeedMore,
    }
}

/// Whether `head` opens with a ClientHello.
fn client_opening(head: &[u8]) -> Fit {
    match (hello_fit(head, CLIENT), ssl2::opens_with(head, 1)) {
        (_, Some(true)) => Fit::Yes,
        (Fit::No, None) if !head.is_empty() => Fit::Partly,
        (fit, _) => fit,
    }
}

/// Whether `head` opens with a ServerHello, or an alert in answer to a ClientHello.
fn server_opening(head: &[u8]) -> Fit {
    let alert = alert_fit(head);
    match (hello_fit(head, SERVER), ssl2::opens_with(head, 4)) {
        (_, Some(true)) => Fit::Yes,
        (Fit::No, None) if !head.is_empty() => Fit::Partly,
        (Fit::No, _) => alert,
        (fit, _) => fit,
    }
}

/// Checks record header, message header and the fixed part of a hello, as far as they were seen.
///
/// The versions are enough for [`Fit::Yes`]: what follows was perhaps never captured.
fn hello_fit(head: &[u8], side: HelloOf) -> Fit {
    if head.is_empty() {
        return Fit::Empty;
    }
    match checked(head, side) {
        Ok(()) => Fit::Yes,
        Err(Reason::Refuted) => Fit::No,
        Err(Reason::Short) => Fit::Partly,
    }
}

/// Which hello is looked for: its type, and the shortest and longest message there can be.
#[derive(Clone, Copy)]
struct HelloOf {
    kinds: &'static [u8],
    min: usize,
    max: usize,
}

/// Version, random, session ID, one suite, one compression method.
const CLIENT: HelloOf = HelloOf { kinds: &[1], min: 2 + 32 + 1 + 4 + 2, max: 1 << 16 };
/// Version, random and suite of the drafts before 22; type 6 is their HelloRetryRequest.
const SERVER: HelloOf = HelloOf { kinds: &[2, 6], min: 2 + 2, max: 1 << 16 };

enum Reason {
    Refuted,
    Short,
}

fn checked(head: &[u8], side: HelloOf) -> Result<(), Reason> {
    let mut reader = Reader(head);
    let mut byte = |possible: &dyn Fn(u8) -> bool| match reader.u8() {
        Some(byte) if possible(byte) => Ok(usize::from(byte)),
        Some(_) => Err(Reason::Refuted),
        None => Err(Reason::Short),
    };
    byte(&|kind| kind == HANDSHAKE)?;
    byte(&|major| major == 3)?;
    byte(&|minor| minor <= 4)?;
    let record = byte(&|high| usize::from(high) <= MAX_RECORD >> 8)? << 8 | byte(&|_| true)?;
    if !(4..=MAX_RECORD).contains(&record) {
        return Err(Reason::Refuted);
    }
    byte(&|kind| side.kinds.contains(&kind))?;
    let len = byte(&|high| high <= 1)? << 16 | byte(&|_| true)? << 8 | byte(&|_| true)?;
    if !(side.min..=side.max).contains(&len) {
        return Err(Reason::Refuted);
    }
    let major = byte(&|major| matches!(major, 3 | 0x7f))?;
    let minor = byte(&|minor| if major == 3 { minor <= 4 } else { (1..=0x1c).contains(&minor) })?;
    let is_client = side.kinds == CLIENT.kinds;
    if !is_client && (major, minor) >= (3, 4) {
        // The drafts before 22 said their version here and had no session ID: nothing more to check.
        return Ok(());
    }
    // A message longer than its record goes on in the next; one that ends early is followed by another.
    match inner(head.get(HEADER_LEN + 4 + 2..).unwrap_or(&[]), len, is_client) {
        Some(false) => Err(Reason::Refuted),
        _ => Ok(()),
    }
}

/// Checks what follows the version; `None` where too little was seen.
fn inner(body: &[u8], len: usize, is_client: bool) -> Option<bool> {
    let mut reader = Reader(body);
    reader.take(32)?;
    let session_id = reader.u8()?.into();
    if session_id > 32 {
        return Some(false);
    }
    reader.take(session_id)?;
    if !is_client {
        // The suite's number is judged by the session, which knows what was offered.
        return Some(true);
    }
    let suites = usize::from(reader.u16()?);
    Some(suites >= 2 && suites % 2 == 0 && 2 + 32 + 1 + session_id + 2 + suites + 2 <= len)
}

/// Whether `head` opens with a readable alert.
fn alert_fit(head: &[u8]) -> Fit {
    let places: [&dyn Fn(u8) -> bool; 7] = [
        &|kind| kind == ALERT,
        &|major| major == 3,
        &|minor| minor <= 4,
        &|high| high == 0,
        &|low| low == 2,
        &|level| matches!(level, 1 | 2),
        &|description| description <= 121,
    ];
    if places.iter().zip(head).any(|(possible, &byte)| !possible(byte)) {
        return Fit::No;
    }
    if head.len() < places.len() { Fit::Partly } else { Fit::Yes }
}

fn by_chain(heads: Heads<'_>) -> Outcome {
    // With the sides exchanged the hellos will say more.
    if matches!(by_hello(exchanged(heads)), Outcome::Found(_) | Outcome::Likely(_)) {
        return Outcome::No;
    }
    let framing = Found::encrypted(Protocol::TLS, Evidence::Framing);
    let (Some(a), Some(b)) = (longest_chain(heads.client), longest_chain(heads.server)) else { return Outcome::No };
    let both = a.headers.min(b.headers);
    if a.headers.max(b.headers) >= 3 || both >= 2 {
        Outcome::Found(framing)
    } else if (a.whole && b.whole && both >= 1) || [a, b].iter().any(|chain| chain.whole && chain.headers >= 2) {
        // Lengths that end where the bytes end, from the first byte on, are as good as one more header.
        Outcome::Likely(framing)
    } else {
        Outcome::NeedMore
    }
}

/// The same heads with the sides exchanged.
fn exchanged(heads: Heads<'_>) -> Heads<'_> {
    Heads { client: heads.server, server: heads.client, ..heads }
}

/// The outcome of exchanged heads, as seen by who presumed the other side to be the client.
fn unproven(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Found(found) => Outcome::Found(Found { client_proven: false, ..found }),
        Outcome::Likely(found) => Outcome::Likely(Found { client_proven: false, ..found }),
        other => other,
    }
}

/// Records that follow one another up to the end of a head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Chain {
    /// Complete record headers.
    headers: usize,
    /// The first header is at the first byte, and the last record ends with the last byte.
    whole: bool,
}

/// The longest chain of records up to the end of `head`, begun anywhere in its first record's possible length.
///
/// `None` when there is none, and one would have begun by now.
fn longest_chain(head: &[u8]) -> Option<Chain> {
    const LATEST: usize = MAX_RECORD + HEADER_LEN;
    let mut best = None;
    // Nearly every byte of a long head is passed over here: all but the threes, which may be the second byte of a header.
    let last = (head.len() + 1).saturating_sub(HEADER_LEN).min(LATEST);
    for at in memchr::memchr_iter(3, head.get(1..=last).unwrap_or_default()) {
        if !matches!(head.get(at), Some(CHANGE_CIPHER_SPEC..=APPLICATION_DATA)) {
            continue;
        }
        let chain = head.get(at..).and_then(chain).map(|chain| Chain { whole: chain.whole && at == 0, ..chain });
        best = best.max(chain);
        if best.is_some_and(|best| best.headers >= 3 || best.whole) {
            break;
        }
    }
    // What ends within a header may begin one.
    let begins = |at: usize| head.get(at).is_some_and(|kind| (CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(kind));
    let may_begin = || (head.len().saturating_sub(HEADER_LEN - 1)..LATEST.min(head.len())).any(begins);
    best.or_else(|| (head.len() <= LATEST || may_begin()).then(Chain::default))
}

/// Headers after which a chain is believed before its end is reached; bounds the work on hostile bytes.
const ENOUGH: usize = 32;

/// Whether the body of a record shows text that no cipher would: with a NULL suite the records are framed all the same
/// (RFC 5246 section 6.2.3.1), and only a handshake could tell. One in 10^9 ciphertexts has such a run by chance.
fn is_readable(body: &[u8]) -> bool {
    const RUN: usize = 24;
    let body = body.get(..512).unwrap_or(body);
    let mut run = 0;
    body.iter().any(|byte| {
        run = if matches!(byte, b' '..=b'~' | b'\r' | b'\n' | b'\t') { run + 1 } else { 0 };
        run >= RUN
    })
}

/// The records that `bytes` consists of, all of one version (the last may be cut), else `None`.
fn chain(mut bytes: &[u8]) -> Option<Chain> {
    let version = bytes.get(1..3);
    let (mut headers, mut whole) = (0, false);
    while let Some((header, rest)) = bytes.split_first_chunk::<HEADER_LEN>() {
        let (kind, len) = record_header(*header)?;
        let plausible = match kind {
            CHANGE_CIPHER_SPEC => len == 1,
            // A tag of 8 bytes and the content type of TLS 1.3 at least.
            APPLICATION_DATA => len > 8 && !is_readable(rest.get(..len).unwrap_or(rest)),
            ALERT => len == 2 || len > 8,
            HANDSHAKE => len >= 4,
            _ => false,
        };
        if !plausible || header.get(1..3) != version || header[2] > 3 {
            return None;
        }
        headers += 1;
        if headers == ENOUGH {
            return Some(Chain { headers, whole: true });
        }
        whole = len == rest.len();
        bytes = rest.get(len..).unwrap_or(&[]);
    }
    let rest_fits = bytes.first().is_none_or(|kind| (CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(kind))
        && bytes.get(1..).unwrap_or(&[]).iter().zip(version.unwrap_or(&[])).all(|(byte, want)| byte == want);
    rest_fits.then_some(Chain { headers, whole })
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::testing::{client12, client13, handshake, hello_retry, join, record, server12, server13};
    use super::*;
    use crate::detect::tests::ask;
    use crate::model::Class;

    fn probe(client: &[u8], server: &[u8], from_start: bool) -> &'static str {
        match ask(&Tls, Heads { client, server, datagrams: &[], from_start }) {
            Outcome::No => "no",
            Outcome::NeedMore => "more",
            Outcome::Likely(found) if (found.class, found.evidence) == (Class::Unknown, Evidence::None) => {
                "likely open"
            }
            Outcome::Likely(found) | Outcome::Found(found) if found.class != Class::Encrypted => "wrong class",
            Outcome::Likely(found) => match (found.evidence, found.client_proven) {
                (Evidence::OneSided, true) => "likely one-sided",
                (Evidence::OneSided, false) => "likely one-sided, reversed",
                (Evidence::Framing, _) => "likely framing",
                _ => "wrong evidence",
            },
            Outcome::Found(found) => match (found.evidence, found.client_proven) {
                (Evidence::Handshake, true) => "handshake",
                (Evidence::Handshake, false) => "handshake, reversed",
                (Evidence::Framing, false) => "framing",
                _ => "wrong evidence",
            },
        }
    }

    #[test]
    pub(crate) fn hellos() {
        let (client, server) = (client13(), server13());
        let edit = |at: usize, byte: u8| {
            let mut bytes = client13();
            bytes[at] = byte;
            bytes
        };
        let alert = record(21, &[2, 40]);
        let retry = handshake(2, &hello_retry());
        let old_draft = handshake(2, &join(&[&[3, 4], &[9; 32], &[0xc0, 0x2f, 0, 0]]));
        let mut ssl2 = vec![0x80, 31, 1, 0, 2, 0, 6, 0, 0, 0, 16, 0, 0, 0x2f, 1, 0, 0x80];
        ssl2.resize(33, 0xaa);
        let cases: &[(&str, &[u8], &[u8], &str)] = &[
            ("both", &client, &server, "handshake"),
            ("a draft before 16", &client, &old_draft, "handshake"),
            ("TLS 1.2", &client12(), &server12(&[], 0xc02f), "handshake"),
            ("retry", &client, &retry, "handshake"),
            ("alert", &client, &alert, "handshake"),
            ("client only", &client, b"", "likely one-sided"),
            ("start of a client's", &client[..20], b"", "likely one-sided"),
            ("too little of it", &client[..8], b"", "more"),
            ("server only", b"", &server, "likely one-sided"),
            ("alert only", b"", &alert, "more"),
            ("nothing", b"", b"", "more"),
            ("the opener is the server", &server, &client, "handshake, reversed"),
            ("SSL 2", &ssl2, b"", "likely one-sided"),
            ("SSL 2, then TLS", &ssl2, &server12(&[], 0x002f), "handshake"),
            ("answer in clear", &client, b"HTTP/1.1 400 Bad Request\r\n\r\n", "likely open"),
            ("answer in clear, a broken hello", &edit(9, 2), b"HTTP/1.1 400 Bad Request\r\n\r\n", "no"),
            ("answer that is no hello", &client, &handshake(14, b""), "likely open"),
            ("text", b"GET / HTTP/1.1\r\n", b"", "no"),
            ("record too long", &edit(3, 0x49), b"", "no"),
            ("record version", &edit(1, 4), b"", "no"),
            ("another message", &edit(5, 16), b"", "no"),
            ("message length", &edit(6, 9), b"", "no"),
            ("hello version", &edit(9, 2), b"", "no"),
            ("session ID length", &edit(43, 200), b"", "no"),
            ("suites longer than the message", &edit(76, 0x40), b"", "no"),
        ];
        for (name, client, server, want) in cases {
            assert_eq!(probe(client, server, true), *want, "{name}");
        }
    }

    #[test]
    pub(crate) fn middle_of_a_stream() {
        let data = |len: usize| record(23, &vec![0xa5; len]);
        let (one, two, three) = (data(40), join(&[&data(40), &data(90)]), join(&[&data(40), &data(90), &data(30)]));
        let inside = join(&[&[0xa5; 700], &three]);
        let cut = &three[..three.len() - 10];
        let mut other_version = three.clone();
        other_version[46] = 1;
        let readable = record(23, b"what a NULL suite leaves in clear").repeat(4);
        let noise: Vec<u8> = (0..40_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let mqtt: Vec<u8> = b"\x30\x17\x00\x03a/b\x17\x03\x03\x00\x09payload\x30\x17\x00\x03a/b".repeat(8);
        let cases: &[(&str, &[u8], &[u8], &str)] = &[
            ("three on one side", &three, b"", "framing"),
            ("three, the last one cut", cut, b"", "framing"),
            ("begun inside a record", &inside, b"", "framing"),
            ("begun inside records on both sides", &join(&[&[1; 9], &two]), &join(&[&[1; 9], &two]), "framing"),
            ("two whole ones on one side", &two, b"", "likely framing"),
            ("one whole one on both sides", &one, &one, "likely framing"),
            ("one", &one, b"", "more"),
            ("two, begun inside", &join(&[&[1; 9], &two]), b"", "more"),
            ("the chain breaks", &join(&[&three, b"and then text"]), b"", "more"),
            ("versions differ", &other_version, b"", "more"),
            ("binary messages with a header like a record's", &mqtt, b"", "more"),
            ("readable records", &readable, b"", "more"),
            ("long noise", &noise, b"", "no"),
            ("records against long noise", &three, &noise, "no"),
            ("hellos are better", &client13(), &server13(), "handshake"),
            ("hellos, sides exchanged", &server13(), &client13(), "no"),
        ];
        for (name, client, server, want) in cases {
            assert_eq!(probe(client, server, false), *want, "{name}");
        }
        assert_eq!(probe(&three, b"", true), "no", "a stream from its start begins with a hello");
    }

    #[test]
    fn opens_with_a_client_hello() {
        let client = client13();
        for (name, head, want) in [
            ("whole", &client[..], Some(true)),
            ("a few bytes", &client[..5], None),
            ("nothing", b"", None),
            ("server's", &server13(), Some(false)),
            ("text", b"220 ready\r\n", Some(false)),
        ] {
            assert_eq!(opens_client_hello(head), want, "{name}");
        }
    }

    #[test]
    pub(crate) fn a_prefix_of_what_is_accepted_is_never_refuted() {
        let three = record(23, &[0xa5; 40]).repeat(3);
        for (client, server, from_start) in
            [(client13(), server13(), true), (client12(), record(21, &[2, 40]), true), (three.clone(), three, false)]
        {
            for cut in 0..=client.len().max(server.len()) {
                let (a, b) = (client.get(..cut).unwrap_or(&client), server.get(..cut).unwrap_or(&server));
                assert_ne!(probe(a, b, from_start), "no", "{cut}");
                assert_ne!(probe(a, b"", from_start), "no", "{cut} of the client");
            }
        }
    }
}
