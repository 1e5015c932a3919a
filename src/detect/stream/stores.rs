//! Data stores: MongoDB, Cassandra, Redis, memcached, ZooKeeper, Elasticsearch, Oracle TNS, DRDA.
//!
//! Sources: MongoDB wire protocol, Cassandra native_protocol_v4.spec, Redis serialization protocol, memcached protocol.txt
//! and protocol-binary, ZooKeeper jute records, Elasticsearch TcpHeader, Oracle Net (packet header as in Wireshark's
//! packet-tns.c), DRDA volume 3 (DDM).
//! Evidence: heads of messages of both sides.
//! Not handled: MySQL X protocol, Oracle native network encryption (it is negotiated inside).

use super::framed::{Framed, Header, good, u16_at, u32_at, u32_le};
use super::text::{command, holds, line, whole};

/// MongoDB.
pub(super) static MONGO: Framed = Framed::alike(&"mongodb", mongo);
/// Cassandra Query Language.
pub(super) static CASSANDRA: Framed = Framed::directed(&"cassandra", cassandra_client, cassandra_server);
/// Redis.
pub(super) static REDIS: Framed = Framed::directed(&"redis", redis_client, redis_server);
/// memcached, text.
pub(super) static MEMCACHED: Framed = Framed::directed(&"memcached", memcached_client, memcached_server);
/// memcached, binary.
pub(super) static MEMCACHED_BINARY: Framed =
    Framed::directed(&"memcached", |head| memcached_binary(head, 0x80), |head| memcached_binary(head, 0x81));
/// ZooKeeper.
pub(super) static ZOOKEEPER: Framed = Framed::directed(&"zookeeper", zookeeper_client, zookeeper_server);
/// Elasticsearch transport.
pub(super) static ELASTICSEARCH: Framed = Framed::alike(&"elasticsearch", elasticsearch);
/// Oracle Transparent Network Substrate.
pub(super) static TNS: Framed = Framed::alike(&"tns", tns);
/// DRDA (DB2, Derby).
pub(super) static DRDA: Framed = Framed::alike(&"drda", drda);

/// Length, request, answered request, operation; all little endian.
fn mongo(head: &[u8]) -> Header {
    match (u32_le(head, 0), u32_le(head, 12)) {
        (None, _) | (Some(16..=48_000_000), None) => Header::Short,
        (Some(len @ 16..=48_000_000), Some(1 | 1000 | 2001..=2007 | 2010..=2013)) => {
            // A request answers nothing.
            let asks = u32_le(head, 8) == Some(0);
            Header::Good { len: len as usize, bits: if asks { 52 } else { 34 } }
        }

        _ => Header::Bad,
    }
}

/// A frame: version with direction, flags, stream, operation, length. Returns operation, head size, body length.
fn cassandra(head: &[u8], response: bool) -> Option<Option<(u8, usize, usize)>> {
    let version = *head.first()?;
    if !(1..=5).contains(&(version & 0x7f))
        || (version >> 7 == 1) != response
        || head.get(1).is_some_and(|flags| *flags > 0x1f)
    {
        return Some(None);
    }
    let at = if version & 0x7f < 3 { 3 } else { 4 };
    let (operation, len) = (*head.get(at)?, u32_at(head, at + 1)?);
    Some((operation <= 0x10 && len <= 256 << 20).then_some((operation, at + 5, len as usize)))
}

fn cassandra_client(head: &[u8]) -> Header {
    match cassandra(head, false) {
        None => Header::Short,
        // OPTIONS has no body; STARTUP names CQL_VERSION.
        Some(Some((5, size, 0))) => Header::Good { len: size, bits: 40 },
        Some(Some((1, size, len))) => {
            let body = head.get(size..).unwrap_or_default();
            match holds(body, "CQL_VERSION") {
                true => Header::Good { len: size + len, bits: 100 },
                false if body.len() < len => Header::Short,
                false => Header::Bad,
            }
        }
        Some(Some((7 | 9, size, len))) => match u32_at(head, size) {
            None => Header::Short,
            Some(query) => {
                let text = head.get(size + 4..).unwrap_or_default();
                let ok = (query as usize) < len
                    && text.iter().take(query as usize).all(|byte| *byte >= 0x20 || byte.is_ascii_whitespace());
                good(ok, size + len, 40)
            }
        },
        Some(Some((4 | 0x0a | 0x0b | 0x0d | 0x0f, size, len))) => Header::Good { len: size + len, bits: 14 },
        Some(_) => Header::Bad,
    }
}

