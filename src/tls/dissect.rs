//! TLS over a stream, recognised by its hellos, or in mid-stream by a chain of records.
//!
//! Sources: RFC 8446 section 4 and 5, RFC 5246 section 6.2 and appendix E; SSL 2 in `ssl2`.
//! Evidence: a ClientHello whose nested lengths and versions fit, and a ServerHello or alert in answer (handshake); a
//! hello of one side only (one-sided); in mid-stream at least three record headers, each where the one before says, up to
//! the end of what was seen, or two on both sides (framing). Three headers agree by chance once in 2^60 places.
//! An answer that is no TLS (an HTTP error in clear, say) refutes the ClientHello.
//! Not handled: TLS that begins behind another protocol; upgrades start a session themselves.

use super::record::{ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, HEADER_LEN, MAX_RECORD, record_header};
use super::{read::Reader, session, ssl2};
use crate::detect::{Dissector, Found, Heads, Outcome, Session};
use crate::model::{Evidence, Protocol, Transport};

/// TLS over TCP.
pub(super) struct Tls;

impl Dissector for Tls {
    fn protocol(&self) -> Protocol {
        Protocol::TLS
    }

    fn transport(&self) -> Transport {
        Transport::TCP
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        match by_hello(heads) {
            Outcome::No if !heads.from_start => by_chain(heads),
            outcome => outcome,
        }
    }

    fn session(&self, found: Found) -> Option<Box<dyn Session>> {
        Some(if found.evidence == Evidence::Framing { session::without_handshake() } else { session::stream() })
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
    match (client_opening(heads.client), server_opening(heads.server)) {
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
    byte(&|minor| if major == 3 { minor <= 4 } else { (1..=0x1c).contains(&minor) })?;
    // A message longer than its record goes on in the next; one that ends early is followed by another.
    let body = head.get(HEADER_LEN + 4 + 2..).unwrap_or(&[]);
    inner(body, len, side.kinds == CLIENT.kinds, major == 3)
        .map_or(Ok(()), |fits| if fits { Ok(()) } else { Err(Reason::Refuted) })
}

/// Checks what follows the version; `None` where too little was seen.
fn inner(body: &[u8], len: usize, client: bool, has_session_id: bool) -> Option<bool> {
    if !has_session_id {
        return Some(true);
    }
    let mut reader = Reader(body);
    reader.take(32)?;
    let session_id = reader.u8()?.into();
    if session_id > 32 {
        return Some(false);
    }
    reader.take(session_id)?;
    if !client {
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
    let exchanged = Heads { client: heads.server, server: heads.client, ..heads };
    if matches!(by_hello(exchanged), Outcome::Found(_) | Outcome::Likely(_)) {
        return Outcome::No;
    }
    let sides = [heads.client, heads.server].map(longest_chain);
    match sides {
        [Chain::Refuted, _] | [_, Chain::Refuted] => Outcome::No,
        [Chain::Headers(a), Chain::Headers(b)] if a.max(b) >= 3 || a.min(b) >= 2 => {
            Outcome::Found(Found::encrypted(Protocol::TLS, Evidence::Framing))
        }
        _ => Outcome::NeedMore,
    }
}

/// What the records of one side look like from the best place to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chain {
    /// No chain reaches the end of the head, and one would have begun by now.
    Refuted,
    /// So many record headers follow one another up to the end of the head.
    Headers(usize),
}

/// The longest chain of records up to the end of `head`, begun anywhere in its first record's possible length.
fn longest_chain(head: &[u8]) -> Chain {
    let starts = head.iter().take(MAX_RECORD + HEADER_LEN).enumerate();
    let mut best = None;
    for (at, _) in starts.filter(|&(_, kind)| (CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(kind)) {
        best = best.max(head.get(at..).and_then(chain_headers));
        if best >= Some(3) {
            break;
        }
    }
    match best {
        Some(headers) => Chain::Headers(headers),
        None if head.len() > MAX_RECORD + HEADER_LEN => Chain::Refuted,
        None => Chain::Headers(0),
    }
}

/// Headers after which a chain is believed before its end is reached; bounds the work on hostile bytes.
const ENOUGH: usize = 32;

/// Complete record headers in `bytes` if it consists of records of one version (the last may be cut), else `None`.
fn chain_headers(mut bytes: &[u8]) -> Option<usize> {
    let version = bytes.get(1..3);
    let mut headers = 0;
    while let Some((header, rest)) = bytes.split_first_chunk::<HEADER_LEN>() {
        let (kind, len) = record_header(*header)?;
        let plausible = match kind {
            CHANGE_CIPHER_SPEC => len == 1,
            // A tag of 8 bytes and the content type of TLS 1.3 at least.
            APPLICATION_DATA => len > 8,
            ALERT => len == 2 || len > 8,
            HANDSHAKE => len >= 4,
            _ => false,
        };
        if !plausible || header.get(1..3) != version || header[2] > 3 {
            return None;
        }
        headers += 1;
        if headers == ENOUGH {
            return Some(headers);
        }
        bytes = rest.get(len..).unwrap_or(&[]);
    }
    let rest_fits = bytes.first().is_none_or(|kind| (CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(kind))
        && bytes.get(1..).unwrap_or(&[]).iter().zip(version.unwrap_or(&[])).all(|(byte, want)| byte == want);
    rest_fits.then_some(headers)
}
