//! Databases and directories that can switch to TLS: PostgreSQL, MySQL and MariaDB, LDAP, AMQP 1.0.
//!
//! Sources: PostgreSQL manual "Frontend/Backend Protocol" (53.2.10 SSL session encryption, 53.7 formats); MySQL
//! internals "Connection Phase" (HandshakeV10, SSLRequest); RFC 4511 sections 4.1.1 and 4.14; AMQP 1.0 section 5.2.1.
//! Evidence: message heads of both sides; for the short negotiations exact bytes and their place.
//! Not handled: GSSAPI encryption of PostgreSQL (what follows `G` stays unknown), NTLM's SASL layer
//! in LDAP (what it wraps stays unknown).

use super::super::{Dissector, Found, Heads, Outcome, Session};
use super::framed::{Framed, Header, good, opens, u16_le, u32_at, walk};
use super::text::plain;
use super::upgrade::{Negotiation, Read, Sealing, Stage, Talk, Upgrading};
use crate::model::{Protocol, Transport};

/// LDAP.
pub(super) static LDAP: Framed = Framed::directed(&"ldap", ldap_client, ldap_server)
    .with_session(|| Upgrading::open(Protocol(&"ldap"), Ldap::default()) as Box<dyn Session>);
/// MySQL and MariaDB.
pub(super) static MYSQL: Framed = Framed::directed(&"mysql", mysql_client, mysql_server)
    .with_session(|| Upgrading::open(Protocol(&"mysql"), Mysql::default()) as Box<dyn Session>);
/// AMQP with its TLS header; AMQP without is a row of `fixed.json`.
pub(super) static AMQP_TLS: Framed =
    Framed::alike(&"amqp", amqp_tls).with_session(|| Upgrading::open(Protocol(&"amqp"), AmqpTls) as Box<dyn Session>);

/// A BER length (X.690 section 8.1.3, definite form): the length and the bytes it takes. `None` while it is cut;
/// `Some(None)` for a form that LDAP forbids (RFC 4511 section 5.1) or more than 16 MiB.
fn ber_len(bytes: &[u8]) -> Option<Option<(usize, usize)>> {
    let first = *bytes.first()?;
    if first < 0x80 {
        return Some(Some((usize::from(first), 1)));
    }
    let count = usize::from(first & 0x7f);
    if !(1..=4).contains(&count) {
        return Some(None);
    }
    let value = bytes.get(1..=count)?.iter().fold(0, |value, byte| value << 8 | usize::from(*byte));
    Some((value <= 16 << 20).then_some((value, 1 + count)))
}

/// A BER element: tag, offset of its content, length of its content.
fn element(bytes: &[u8]) -> Option<Option<(u8, usize, usize)>> {
    let tag = *bytes.first()?;
    let len = ber_len(bytes.get(1..)?)?;
    Some(len.map(|(len, size)| (tag, 1 + size, len)))
}

/// LDAPMessage ::= SEQUENCE { messageID INTEGER, protocolOp CHOICE ... }: the operation's tag, the message ID, where
/// the operation starts, and the length of the message.
fn ldap_message(head: &[u8]) -> Result<(u8, u32, usize, usize), Header> {
    if !b"\x30".starts_with(head.get(..1).unwrap_or_default()) {
        return Err(Header::Bad);
    }
    let Some(outer) = element(head) else { return Err(Header::Short) };
    let Some((_, start, len)) = outer else { return Err(Header::Bad) };
    let body = head.get(start..).unwrap_or_default();
    if !b"\x02".starts_with(body.get(..1).unwrap_or_default()) {
        return Err(Header::Bad);
    }
    let Some(id) = element(body) else { return Err(Header::Short) };
    let Some((_, id_start, id_len @ 1..=4)) = id else { return Err(Header::Bad) };
    let Some(digits) = body.get(id_start..id_start + id_len) else { return Err(Header::Short) };
    let id = digits.iter().fold(0, |value: u32, byte| value << 8 | u32::from(*byte));
    let Some(operation) = body.get(id_start + id_len..).filter(|rest| !rest.is_empty()) else {
        return Err(Header::Short);
    };
    let at = start + id_start + id_len;
    let Some(inner) = element(operation) else { return Err(Header::Short) };
    let Some((tag, op_start, op_len)) = inner else { return Err(Header::Bad) };
    // The operation must lie within the message; controls may follow it.
    if id_start + id_len + op_start + op_len > len || id > 0x7fff_ffff {
        return Err(Header::Bad);
    }
    Ok((tag, id, at, start + len))
}

/// Requests (RFC 4511 section 4): bind, unbind, search, modify, add, delete, modDN, compare, abandon, extended.
fn ldap_client(head: &[u8]) -> Header {
    match ldap_message(head) {
        Ok((tag, id, at, len)) => {
            let exact = ldap_exact(head, at, len);
            let known = matches!(tag, 0x60 | 0x42 | 0x63 | 0x66 | 0x68 | 0x4a | 0x6c | 0x6e | 0x50 | 0x77) && id > 0;
            // A bind names version 2 or 3, a search begins with a name; after StartTLS comes TLS.
            let content = head.get(at + 2..).unwrap_or_default();
            let more = match (tag, content) {
                (0x60, [2, 1, 2 | 3, ..]) => 22,
                (0x63, [4, ..]) => 8,
                _ => 0,
            };
            good(known, if tag == 0x77 { usize::MAX } else { len }, 24 + exact + more)
        }
        Err(other) => other,
    }
}

