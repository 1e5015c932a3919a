//! Databases and directories that can switch to TLS: PostgreSQL, MySQL and MariaDB, LDAP, AMQP 1.0.
//!
//! Sources: PostgreSQL manual "Frontend/Backend Protocol" (53.2.10 SSL session encryption, 53.7 formats); MySQL
//! internals "Connection Phase" (HandshakeV10, SSLRequest); RFC 4511 sections 4.1.1 and 4.14; AMQP 1.0 section 5.2.1.
//! Evidence: message heads of both sides; for the short negotiations exact bytes and their place.
//! Not handled: GSSAPI encryption of PostgreSQL (what follows `G` stays unknown), NTLM's SASL layer
//! in LDAP (what it wraps stays unknown).

use super::super::{Dissector, Found, Heads, Outcome, Session};
use super::framed::{Framed, Header, good, opens, u16_le, u32_at, walk};
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
                talk.password |= simple_bind(operation);
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

/// Whether a bind request (RFC 4511 section 4.2) holds a password: version, name, and simple authentication not empty.
fn simple_bind(operation: &[u8]) -> bool {
    let Some(Some((_, start, _))) = element(operation) else { return false };
    let Some([2, 1, _, name @ ..]) = operation.get(start..) else { return false };
    let Some(Some((4, start, len))) = element(name) else { return false };
    let choice = start.checked_add(len).and_then(|end| name.get(end..));
    matches!(choice, Some([0x80, len, ..]) if *len > 0)
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

/// SSLRequest: a handshake response of 32 bytes with CLIENT_SSL; nobody answers it, TLS follows at once.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Mysql {
    greeted: bool,
}

/// CLIENT_SSL in the second byte of the capability flags.
const CLIENT_SSL: u8 = 0x08;

#[typetag::serde(name = "stream/databases/Mysql")]
impl Negotiation for Mysql {
    fn read(&mut self, talk: &mut Talk, from_client: bool, unread: &[u8]) -> Read {
        let Some((len, sequence)) = mysql_packet(unread) else { return Read::Wait };
        let Some(packet) = unread.get(4..4 + len) else { return Read::Wait };
        if from_client {
            let asks = packet.get(1).is_some_and(|flags| flags & CLIENT_SSL != 0);
            // Protocol 4.1 sends 32 bytes; the older form 5.
            if sequence != 1 || !asks || !matches!(len, 32 | 5) {
                return Read::Over;
            }
            talk.stage = Stage::Agreed;
        } else if !self.greeted {
            self.greeted = true;
            let end = packet.iter().position(|byte| *byte == 0).unwrap_or(packet.len());
            // Version, zero, connection id (4), scramble (8), zero, then the lower flags.
            if packet.get(end + 15).is_some_and(|flags| flags & CLIENT_SSL != 0) {
                talk.offered();
            }
        }
        Read::Take(4 + len)
    }
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
        Some(Upgrading::open(self.protocol(), PostgresTalk))
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

/// SSLRequest and its one-byte answer.
#[derive(serde::Serialize, serde::Deserialize)]
struct PostgresTalk;

#[typetag::serde(name = "stream/databases/PostgresTalk")]
impl Negotiation for PostgresTalk {
    fn read(&mut self, talk: &mut Talk, from_client: bool, unread: &[u8]) -> Read {
        if !from_client {
            // Only after a request does a single byte answer; the request may be fed later.
            return match (talk.stage, unread.first()) {
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
            };
        }
        match (u32_at(unread, 0), u32_at(unread, 4)) {
            (Some(8), Some(SSL_REQUEST)) => talk.stage = Stage::Asked,
            // What GSSENCRequest leads to is not TLS; only its refusal leaves the way open.
            (Some(8), Some(GSS_REQUEST)) => talk.stage = Stage::Asked,
            (Some(8), None) => return Read::Wait,
            (None, _) => return Read::Wait,
            _ => return Read::Over,
        }
        Read::Take(8)
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
}
