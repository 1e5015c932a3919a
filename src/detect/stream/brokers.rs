//! Data stores, brokers and application back ends: MQTT, MongoDB, Cassandra, Redis, memcached, Kafka, ZooKeeper,
//! Elasticsearch, Thrift, Oracle TNS, DRDA, STOMP, NATS, AJP13, FastCGI, JSON-RPC.
//!
//! Sources: OASIS MQTT 3.1.1 and 5.0 section 2.1, MongoDB wire protocol, Cassandra native_protocol_v4.spec, Redis
//! serialization protocol, memcached protocol.txt and protocol-binary, Kafka protocol guide, ZooKeeper jute records,
//! Elasticsearch TcpHeader, Thrift binary protocol, Oracle Net (packet header as in Wireshark's packet-tns.c), DRDA
//! volume 3 (DDM), STOMP 1.2, NATS client protocol, AJPv13, FastCGI 1.0 section 3.3, JSON-RPC 2.0.
//! Evidence: heads of messages of both sides.
//! Not handled: MySQL X protocol, Thrift compact protocol, Oracle native network encryption (it is negotiated inside).

use super::framed::{Framed, Header, good, u16_at, u32_at, u32_le};
use super::text::{command, holds, line, opening, whole};

/// MQTT.
pub(super) static MQTT: Framed = Framed::alike(&"mqtt", mqtt);
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
/// Kafka.
pub(super) static KAFKA: Framed = Framed::directed(&"kafka", kafka_client, kafka_server);
/// ZooKeeper.
pub(super) static ZOOKEEPER: Framed = Framed::directed(&"zookeeper", zookeeper_client, zookeeper_server);
/// Elasticsearch transport.
pub(super) static ELASTICSEARCH: Framed = Framed::alike(&"elasticsearch", elasticsearch);
/// Thrift, strict binary protocol, framed or not.
pub(super) static THRIFT: Framed = Framed::alike(&"thrift", thrift);
/// Oracle Transparent Network Substrate.
pub(super) static TNS: Framed = Framed::alike(&"tns", tns);
/// DRDA (DB2, Derby).
pub(super) static DRDA: Framed = Framed::alike(&"drda", drda);
/// STOMP.
pub(super) static STOMP: Framed = Framed::directed(&"stomp", stomp_client, stomp_server);
/// NATS.
pub(super) static NATS: Framed = Framed::directed(&"nats", nats_client, nats_server);
/// Apache JServ.
pub(super) static AJP: Framed = Framed::directed(&"ajp13", ajp_client, ajp_server);
/// FastCGI.
pub(super) static FASTCGI: Framed = Framed::alike(&"fastcgi", fastcgi);
/// JSON-RPC, one object a line (Stratum among others).
pub(super) static JSON_RPC: Framed = Framed::alike(&"json-rpc", json_rpc);

/// Packet type and its fixed flags, remaining length; CONNECT with the protocol name.
fn mqtt(head: &[u8]) -> Header {
    let Some(&kind) = head.first() else { return Header::Short };
    let flags_ok = match kind >> 4 {
        1 | 2 | 4 | 5 | 7 | 9 | 11..=15 => kind & 15 == 0,
        6 | 8 | 10 => kind & 15 == 2,
        3 => kind & 6 != 6,
        _ => false,
    };
    if !flags_ok {
        return Header::Bad;
    }
    let (mut len, mut size) = (0_usize, 0);
    loop {
        let Some(&byte) = head.get(1 + size) else { return if size < 4 { Header::Short } else { Header::Bad } };
        len |= usize::from(byte & 0x7f) << (7 * size);
        size += 1;
        match byte & 0x80 {
            0 => break,
            _ if size == 4 => return Header::Bad,
            _ => {}
        }
    }
    let body = head.get(1 + size..).unwrap_or_default();
    let whole = 1 + size + len;
    match kind >> 4 {
        1 => {
            let names: [&[u8]; 2] = [b"\0\x04MQTT", b"\0\x06MQIsdp"];
            match names.iter().find(|name| body.starts_with(name)) {
                Some(name) => good(len > name.len() + 3, whole, 64),
                None if names.iter().any(|name| name.starts_with(body)) => Header::Short,
                None => Header::Bad,
            }
        }
        2 => match *body {
            [] | [0 | 1] => Header::Short,
            [0 | 1, code, ..] => good((2..=512).contains(&len) && (code <= 5 || code >= 0x80 && len > 2), whole, 24),
            _ => Header::Bad,
        },
        3 => match u16_at(body, 0) {
            // The topic is text and lies within the packet.
            Some(topic) => {
                let name = body.get(2..).unwrap_or_default();
                let name = name.get(..usize::from(topic).min(name.len())).unwrap_or_default();
                let ok = topic > 0
                    && usize::from(topic) + 2 <= len
                    && name.iter().all(|byte| *byte >= 0x20 && *byte != 0x7f);
                good(ok, whole, if name.len() >= 4 { 16 } else { 6 })
            }
            None if len >= 2 => Header::Short,
            None => Header::Bad,
        },
        12 | 13 => good(len == 0, whole, 14),
        14 => good(len <= 64, whole, 8),
        15 => good(len <= 4096, whole, 2),
        4..=7 | 11 => good((2..=64).contains(&len), whole, 8),
        _ => good((3..=65_536).contains(&len), whole, 6),
    }
}

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