fn cassandra_server(head: &[u8]) -> Header {
    match cassandra(head, true) {
        None => Header::Short,
        Some(Some((0 | 2 | 3 | 6 | 8 | 0x0c | 0x0e | 0x10, size, len))) => Header::Good { len: size + len, bits: 20 },
        Some(_) => Header::Bad,
    }
}

/// `*2\r\n$3\r\n`: an array of bulk strings; or an inline command.
fn redis_client(head: &[u8]) -> Header {
    const INLINE: &[&str] =
        &["set", "get", "incr", "decr", "del", "ping", "info", "config", "auth", "select", "keys", "expire", "command"];
    if head.first().is_some_and(u8::is_ascii_alphabetic) {
        return whole(command(head, INLINE, &[]));
    }
    let count = match counted(head, b'*') {
        Ok(end) => end,
        Err(other) => return other,
    };
    match counted(head.get(count..).unwrap_or_default(), b'$') {
        Ok(_) => Header::Good { len: usize::MAX, bits: 56 },
        Err(other) => other,
    }
}

/// `+OK`, `-ERR`, `:1`, `$5`, `*2` and the types of RESP 3.
fn redis_server(head: &[u8]) -> Header {
    match head.first() {
        None => Header::Short,
        Some(kind @ (b'$' | b'*' | b':' | b'%' | b'~' | b'>' | b'#' | b',')) => match counted(head, *kind) {
            Ok(_) => Header::Good { len: usize::MAX, bits: 24 },
            Err(other) => other,
        },
        Some(b'+' | b'-' | b'_') => match line(head) {
            Ok((text, _)) => {
                let plain = text.starts_with(b"+OK") || text.starts_with(b"-ERR");
                Header::Good { len: usize::MAX, bits: if plain { 24 } else { 12 } }
            }
            Err(other) => other,
        },
        Some(_) => Header::Bad,
    }
}

/// A mark, a number (perhaps negative), CR LF; the bytes they take.
fn counted(head: &[u8], mark: u8) -> Result<usize, Header> {
    let Some((first, rest)) = head.split_first() else { return Err(Header::Short) };
    let digits = rest
        .iter()
        .take(12)
        .take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b't' | b'f'))
        .count();
    match rest.get(digits..) {
        _ if *first != mark => Err(Header::Bad),
        Some([] | [b'\r']) if digits < 12 => Err(Header::Short),
        Some([b'\r', b'\n', ..]) if digits > 0 => Ok(digits + 3),
        _ => Err(Header::Bad),
    }
}

fn memcached_client(head: &[u8]) -> Header {
    const WORDS: &[&str] = &[
        "get",
        "gets",
        "gat",
        "set",
        "add",
        "replace",
        "append",
        "prepend",
        "cas",
        "incr",
        "decr",
        "delete",
        "touch",
        "stats",
        "flush_all",
        "version",
        "verbosity",
        "mg",
        "ms",
    ];
    whole(command(head, WORDS, &[]))
}

fn memcached_server(head: &[u8]) -> Header {
    const WORDS: &[&str] = &[
        "STORED",
        "NOT_STORED",
        "EXISTS",
        "NOT_FOUND",
        "VALUE",
        "END",
        "DELETED",
        "TOUCHED",
        "STAT",
        "VERSION",
        "CLIENT_ERROR",
        "SERVER_ERROR",
        "RESET",
    ];
    whole(command(head, WORDS, &["OK", "ERROR"]))
}

/// Magic, operation, key length, extras length, data type 0, status, body length.
fn memcached_binary(head: &[u8], magic: u8) -> Header {
    let ok = |index: usize, test: fn(u8) -> bool| head.get(index).is_none_or(|byte| test(*byte));
    if head.first().is_some_and(|first| *first != magic)
        || !ok(1, |op| op <= 0x48 || op >= 0x81)
        || !ok(4, |extras| extras <= 64)
        || !ok(5, |kind| kind <= 7)
    {
        return Header::Bad;
    }
    match (u16_at(head, 2), head.get(4), u32_at(head, 8), head.get(23)) {
        (Some(key), Some(extras), Some(len), Some(_)) => good(
            len <= 32 << 20 && key <= 250 && usize::from(key) + usize::from(*extras) <= len as usize,
            24 + len as usize,
            36,
        ),
        _ => Header::Short,
    }
}