/// Responses; message ID 0 is for unsolicited notices.
fn ldap_server(head: &[u8]) -> Header {
    match ldap_message(head) {
        Ok((tag, _, at, len)) => {
            let exact = ldap_exact(head, at, len);
            let known = matches!(tag, 0x61 | 0x64 | 0x65 | 0x67 | 0x69 | 0x6b | 0x6d | 0x6f | 0x73 | 0x78 | 0x79);
            // An LDAPResult begins with its code, an entry with its name.
            let more = match (tag, head.get(at + 2..).unwrap_or_default()) {
                (0x64, [4 | 0x82 | 0x81, ..]) => 4,
                (0x61 | 0x65 | 0x78, [0x0a, 1, ..]) => 16,
                _ => 0,
            };
            good(known, len, 24 + exact + more)
        }
        Err(other) => other,
    }
}

/// Bits for an operation that fills its message to the byte, as it does without controls, or is followed by them.
fn ldap_exact(head: &[u8], at: usize, len: usize) -> u32 {
    let Some(Some((_, start, size))) = head.get(at..).and_then(element) else { return 0 };
    match at + start + size {
        end if end == len => 16,
        end if head.get(end) == Some(&0xa0) => 8,
        _ => 0,
    }
}

/// StartTLS: an extended request with its OID, and the extended response to its message ID.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Ldap {
    id: Option<u32>,
    /// A SASL bind was seen: a security layer may follow its success.
    sasl: bool,
}

/// 1.3.6.1.4.1.1466.20037 (RFC 4511 section 4.14.1).
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

#[typetag::serde(name = "stream/databases/Ldap")]
impl Negotiation for Ldap {
    fn read(&mut self, talk: &mut Talk, from_client: bool, unread: &[u8]) -> Read {
        let (tag, id, at, len) = match ldap_message(unread) {
            Ok(message) => message,
            Err(Header::Short) => return Read::Wait,
            Err(_) if self.sasl => return sasl_layer(unread),
            Err(_) => return Read::Over,
        };
        let Some(operation) = unread.get(at..len) else { return Read::Wait };
        let holds = operation.windows(START_TLS.len()).any(|window| window == START_TLS);
        match (from_client, tag) {
            (true, 0x77) if holds => {
                self.id = Some(id);
                talk.stage = Stage::Asked;
            }
            (false, 0x78) if self.id == Some(id) => match element(operation) {
                // resultCode is the first element of the response: 0a 01 00 is success.
                Some(Some((_, start, _))) if operation.get(start..start + 3) == Some(&[0x0a, 1, 0]) => {
                    talk.stage = Stage::Agreed
                }
                _ => talk.refused(),
            },
            // Version, name, then the choice of authentication: 0xa3 is SASL.
            (true, 0x60) => {
                self.sasl |= names_sasl(operation);
                talk.password |= shows_password(operation);
            }
            // supportedExtension of the root entry.
            (false, 0x64) if holds => talk.offered(),
            _ => {}
        }
        Read::Take(len)
    }
}

/// Whether a bind request chooses SASL (RFC 4511 section 4.2).
fn names_sasl(bind: &[u8]) -> bool {
    let Some(Some((_, start, _))) = element(bind) else { return false };
    let Some([2, 1, _, rest @ ..]) = bind.get(start..) else { return false };
    let Some(Some((4, name, len))) = element(rest) else { return false };
    rest.get(name + len) == Some(&0xa3)
}

/// A SASL buffer: four bytes of length, then a token, of which Kerberos tells whether it is sealed (RFC 4752 section
/// 3.1; RFC 4121 section 4.2.2, RFC 1964 section 1.2.2).
fn sasl_layer(unread: &[u8]) -> Read {
    const KERBEROS: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02";
    let (Some(len), Some(token)) = (u32_at(unread, 0), unread.get(4..)) else { return Read::Wait };
    if len > 16 << 20 {
        return Read::Sealed(Sealing::Unclear);
    }
    let old = token.windows(KERBEROS.len()).take(8).position(|window| window == KERBEROS);
    let sealed = match (token, old) {
        ([5, 4, flags, ..], _) => Some(flags & 2 != 0),
        // Token id 02 01, signature algorithm, sealing algorithm; all ones is none.
        (_, Some(at)) => token.get(at + KERBEROS.len()..at + KERBEROS.len() + 6).and_then(|wrap| match *wrap {
            [2, 1, _, _, a, b] => Some([a, b] != [0xff, 0xff]),
            _ => None,
        }),
        _ if token.len() < 32 && token.len() < len as usize => return Read::Wait,
        _ => None,
    };
    Read::Sealed(match sealed {
        Some(true) => Sealing::Hidden,
        Some(false) => Sealing::Readable,
        None => Sealing::Unclear,
    })
}