/// Length, API, version, correlation, client name in text.
fn kafka_client(head: &[u8]) -> Header {
    let (Some(len), Some(api), Some(version)) = (u32_at(head, 0), u16_at(head, 4), u16_at(head, 6)) else {
        return if head.first().is_some_and(|first| *first > 6) { Header::Bad } else { Header::Short };
    };
    if !(10..=100 << 20).contains(&len) || api > 92 || version > 20 {
        return Header::Bad;
    }
    match (u16_at(head, 12), head.get(14..)) {
        (Some(0xffff), _) => Header::Good { len: len as usize + 4, bits: 48 },
        (Some(name @ 1..=249), Some(text)) if u32::from(name) + 10 <= len => match text.get(..usize::from(name)) {
            Some(text) => good(text.iter().all(u8::is_ascii_graphic), len as usize + 4, 42 + u32::from(name.min(16))),
            None => Header::Short,
        },
        (None, _) => Header::Short,
        _ => Header::Bad,
    }
}

/// Length and correlation: little by itself.
fn kafka_server(head: &[u8]) -> Header {
    match (u32_at(head, 0), u32_at(head, 4)) {
        (Some(len @ 4..=0x640_0000), Some(_)) => Header::Good { len: len as usize + 4, bits: 4 },
        (Some(4..=0x640_0000) | None, None) => Header::Short,
        _ => Header::Bad,
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

/// A length if framed, then version 1 with the message type, and a name.
fn thrift(head: &[u8]) -> Header {
    let (start, len) = match head.first() {
        Some(0x80) => (0, usize::MAX),
        Some(0) => match u32_at(head, 0) {
            Some(len @ 13..=0xff_ffff) => (4, len as usize + 4),
            None => return Header::Short,
            Some(_) => return Header::Bad,
        },
        None => return Header::Short,
        Some(_) => return Header::Bad,
    };
    match (u32_at(head, start), u32_at(head, start + 4)) {
        (Some(0x8001_0001..=0x8001_0004), Some(name @ 1..=255)) => match head.get(start + 8..start + 8 + name as usize)
        {
            Some(name) => good(name.iter().all(u8::is_ascii_graphic), len, 70),
            None => Header::Short,
        },
        (Some(0x8001_0001..=0x8001_0004) | None, None) => Header::Short,
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

fn stomp_client(head: &[u8]) -> Header {
    let (text, len) = match opening(head, &["CONNECT", "STOMP", "SUBSCRIBE", "SEND"]) {
        Header::Good { .. } => match line(head) {
            Ok(found) => found,
            Err(other) => return other,
        },
        other => return other,
    };
    let Some(next) = head.get(len..).filter(|next| !next.is_empty()) else { return Header::Short };
    match (matches!(text, b"CONNECT" | b"STOMP" | b"SUBSCRIBE" | b"SEND"), line(next)) {
        (true, Ok((field, _))) => good(field.contains(&b':'), usize::MAX, 50),
        (true, Err(other)) => other,
        _ => Header::Bad,
    }
}

fn stomp_server(head: &[u8]) -> Header {
    whole(opening(head, &["CONNECTED\n", "CONNECTED\r\n", "MESSAGE\n", "ERROR\n", "RECEIPT\n"]))
}

fn nats_client(head: &[u8]) -> Header {
    whole(opening(head, &["CONNECT {", "PING\r\n"]))
}

fn nats_server(head: &[u8]) -> Header {
    whole(opening(head, &["INFO {\"server_id\"", "INFO {"]))
}

/// 0x1234, length, a type that clients send.
fn ajp_client(head: &[u8]) -> Header {
    match *head {
        [] | [0x12] | [0x12, 0x34] | [0x12, 0x34, _] | [0x12, 0x34, _, _] => Header::Short,
        [0x12, 0x34, a, b, kind, ref rest @ ..] => {
            let len = usize::from(u16::from_be_bytes([a, b]));
            let known = matches!(kind, 2 | 7 | 8 | 10)
                && (kind != 2 || rest.first().is_none_or(|method| (1..=27).contains(method) || *method == 0xff));
            // A request is followed by packets of its body, which have no type.
            good(known && (1..=8192).contains(&len), usize::MAX, 26)
        }
        _ => Header::Bad,
    }
}

fn ajp_server(head: &[u8]) -> Header {
    match *head {
        [] | [b'A'] | [b'A', b'B'] | [b'A', b'B', _] | [b'A', b'B', _, _] => Header::Short,
        [b'A', b'B', a, b, 3..=6 | 9, ..] => {
            let len = usize::from(u16::from_be_bytes([a, b]));
            good((1..=8192).contains(&len), 4 + len, 24)
        }
        _ => Header::Bad,
    }
}

/// Version 1, type, request, content and padding length, a zero.
fn fastcgi(head: &[u8]) -> Header {
    let Some([version, kind, _, _, high, low, padding, zero]) = head.first_chunk::<8>() else {
        return if matches!(*head, [] | [1] | [1, 1..=11, ..]) { Header::Short } else { Header::Bad };
    };
    let len = usize::from(u16::from_be_bytes([*high, *low]));
    let whole = 8 + len + usize::from(*padding);
    let ok = *version == 1 && (1..=11).contains(kind) && *zero == 0;
    match (*kind, head.get(8..16)) {
        (1, Some([0, 1..=3, 0 | 1, 0, 0, 0, 0, 0])) => good(ok && len == 8, whole, 96),
        (1, None) => {
            if ok && len == 8 {
                Header::Short
            } else {
                Header::Bad
            }
        }
        (1, Some(_)) => Header::Bad,
        _ => good(ok && *padding < 8, whole, 26),
    }
}

fn json_rpc(head: &[u8]) -> Header {
    match line(head) {
        _ if head.first().is_some_and(|first| *first != b'{') => Header::Bad,
        Ok((text, len)) => {
            let call = holds(text, "\"jsonrpc\"") || holds(text, "\"method\"") && holds(text, "\"params\"");
            let answer = holds(text, "\"result\"") && holds(text, "\"id\"");
            good((call || answer) && text.ends_with(b"}"), len, 60)
        }
        Err(other) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::check;
    use super::*;

    #[test]
    fn probe() {
        let connect = b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01a";
        check(
            &MQTT,
            &[
                ("connect", connect, b"\x20\x02\0\0", "found"),
                ("connect only", connect, b"", "likely"),
                ("another name", b"\x10\x0d\0\x04MQTX\x04", b"", "no"),
                ("reserved type", b"\x00\x02", b"", "no"),
            ],
        );
        check(
            &REDIS,
            &[
                ("ping", b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n", "found"),
                ("array of numbers", b"*1\r\n:4\r\n", b"", "no"),
                ("half", b"*1\r", b"", "more"),
            ],
        );
        let kafka = b"\0\0\0\x14\0\x12\0\x03\0\0\0\x01\0\x08consumer\0\0";
        check(
            &KAFKA,
            &[
                ("api versions", kafka, b"\0\0\0\x10\0\0\0\x01", "found"),
                ("no such api", b"\0\0\0\x14\x12\x12\0\x03", b"", "no"),
                ("binary name", b"\0\0\0\x14\0\x12\0\x03\0\0\0\x01\0\x02\x01\x02", b"", "no"),
            ],
        );
        check(
            &TNS,
            &[
                ("connect", b"\0\x3a\0\0\x01\0\0\0\x01\x38", b"\0\x08\0\0\x0b\0\0\0", "found"),
                ("checksum", b"\0\x3a\0\x01\x01\0\0\0", b"", "no"),
            ],
        );
        check(
            &FASTCGI,
            &[
                ("begin", b"\x01\x01\0\x01\0\x08\0\0\0\x01\0\0\0\0\0\0", b"\x01\x06\0\x01\0\x10\0\0", "found"),
                ("version 2", b"\x02\x01\0\x01\0\x08\0\0", b"", "no"),
            ],
        );
        check(&MEMCACHED, &[("get", b"get a\r\n", b"END\r\n", "found"), ("a word more", b"getter a\r\n", b"", "no")]);
        check(&ZOOKEEPER, &[("length alone", b"\0\0\0\x2c\0\0\0\x01", b"", "no")]);
        check(
            &STOMP,
            &[
                ("connect", b"CONNECT\naccept-version:1.2\n\n\0", b"CONNECTED\n", "found"),
                ("http", b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n", b"", "no"),
            ],
        );
    }
}