/// ConnectRequest: length 44 or 45, version 0, last zxid, time-out, session, a password of 16 bytes.
fn zookeeper_client(head: &[u8]) -> Header {
    zookeeper(head, 44, 16, 28)
}

/// ConnectResponse: length 36 or 37, version 0, time-out, session, a password of 16 bytes.
fn zookeeper_server(head: &[u8]) -> Header {
    zookeeper(head, 36, 8, 20)
}

fn zookeeper(head: &[u8], len: u32, timeout: usize, password: usize) -> Header {
    let is = |offset: usize, test: &dyn Fn(u32) -> bool| u32_at(head, offset).is_none_or(test);
    let ok = is(0, &|found| found == len || found == len + 1)
        && is(4, &|version| version == 0)
        && is(timeout, &|ms| ms <= 3_600_000)
        && is(password, &|size| size == 16);
    match (ok, head.get(password + 3)) {
        (false, _) => Header::Bad,
        (true, None) => Header::Short,
        (true, Some(_)) => Header::Good { len: usize::MAX, bits: 100 },
    }
}

/// `ES`, length, request id, status, version; a length of -1 is a ping.
fn elasticsearch(head: &[u8]) -> Header {
    match (head, u32_at(head, 2)) {
        ([] | [b'E'] | [b'E', b'S'], _) | ([b'E', b'S', ..], None) => Header::Short,
        ([b'E', b'S', ..], Some(u32::MAX)) => Header::Good { len: 6, bits: 48 },
        ([b'E', b'S', ..], Some(len @ 13..=0x4000_0000)) => match (head.get(14), head.get(15)) {
            (Some(0..=0x1f), Some(0)) => {
                // Request ids count up from 1.
                let low = u32_at(head, 6) == Some(0);
                Header::Good { len: len as usize + 6, bits: if low { 64 } else { 40 } }
            }
            (Some(0..=0x1f) | None, None) => Header::Short,
            _ => Header::Bad,
        },
        _ => Header::Bad,
    }
}

/// Length, checksum 0, type, a flag byte, header checksum 0.
fn tns(head: &[u8]) -> Header {
    let (Some(len), Some(kind)) = (u16_at(head, 0), head.get(4)) else { return Header::Short };
    let sums_ok = u16_at(head, 2) == Some(0) && u16_at(head, 6).is_none_or(|sum| sum == 0);
    if !sums_ok || len < 8 || !matches!(kind, 1..=7 | 9 | 11..=14) {
        return Header::Bad;
    }
    match (*kind, u16_at(head, 8), u16_at(head, 6)) {
        (1 | 2, Some(version), _) => good((300..=330).contains(&version), usize::from(len), 58),
        (1 | 2, None, _) | (_, _, None) => Header::Short,
        (11, ..) => good(len == 8, 8, 58),
        _ => Header::Good { len: usize::from(len), bits: 36 },
    }
}

