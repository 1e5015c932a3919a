//! Application back ends: Thrift, AJP13, FastCGI, JSON-RPC.
//!
//! Sources: Thrift binary protocol, AJPv13, FastCGI 1.0 section 3.3, JSON-RPC 2.0.
//! Evidence: heads of messages of both sides.
//! Not handled: Thrift's compact protocol.

use super::framed::{Framed, Header, good, u32_at};
use super::text::{holds, line};

/// Thrift, strict binary protocol, framed or not.
pub(super) static THRIFT: Framed = Framed::alike(&"thrift", thrift);
/// Apache JServ.
pub(super) static AJP: Framed = Framed::directed(&"ajp13", ajp_client, ajp_server);
/// FastCGI.
pub(super) static FASTCGI: Framed = Framed::alike(&"fastcgi", fastcgi);
/// JSON-RPC, one object a line (Stratum among others).
pub(super) static JSON_RPC: Framed = Framed::alike(&"json-rpc", json_rpc);

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
pub(super) mod tests {
    use super::super::trial::check;
    use super::*;

    #[test]
    pub(crate) fn probe() {
        let call = b"\x80\x01\0\x01\0\0\0\x04ping\0\0\0\x01\0";
        check(
            &THRIFT,
            &[
                ("call and answer", call, b"\x80\x01\0\x02\0\0\0\x04ping\0\0\0\x01\0", "found"),
                ("framed", &[b"\0\0\0\x11", call.as_slice()].concat(), b"", "likely"),
                ("version 2", b"\x80\x02\0\x01\0\0\0\x04ping", b"", "no"),
                ("a name that is not text", b"\x80\x01\0\x01\0\0\0\x04p\x01ng\0\0\0\x01\0", b"", "no"),
            ],
        );
        check(
            &AJP,
            &[
                ("ping and pong", b"\x12\x34\0\x01\x0a", b"AB\0\x01\x09", "found"),
                ("a type that servers send", b"\x12\x34\0\x01\x09", b"", "no"),
                ("text from the server", b"\x12\x34\0\x01\x0a", b"ABOUT\r\n", "no"),
                ("nothing inside", b"\x12\x34\0\0\x0a", b"", "no"),
            ],
        );
        check(
            &FASTCGI,
            &[
                ("begin", b"\x01\x01\0\x01\0\x08\0\0\0\x01\0\0\0\0\0\0", b"\x01\x06\0\x01\0\x10\0\0", "found"),
                ("version 2", b"\x02\x01\0\x01\0\x08\0\0", b"", "no"),
            ],
        );
        check(
            &JSON_RPC,
            &[
                (
                    "call and answer",
                    b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\"}\n",
                    b"{\"id\":1,\"result\":true}\n",
                    "found",
                ),
                ("Stratum", b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n", b"", "likely"),
                ("another object", b"{\"id\":1}\n", b"", "no"),
                ("not closed", b"{\"jsonrpc\":\"2.0\",\"id\":1\n", b"", "no"),
            ],
        );
    }
}