/// Whether a bind request (RFC 4511 section 4.2) shows a password: version, name, then simple authentication that is not
/// empty, or SASL PLAIN. A bind with an empty password is anonymous (RFC 4513 section 5.1.2).
fn shows_password(operation: &[u8]) -> bool {
    let Some(Some((_, start, _))) = element(operation) else { return false };
    let Some([2, 1, _, name @ ..]) = operation.get(start..) else { return false };
    let Some(Some((4, start, len))) = element(name) else { return false };
    let Some(choice) = start.checked_add(len).and_then(|end| name.get(end..)) else { return false };
    let field = |bytes: &[u8]| {
        element(bytes).flatten().and_then(|(tag, start, len)| Some((tag, start, start.checked_add(len)?)))
    };
    match field(choice) {
        Some((0x80, start, end)) => start < end,
        Some((0xa3, start, end)) => {
            let sasl = choice.get(start..end).unwrap_or_default();
            let Some((4, name, behind)) = field(sasl) else { return false };
            let message = sasl.get(behind..).unwrap_or_default();
            let Some((4, start, end)) = field(message) else { return false };
            sasl.get(name..behind) == Some(b"PLAIN") && message.get(start..end).is_some_and(plain)
        }
        _ => false,
    }
}

/// A packet of MySQL: length (3 bytes, little endian) and sequence number. Returns both.
fn mysql_packet(head: &[u8]) -> Option<(usize, u8)> {
    let [a, b, c, sequence, ..] = *head else { return None };
    Some((usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16, sequence))
}

/// The first packet of the client: capability flags, maximum packet, character set, 23 zeros (19 in MariaDB).
fn mysql_client(head: &[u8]) -> Header {
    let Some((len, sequence)) = mysql_packet(head) else {
        return if head.get(2).is_none_or(|high| *high == 0) { Header::Short } else { Header::Bad };
    };
    // Later packets are commands and prove little: sequence 0 and a command byte.
    match (sequence, head.get(4)) {
        (1, _) if !(32..=4096).contains(&len) => Header::Bad,
        (1, _) => match (head.get(4..8), head.get(13..32)) {
            (Some(flags), Some(zeros)) => {
                let secure = flags.get(1).is_some_and(|byte| byte & 0x82 != 0);
                // The client waits now, or speaks TLS.
                good(secure && zeros.iter().all(|byte| *byte == 0), usize::MAX, 64)
            }
            _ => Header::Short,
        },
        (0, None) => Header::Short,
        (0, Some(0..=0x1f)) if (1..=0xff_ffff).contains(&len) => Header::Good { len: len + 4, bits: 11 },
        (2..=9, _) if len <= 4096 => Header::Good { len: len + 4, bits: 5 },
        _ => Header::Bad,
    }
}

/// The greeting: protocol 10, a version in text, then fixed places; or an error packet.
fn mysql_server(head: &[u8]) -> Header {
    let Some((len, sequence)) = mysql_packet(head) else {
        return if head.get(1).is_none_or(|middle| *middle <= 0x10) && head.get(2).is_none_or(|high| *high == 0) {
            Header::Short
        } else {
            Header::Bad
        };
    };
    match (sequence, head.get(4)) {
        (0, None) => Header::Short,
        (0, Some(10)) if (30..=1024).contains(&len) => {
            let text = head.get(5..).unwrap_or_default();
            let printable = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
            match text.iter().take(128).position(|byte| *byte == 0) {
                Some(end)
                    if end > 0
                        && text.iter().take(end).all(printable)
                        && text.first().is_some_and(u8::is_ascii_digit) =>
                {
                    // Connection id (4), scramble (8), then a zero.
                    match text.get(end + 13) {
                        Some(filler) => good(*filler == 0, len + 4, 64),
                        None => Header::Short,
                    }
                }
                None if text.len() < 128 && text.iter().all(printable) => Header::Short,
                _ => Header::Bad,
            }
        }
        (0, Some(0xff)) if (4..=1024).contains(&len) => match (u16_le(head, 5), head.get(7..)) {
            // Error numbers start at 1000; a message in text follows.
            (Some(1000..=4999), Some(text)) => good(text.iter().take(len - 3).all(|byte| *byte >= 0x20), len + 4, 50),
            (None, _) => Header::Short,
            _ => Header::Bad,
        },
        (1.., _) if len > 0 => Header::Good { len: len + 4, bits: 4 },
        _ => Header::Bad,
    }
}

/// SSLRequest: a handshake response of 32 bytes with CLIENT_SSL; nobody answers it, TLS follows at once. Otherwise the
/// login: whether its method sends the password as it is, at once or because the server asks for that.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Mysql {
    greeted: bool,
    /// The server asked for a method that sends the password as it is.
    asked: bool,
    /// The client answered the server's question, with something or with nothing.
    answer: Option<bool>,
}

