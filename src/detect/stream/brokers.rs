//! Message brokers: MQTT, Kafka, STOMP, NATS.
//!
//! Sources: OASIS MQTT 3.1.1 and 5.0 section 2.1, Kafka protocol guide, STOMP 1.2, NATS client protocol.
//! Evidence: heads of messages of both sides.

use super::framed::{Framed, Header, good, u16_at, u32_at};
use super::text::{line, opening, whole};

/// MQTT.
pub(super) static MQTT: Framed = Framed::alike(&"mqtt", mqtt);
/// Kafka.
pub(super) static KAFKA: Framed = Framed::directed(&"kafka", kafka_client, kafka_server);
/// STOMP.
pub(super) static STOMP: Framed = Framed::directed(&"stomp", stomp_client, stomp_server);
/// NATS.
pub(super) static NATS: Framed = Framed::directed(&"nats", nats_client, nats_server);

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
        // No name either; a consumer that fetches or asks for offsets says that it is no replica.
        (Some(0), _) if matches!(api, FETCH | LIST_OFFSETS) => match u32_at(head, 14) {
            Some(replica) => good(replica == u32::MAX && len >= 18, len as usize + 4, 64),
            None => Header::Short,
        },
        (Some(name @ 1..=249), Some(text)) if u32::from(name) + 10 <= len => match text.get(..usize::from(name)) {
            Some(text) => good(text.iter().all(u8::is_ascii_graphic), len as usize + 4, 42 + u32::from(name.min(16))),
            None => Header::Short,
        },
        (None, _) => Header::Short,
        _ => Header::Bad,
    }
}

/// Numbers of requests (Kafka protocol guide, "Api Keys").
const FETCH: u16 = 1;
const LIST_OFFSETS: u16 = 2;

/// Length and correlation: little by itself.
fn kafka_server(head: &[u8]) -> Header {
    match (u32_at(head, 0), u32_at(head, 4)) {
        (Some(len @ 4..=0x640_0000), Some(_)) => Header::Good { len: len as usize + 4, bits: 4 },
        (Some(4..=0x640_0000) | None, None) => Header::Short,
        _ => Header::Bad,
    }
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

#[cfg(test)]
pub(super) mod tests {
    use super::super::trial::check;
    use super::*;

    #[test]
    pub(crate) fn queues() {
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
        let kafka = b"\0\0\0\x14\0\x12\0\x03\0\0\0\x01\0\x08consumer\0\0";
        let offsets = b"\0\0\0\x12\0\x02\0\0\0\0\0\0\0\0\xff\xff\xff\xff\0\0\0\0";
        let mut replica = offsets.to_vec();
        replica[14] = 0;
        check(
            &KAFKA,
            &[
                ("api versions", kafka, b"\0\0\0\x10\0\0\0\x01", "found"),
                ("offsets, asked for without a name", offsets, b"", "likely"),
                ("the same from a replica", &replica, b"", "no"),
                ("no such api", b"\0\0\0\x14\x12\x12\0\x03", b"", "no"),
                ("binary name", b"\0\0\0\x14\0\x12\0\x03\0\0\0\x01\0\x02\x01\x02", b"", "no"),
            ],
        );
    }

    #[test]
    pub(crate) fn text() {
        check(
            &STOMP,
            &[
                ("connect", b"CONNECT\naccept-version:1.2\n\n\0", b"CONNECTED\n", "found"),
                ("http", b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n", b"", "no"),
            ],
        );
        check(
            &NATS,
            &[
                ("connect", b"CONNECT {\"verbose\":false}\r\nPING\r\n", b"INFO {\"server_id\":\"a\"}\r\n", "found"),
                ("greeting alone", b"", b"INFO {\"server_id\":\"a\"}\r\n", "found"),
                ("http", b"CONNECT a:1 HTTP/1.1\r\n", b"", "no"),
                ("another word", b"", b"INFO: ready\r\n", "no"),
            ],
        );
    }
}