/// Length, 0xd0, format, correlation, length of the object, code point.
fn drda(head: &[u8]) -> Header {
    let (Some(len), Some(inner), Some(point)) = (u16_at(head, 0), u16_at(head, 6), u16_at(head, 8)) else {
        return if head.get(2).is_none_or(|magic| *magic == 0xd0) { Header::Short } else { Header::Bad };
    };
    let format_ok = head.get(2) == Some(&0xd0)
        && head.get(3).is_some_and(|format| (1..=5).contains(&(format & 0xf)) && format & 0x80 == 0);
    let fits = inner.checked_add(6) == Some(len) && len >= 10;
    good(format_ok && fits && matches!(point >> 8, 0x10..=0x14 | 0x20..=0x24), usize::from(len), 8 + 6 + 16 + 5)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::trial::check;
    use super::*;

    /// A header of MongoDB: length, request, answered request, operation; then an empty document.
    fn mongo_message(len: u8, answers: u8, operation: u16) -> Vec<u8> {
        let [low, high] = operation.to_le_bytes();
        [&[len, 0, 0, 0, 1, 0, 0, 0, answers, 0, 0, 0, low, high, 0, 0][..], &[0, 0, 0, 0, 0, 5, 0, 0, 0, 0]].concat()
    }

    #[test]
    pub(crate) fn documents_and_columns() {
        let ask = mongo_message(26, 0, 2013);
        check(
            &MONGO,
            &[
                ("message and answer", &ask, &mongo_message(26, 1, 2013), "found"),
                ("message alone", &ask, b"", "likely"),
                ("an operation that was never assigned", &mongo_message(26, 0, 2014), b"", "no"),
                ("shorter than its head", &mongo_message(15, 0, 2013), b"", "no"),
            ],
        );
        check(
            &CASSANDRA,
            &[
                ("options", b"\x04\0\0\0\x05\0\0\0\0", b"\x84\0\0\0\x06\0\0\0\x02\0\0", "found"),
                ("start", b"\x04\0\0\0\x01\0\0\0\x10\0\x01\0\x0bCQL_VERSION\0", b"", "likely"),
                ("start without the version", b"\x04\0\0\0\x01\0\0\0\x02\0\0", b"", "no"),
                ("an answer from the client", b"\x84\0\0\0\x05\0\0\0\0", b"", "no"),
                ("version 6", b"\x06\0\0\0\x05\0\0\0\0", b"", "no"),
            ],
        );
    }

    #[test]
    pub(crate) fn keys_and_values() {
        check(
            &REDIS,
            &[
                ("ping", b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n", "found"),
                ("array of numbers", b"*1\r\n:4\r\n", b"", "no"),
                ("half", b"*1\r", b"", "more"),
            ],
        );
        check(&MEMCACHED, &[("get", b"get a\r\n", b"END\r\n", "found"), ("a word more", b"getter a\r\n", b"", "no")]);
        let head =
            |magic: u8, key: u8, body: u8| [&[magic, 0, 0, key, 0, 0, 0, 0, 0, 0, 0, body][..], &[0; 12]].concat();
        check(
            &MEMCACHED_BINARY,
            &[
                ("get", &[&head(0x80, 1, 1)[..], b"a"].concat(), &head(0x81, 0, 0), "found"),
                ("another magic", &head(0x82, 1, 1), b"", "no"),
                ("a key longer than the body", &head(0x80, 2, 1), b"", "no"),
                ("the answer's magic from the client", &head(0x81, 0, 0), b"", "no"),
            ],
        );
    }

    #[test]
    pub(crate) fn clusters() {
        const PASSWORD: &[u8] = b"\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        let connect = [b"\0\0\0\x2c\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x75\x30\0\0\0\0\0\0\0\0", PASSWORD].concat();
        let connected = [b"\0\0\0\x24\0\0\0\0\0\0\x75\x30\x01\0\0\0\0\0\0\0", PASSWORD].concat();
        let mut newer = connect.clone();
        newer[7] = 1;
        check(
            &ZOOKEEPER,
            &[
                ("connect", &connect, &connected, "found"),
                ("length alone", b"\0\0\0\x2c\0\0\0\x01", b"", "no"),
                ("another version", &newer, b"", "no"),
            ],
        );
        let message = |status: u8| [&b"ES\0\0\0\x11\0\0\0\0\0\0\0\x01"[..], &[status], b"\0\x6b\0\0\0\0\0\0"].concat();
        check(
            &ELASTICSEARCH,
            &[
                ("request and answer", &message(0), &message(1), "found"),
                ("pings", b"ES\xff\xff\xff\xff", b"ES\xff\xff\xff\xff", "found"),
                ("text", b"ESTABLISHED 1\r\n", b"", "no"),
                ("a status that is none", &message(0x80), b"", "no"),
            ],
        );
    }

    #[test]
    pub(crate) fn relations() {
        check(
            &TNS,
            &[
                ("connect", b"\0\x3a\0\0\x01\0\0\0\x01\x38", b"\0\x08\0\0\x0b\0\0\0", "found"),
                ("checksum", b"\0\x3a\0\x01\x01\0\0\0", b"", "no"),
            ],
        );
        check(
            &DRDA,
            &[
                (
                    "exchange of attributes",
                    b"\0\x10\xd0\x41\0\x01\0\x0a\x10\x41\0\x06\x11\x47\0\0",
                    b"\0\x10\xd0\x42\0\x01\0\x0a\x14\x43\0\x06\x11\x47\0\0",
                    "found",
                ),
                ("lengths that differ", b"\0\x10\xd0\x41\0\x01\0\x0b\x10\x41", b"", "no"),
                ("another magic", b"\0\x10\xd1\x41\0\x01\0\x0a\x10\x41", b"", "no"),
                ("a code point of no class", b"\0\x10\xd0\x41\0\x01\0\x0a\x90\x41", b"", "no"),
            ],
        );
    }
}