/// CLIENT_SSL in the second byte of the capability flags.
const CLIENT_SSL: u8 = 0x08;

/// Methods that send the password as it is (MySQL manual, "Client-Side Cleartext Pluggable Authentication"; MariaDB,
/// "Authentication Plugin - PAM").
const CLEAR_METHODS: [&[u8]; 2] = [b"mysql_clear_password", b"dialog"];

#[typetag::serde(name = "stream/databases/Mysql")]
impl Negotiation for Mysql {
    fn read(&mut self, talk: &mut Talk, from_client: bool, unread: &[u8]) -> Read {
        let Some((len, sequence)) = mysql_packet(unread) else { return Read::Wait };
        let Some(packet) = unread.get(4..4 + len) else { return Read::Wait };
        match (from_client, sequence) {
            (true, 1) => {
                let asks = packet.get(1).is_some_and(|flags| flags & CLIENT_SSL != 0);
                // Protocol 4.1 sends 32 bytes; the older form 5.
                if asks && matches!(len, 32 | 5) {
                    talk.stage = Stage::Agreed;
                } else if mysql_clear_login(packet) {
                    talk.password = true;
                    return Read::Over;
                }
            }
            (true, 3) if self.answer.is_none() => self.answer = Some(!matches!(packet, [] | [0])),
            // Commands: by now the server has said how the client is to log in, which may be fed later.
            (true, 0) => return Read::Wait,
            (true, _) => return Read::Over,
            (false, _) if !self.greeted => {
                self.greeted = true;
                let end = packet.iter().position(|byte| *byte == 0).unwrap_or(packet.len());
                // Version, zero, connection id (4), scramble (8), zero, then the lower flags.
                if packet.get(end + 15).is_some_and(|flags| flags & CLIENT_SSL != 0) {
                    talk.offered();
                }
            }
            (false, 2) => {
                let method = packet.strip_prefix(&[0xfe]).and_then(|rest| rest.split(|byte| *byte == 0).next());
                self.asked = method.is_some_and(|method| CLEAR_METHODS.contains(&method));
                if !self.asked {
                    return Read::Over;
                }
            }
            (false, _) => return Read::Over,
        }
        if let (true, Some(filled)) = (self.asked, self.answer) {
            talk.password |= filled;
            return Read::Over;
        }
        Read::Take(4 + len)
    }
}

/// Whether a handshake response (protocol 4.1) logs in by a method that sends the password as it is, and with one: flags,
/// maximum packet, character set, 23 zeros, user, answer, database if flagged, method.
fn mysql_clear_login(packet: &[u8]) -> bool {
    const WITH_DATABASE: u8 = 0x08;
    let login = || {
        let database = packet.first()? & WITH_DATABASE != 0;
        let rest = packet.get(32..)?;
        let user = rest.iter().position(|byte| *byte == 0)?;
        let (len, rest) = rest.get(user + 1..)?.split_first()?;
        let (answer, mut rest) = rest.split_at_checked(usize::from(*len))?;
        if database {
            rest = rest.get(rest.iter().position(|byte| *byte == 0)? + 1..)?;
        }
        let method = rest.split(|byte| *byte == 0).next()?;
        Some(CLEAR_METHODS.contains(&method) && !matches!(answer, [] | [0]))
    };
    login().unwrap_or(false)
}

/// PostgreSQL.
pub(super) struct Postgres;

/// Codes in place of a protocol version: SSLRequest, GSSENCRequest, CancelRequest.
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;

impl Dissector for Postgres {
    fn protocol(&self) -> Protocol {
        Protocol(&"postgresql")
    }

    fn transport(&self) -> Transport {
        Transport::TCP
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let found = Found::plaintext(self.protocol()).from_client();
        let client = walk(heads.client, postgres_client);
        let Some(client) = client else { return Outcome::No };
        let mut server = heads.server;
        if client.messages > 0 && matches!(u32_at(heads.client, 4), Some(SSL_REQUEST | GSS_REQUEST)) {
            match server {
                [] => return Outcome::Likely(found),
                // An error message is an answer, too.
                [b'S' | b'N' | b'G' | b'E', ..] => return Outcome::Found(found),
                _ => return Outcome::No,
            }
        }
        if let [b'S' | b'N', b'R', rest @ ..] = server {
            server = rest;
        }
        match walk(server, postgres_server) {
            None => Outcome::No,
            Some(server) if client.messages > 0 && server.messages > 0 && client.bits + server.bits >= 40 => {
                Outcome::Found(found)
            }
            Some(_) if client.bits >= 48 => Outcome::Likely(found),
            Some(server) if server.bits >= 60 => Outcome::Likely(found),
            Some(_) => Outcome::NeedMore,
        }
    }

    fn session(&self, _found: Found) -> Option<Box<dyn Session>> {
        Some(Upgrading::open(self.protocol(), PostgresTalk::default()))
    }
}

/// A startup message, one of the requests, or a typed message.
fn postgres_client(head: &[u8]) -> Header {
    match *head {
        [] | [0] | [0, 0] => Header::Short,
        [0, 0, ..] => match (u32_at(head, 0), u32_at(head, 4)) {
            (None, _) => Header::Short,
            (Some(8), Some(SSL_REQUEST | GSS_REQUEST)) => Header::Good { len: 8, bits: 64 },
            (Some(16..=264), Some(CANCEL_REQUEST)) => Header::Good { len: 16, bits: 60 },
            (Some(len @ 9..=10_000), Some(0x0003_0000..=0x0003_0002 | 0x0002_0000)) => match head.get(8..) {
                // Parameters are pairs of strings; "user" is among them, mostly first.
                Some(text) if text.iter().take(len as usize - 8).all(|byte| *byte == 0 || *byte >= 0x20) => {
                    // The client waits for the answer now.
                    Header::Good { len: usize::MAX, bits: if text.starts_with(b"user\0") { 90 } else { 50 } }
                }
                _ => Header::Bad,
            },
            (Some(8..=10_000), None) => Header::Short,
            _ => Header::Bad,
        },
        [b'p' | b'Q' | b'P' | b'B' | b'D' | b'E' | b'S' | b'X' | b'C' | b'F' | b'H' | b'd' | b'c' | b'f', ..] => {
            typed(head)
        }
        _ => Header::Bad,
    }
}

fn postgres_server(head: &[u8]) -> Header {
    const TYPES: &[u8] = b"RKSZTDCEN123nstIAtdcGHWVv";
    match head.first() {
        None => Header::Short,
        Some(kind) if TYPES.contains(kind) => typed(head),
        Some(_) => Header::Bad,
    }
}

/// One byte of type, four of length (itself included).
fn typed(head: &[u8]) -> Header {
    match (u32_at(head, 1), head.get(1..3)) {
        (Some(len @ 4..=0xf_ffff), _) => Header::Good { len: len as usize + 1, bits: 14 },
        (Some(_), _) => Header::Bad,
        (None, Some([high, next])) if *high != 0 || *next > 0xf => Header::Bad,
        (None, _) => Header::Short,
    }
}

/// SSLRequest and its one-byte answer; behind a start without it, how the client logs in.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct PostgresTalk {
    /// The startup message was seen.
    started: bool,
    /// The server asked for the password as it is.
    asked: bool,
    /// The client sent a password message, with a password in it or without.
    answer: Option<bool>,
}

#[typetag::serde(name = "stream/databases/PostgresTalk")]
impl Negotiation for PostgresTalk {
    fn read(&mut self, talk: &mut Talk, from_client: bool, unread: &[u8]) -> Read {
        let read = match (self.started, from_client) {
            (true, _) => self.read_login(from_client, unread),
            (false, true) => self.read_start(talk, unread),
            (false, false) => Self::read_answer(talk, unread),
        };
        if let (true, Some(filled)) = (self.asked, self.answer) {
            talk.password |= filled;
            return Read::Over;
        }
        read
    }
}

impl PostgresTalk {
    fn read_start(&mut self, talk: &mut Talk, unread: &[u8]) -> Read {
        let (Some(len), Some(code)) = (u32_at(unread, 0), u32_at(unread, 4)) else { return Read::Wait };
        match (len, code) {
            // What GSSENCRequest leads to is not TLS; only its refusal leaves the way open.
            (8, SSL_REQUEST | GSS_REQUEST) => talk.stage = Stage::Asked,
            (9..=10_000, 0x0003_0000..=0x0003_ffff) => self.started = true,
            _ => return Read::Over,
        }
        if unread.len() < len as usize {
            self.started = false;
            return Read::Wait;
        }
        Read::Take(len as usize)
    }

    fn read_answer(talk: &mut Talk, unread: &[u8]) -> Read {
        // Only after a request does a single byte answer; the request may be fed later.
        match (talk.stage, unread.first()) {
            (Stage::Asked, Some(b'S')) => {
                talk.stage = Stage::Agreed;
                Read::Take(1)
            }
            (Stage::Asked, Some(b'N')) => {
                talk.refused();
                Read::Take(1)
            }
            (Stage::Asked, _) => Read::Over,
            _ => Read::Wait,
        }
    }

    /// Authentication requests and their answer (manual section 53.7): 3 asks for the password as it is; MD5 (5), SASL (10)
    /// and the rest do not.
    fn read_login(&mut self, from_client: bool, unread: &[u8]) -> Read {
        const CLEAR: u32 = 3;
        let (Some(kind), Some(len)) = (unread.first(), u32_at(unread, 1)) else { return Read::Wait };
        match (from_client, kind) {
            // A password and its zero. Later messages of the client wait for what the server asked, which may be fed later.
            (true, b'p') if self.answer.is_none() => self.answer = Some(len > 5),
            (true, _) => return Read::Wait,
            (false, b'R') => match u32_at(unread, 5) {
                Some(CLEAR) => self.asked = true,
                Some(_) => return Read::Over,
                None => return Read::Wait,
            },
            // NegotiateProtocolVersion.
            (false, b'v') => {}
            (false, _) => return Read::Over,
        }
        Read::Take((len as usize).saturating_add(1))
    }
}

/// Protocol id 2: TLS, then AMQP inside.
const AMQP_TLS_HEADER: &[u8] = b"AMQP\x02\x01\x00\x00";

fn amqp_tls(head: &[u8]) -> Header {
    match opens(head, AMQP_TLS_HEADER) {
        Some(true) => Header::Good { len: usize::MAX, bits: 64 },
        Some(false) => Header::Bad,
        None => Header::Short,
    }
}

/// The same header both ways.
#[derive(serde::Serialize, serde::Deserialize)]
struct AmqpTls;

#[typetag::serde(name = "stream/databases/AmqpTls")]
impl Negotiation for AmqpTls {
    fn read(&mut self, talk: &mut Talk, from_client: bool, unread: &[u8]) -> Read {
        match (opens(unread, AMQP_TLS_HEADER), from_client) {
            (None, _) => return Read::Wait,
            (Some(true), true) => talk.stage = Stage::Asked,
            (Some(true), false) if talk.stage == Stage::Asked => talk.stage = Stage::Agreed,
            (Some(_), false) if talk.stage == Stage::Asked => {
                talk.refused();
                return Read::Over;
            }
            (Some(true), false) => return Read::Wait,
            (Some(false), _) => return Read::Over,
        }
        Read::Take(AMQP_TLS_HEADER.len())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::trial::check_rows;
    use super::super::upgrade::trial::{HELLO, run};
    use super::*;
    use crate::model::UpgradeOutcome::{self, Offered, Refused, Used};

    const BIND: &[u8] = b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00";
    const BOUND: &[u8] = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00";

    fn greeting(ssl: bool) -> Vec<u8> {
        let flags = if ssl { 0x0a } else { 0x02 };
        let mut packet = [b"\x0a8.0.1\0\x01\0\0\0abcdefgh\0\xff".as_slice(), &[flags], &[0; 30]].concat();
        packet.splice(..0, [packet.len() as u8, 0, 0, 0]);
        packet
    }

    fn answer(ssl: bool) -> Vec<u8> {
        let mut packet = vec![0x85, if ssl { 0x8a } else { 0x82 }, 0, 0, 0, 0, 0, 1, 33];
        packet.resize(32, 0);
        if !ssl {
            packet.extend_from_slice(b"root\0\0");
        }
        packet.splice(..0, [packet.len() as u8, 0, 0, 1]);
        packet
    }

    fn start_tls() -> Vec<u8> {
        [b"\x30\x1d\x02\x01\x01\x77\x18\x80\x16".as_slice(), START_TLS].concat()
    }

    #[test]
    pub(crate) fn probe() {
        let (hello, login, ssl) = (greeting(true), answer(false), answer(true));
        let ask = b"\0\0\0\x08\x04\xd2\x16\x2f";
        let start = b"\0\0\0\x13\0\x03\0\0user\0root\0\0";
        check_rows(&[
            ("ldap", &LDAP, BIND, BOUND, "found"),
            ("ldap cut", &LDAP, &BIND[..7], b"", "more"),
            ("kerberos is not ldap", &LDAP, b"\x30\x0c\xa1\x03\x02\x01\x05", b"", "no"),
            ("operation outgrows its message", &LDAP, b"\x30\x0c\x02\x01\x01\x60\x20\x02\x01\x03", b"", "no"),
            ("mysql", &MYSQL, &login, &hello, "found"),
            ("mysql with tls", &MYSQL, &ssl, &hello, "found"),
            ("mysql greeting", &MYSQL, b"", &hello, "likely"),
            ("mysql version in letters", &MYSQL, b"", b"\x28\0\0\0\x0axx\0", "no"),
            ("postgres asks", &Postgres, ask, b"S", "found"),
            ("postgres starts", &Postgres, start, b"R\0\0\0\x08\0\0\0\0", "found"),
            ("another answer", &Postgres, ask, b"X", "no"),
            ("length alone", &Postgres, b"\0\0\0\x08\0\0\0\0", b"", "no"),
            ("amqp over tls", &AMQP_TLS, AMQP_TLS_HEADER, AMQP_TLS_HEADER, "found"),
            ("amqp in clear", &AMQP_TLS, b"AMQP\0\0\x09\x01", b"", "no"),
        ]);
    }

    #[test]
    pub(crate) fn upgrades() {
        let (ask, hello) = (start_tls(), greeting(true));
        let glued = [answer(true), HELLO.to_vec()].concat();
        let success = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00";
        let failure = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x34\x04\x00\x04\x00";
        let request = b"\0\0\0\x08\x04\xd2\x16\x2f";
        let gss = b"\0\0\0\x08\x04\xd2\x16\x30";
        type Case<'a> = (&'a str, &'a dyn Dissector, &'a [(bool, &'a [u8])], (Option<UpgradeOutcome>, Option<usize>));
        let used = (Some(Used), Some(HELLO.len()));
        let plain = answer(false);
        let cases: &[Case<'_>] = &[
            ("ldap", &LDAP, &[(true, &ask), (false, success), (true, HELLO)], used),
            ("ldap refused", &LDAP, &[(true, &ask), (false, failure), (true, BIND)], (Some(Refused), None)),
            ("mysql", &MYSQL, &[(false, &hello), (true, &answer(true)), (true, HELLO)], used),
            ("mysql in one piece", &MYSQL, &[(true, &glued), (false, &hello)], used),
            ("mysql in clear", &MYSQL, &[(false, &hello), (true, &plain)], (Some(Offered), None)),
            ("postgres", &Postgres, &[(true, request), (false, b"S"), (true, HELLO)], used),
            (
                "postgres refused",
                &Postgres,
                &[(true, request), (false, b"N"), (true, b"\0\0\0\x13\0\x03\0\0user\0root\0\0")],
                (Some(Refused), None),
            ),
            (
                "postgres gss first",
                &Postgres,
                &[(true, gss), (false, b"N"), (true, request), (false, b"S"), (true, HELLO)],
                used,
            ),
            ("amqp", &AMQP_TLS, &[(true, AMQP_TLS_HEADER), (false, AMQP_TLS_HEADER), (true, HELLO)], used),
        ];
        for (name, row, pieces, want) in cases {
            let session = row.session(Found::plaintext(row.protocol())).unwrap();
            assert_eq!(run(session, pieces), *want, "{name}");
        }
    }

    #[test]
    fn ldap_sealed_by_sasl() {
        use crate::detect::{Moment, Step};
        use crate::model::{Class, Facts};
        let bind = b"\x30\x16\x02\x01\x01\x60\x11\x02\x01\x03\x04\x00\xa3\x0a\x04\x06GSSAPI\x04\x00";
        let layer = |flags: u8| [b"\0\0\0\x40\x05\x04".as_slice(), &[flags, 0xff], &[0; 60]].concat();
        let ntlm = [b"\0\0\0\x40\x01\0\0\0".as_slice(), &[7; 60]].concat();
        let cases = [
            ("sealed", layer(6), true, Class::Plaintext),
            ("signed", layer(4), false, Class::Plaintext),
            ("ntlm", ntlm, false, Class::Unknown),
        ];
        for (name, wrapped, hidden, class) in cases {
            let mut session = LDAP.session(Found::plaintext(LDAP.protocol)).unwrap();
            let mut feed = |client, bytes: &[u8]| session.feed(client, bytes, Moment { time_ns: 0, wire_len: 0 });
            assert!(matches!(feed(true, bind), Step::Continue), "{name}");
            assert!(matches!(feed(false, BOUND), Step::Continue), "{name}");
            let rest = wrapped.len();
            match feed(true, &wrapped) {
                Step::Upgrade { found, rest: behind, .. } => {
                    assert_eq!((hidden, found.class, behind), (true, Class::Encrypted, rest), "{name}")
                }
                _ => assert!(!hidden, "{name}"),
            }
            let mut found = Found::plaintext(LDAP.protocol);
            session.finish(&mut found, &mut Facts::default());
            assert_eq!(found.class, class, "{name}");
        }
    }

    fn mysql_login(method: &str, answer: &[u8], sequence: u8) -> Vec<u8> {
        let mut packet = vec![0x85, 0x82, 0x08, 0, 0, 0, 0, 1, 33];
        packet.resize(32, 0);
        packet.extend_from_slice(b"clerk\0");
        packet.push(answer.len() as u8);
        packet.extend_from_slice(answer);
        packet.extend_from_slice(method.as_bytes());
        packet.push(0);
        mysql_framed(&packet, sequence)
    }

    fn mysql_framed(packet: &[u8], sequence: u8) -> Vec<u8> {
        [&[packet.len() as u8, 0, 0, sequence], packet].concat()
    }

    /// Passwords that can be read, and what comes near: fed a side at a time, in order, and in single bytes.
    #[test]
    fn passwords() {
        use crate::detect::{Moment, Step};
        use crate::model::Facts;
        let bind = |choice: &[u8]| {
            let inside = [b"\x02\x01\x03\x04\x05cn=ab".as_slice(), choice].concat();
            let bind = [&[0x60, inside.len() as u8], inside.as_slice()].concat();
            [&[0x30, bind.len() as u8 + 3, 2, 1, 1], bind.as_slice()].concat()
        };
        let sasl = |name: &str, message: &[u8]| {
            let inside = [&[4, name.len() as u8], name.as_bytes(), &[4, message.len() as u8], message].concat();
            bind(&[&[0xa3, inside.len() as u8], inside.as_slice()].concat())
        };
        let hello = greeting(false);
        let switch = |method: &str| mysql_framed(&[b"\xfe", method.as_bytes(), b"\0abcdefgh\0"].concat(), 2);
        let native = mysql_login("mysql_native_password", &[7; 20], 1);
        let start = b"\0\0\0\x13\0\x03\0\0user\0root\0\0".to_vec();
        let asks = |code: u8| vec![b'R', 0, 0, 0, 8, 0, 0, 0, code];
        let secret = b"p\0\0\0\x0boffice\0".to_vec();
        let query = b"Q\0\0\0\x06x\0".to_vec();
        type Row<'a> = (&'a str, &'a dyn Dissector, Vec<(bool, Vec<u8>)>, bool);
        let cases: Vec<Row<'_>> = vec![
            ("ldap", &LDAP, vec![(true, bind(b"\x80\x06office"))], true),
            ("ldap anonymous", &LDAP, vec![(true, BIND.to_vec())], false),
            ("ldap without a password", &LDAP, vec![(true, bind(b"\x80\x00"))], false),
            ("ldap plain", &LDAP, vec![(true, sasl("PLAIN", b"\0clerk\0office"))], true),
            ("ldap plain without a password", &LDAP, vec![(true, sasl("PLAIN", b"\0clerk\0"))], false),
            ("ldap ticket", &LDAP, vec![(true, sasl("GSSAPI", b"\0clerk\0office"))], false),
            ("ldap certificate", &LDAP, vec![(true, sasl("EXTERNAL", b""))], false),
            (
                "mysql digest",
                &MYSQL,
                vec![(false, hello.clone()), (true, native.clone()), (false, mysql_framed(&[0; 7], 2))],
                false,
            ),
            (
                "mysql clear",
                &MYSQL,
                vec![(false, hello.clone()), (true, mysql_login("mysql_clear_password", b"office\0", 1))],
                true,
            ),
            (
                "mysql clear and empty",
                &MYSQL,
                vec![(false, hello.clone()), (true, mysql_login("mysql_clear_password", b"\0", 1))],
                false,
            ),
            (
                "mysql switched to clear",
                &MYSQL,
                vec![
                    (false, hello.clone()),
                    (true, native.clone()),
                    (false, switch("mysql_clear_password")),
                    (true, mysql_framed(b"office\0", 3)),
                    (true, mysql_framed(b"\x03x", 0)),
                ],
                true,
            ),
            (
                "mysql switched to PAM",
                &MYSQL,
                vec![
                    (false, hello.clone()),
                    (true, native.clone()),
                    (false, switch("dialog")),
                    (true, mysql_framed(b"office\0", 3)),
                ],
                true,
            ),
            (
                "mysql switched to clear, empty",
                &MYSQL,
                vec![
                    (false, hello.clone()),
                    (true, native.clone()),
                    (false, switch("mysql_clear_password")),
                    (true, mysql_framed(b"\0", 3)),
                ],
                false,
            ),
            (
                "mysql switched to a digest",
                &MYSQL,
                vec![
                    (false, hello.clone()),
                    (true, native),
                    (false, switch("mysql_native_password")),
                    (true, mysql_framed(&[7; 20], 3)),
                ],
                false,
            ),
            (
                "postgres",
                &Postgres,
                vec![(true, start.clone()), (false, asks(3)), (true, secret.clone()), (true, query.clone())],
                true,
            ),
            (
                "postgres, TLS refused",
                &Postgres,
                vec![
                    (true, b"\0\0\0\x08\x04\xd2\x16\x2f".to_vec()),
                    (false, b"N".to_vec()),
                    (true, start.clone()),
                    (false, asks(3)),
                    (true, secret.clone()),
                ],
                true,
            ),
            (
                "postgres empty",
                &Postgres,
                vec![(true, start.clone()), (false, asks(3)), (true, b"p\0\0\0\x05\0".to_vec())],
                false,
            ),
            ("postgres, nothing sent", &Postgres, vec![(true, start.clone()), (false, asks(3))], false),
            ("postgres MD5", &Postgres, vec![(true, start.clone()), (false, asks(5)), (true, secret.clone())], false),
            ("postgres SCRAM", &Postgres, vec![(true, start.clone()), (false, asks(10)), (true, secret)], false),
            ("postgres trust", &Postgres, vec![(true, start), (false, asks(0)), (true, query)], false),
        ];
        for (name, row, pieces, want) in cases {
            let side =
                |client: bool| pieces.iter().filter(move |piece| piece.0 == client).flat_map(|piece| piece.1.clone());
            let bytes = pieces.iter().flat_map(|(client, piece)| piece.iter().map(|byte| (*client, vec![*byte])));
            let ways: [(&str, Vec<(bool, Vec<u8>)>); 3] = [
                ("in order", pieces.clone()),
                ("a side at a time", vec![(true, side(true).collect()), (false, side(false).collect())]),
                ("in single bytes", bytes.collect()),
            ];
            for (way, pieces) in ways {
                let mut session = row.session(Found::plaintext(row.protocol())).unwrap();
                for (client, piece) in pieces {
                    if !matches!(session.feed(client, &piece, Moment { time_ns: 0, wire_len: 0 }), Step::Continue) {
                        break;
                    }
                }
                let mut facts = Facts::default();
                session.finish(&mut Found::plaintext(row.protocol()), &mut facts);
                assert_eq!(facts.password_in_clear, want.then_some(row.protocol()), "{name}, {way}");
            }
        }
    }
}
