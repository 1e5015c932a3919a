//! Voice, video, desktops, remote shells and sharing: HTTP/2, RTMP, MPEG transport streams, SCCP, H.225, FIX, X11, rlogin,
//! rsh, eDonkey.
//!
//! Sources: RFC 9113 sections 3.4 and 4.1, Adobe RTMP 1.0 section 5.2, ISO 13818-1 section 2.4.3, Wireshark's
//! packet-skinny.c, ITU-T H.225.0 with Q.931 section 4, FIX 4.x and FIXT 1.1 (BeginString), X11 protocol section 8,
//! RFC 1282, rcmd(3), the eMule protocol specification.
//! Evidence: message heads of both sides, for transport streams a chain of eight.
//! Not handled: HTTP/2 that begins inside a frame, RTMPE (its version is 6).

use super::framed::{Framed, Header, good, opens, u16_at, u16_le, u32_at, u32_le};
use crate::model::Protocol;

/// HTTP/2 in clear, with prior knowledge.
pub(super) static HTTP2: Framed =
    Framed { protocol: Protocol::HTTP2, ..Framed::directed(&"http2", http2_client, http2_frame) };
/// RTMP.
pub(super) static RTMP: Framed = Framed::directed(&"rtmp", rtmp_client, rtmp_server);
/// MPEG transport stream.
pub(super) static MPEG_TS: Framed = Framed::alike(&"mpegts", mpeg_ts);
/// Skinny call control.
pub(super) static SKINNY: Framed = Framed::alike(&"skinny", skinny);
/// H.323 call signalling.
pub(super) static H225: Framed = Framed::alike(&"h323", h225);
/// Financial information exchange.
pub(super) static FIX: Framed = Framed::alike(&"fix", fix);
/// X11.
pub(super) static X11: Framed = Framed::directed(&"x11", x11_client, x11_server);
/// rlogin.
pub(super) static RLOGIN: Framed = Framed::directed(&"rlogin", rlogin_client, zero);
/// rsh and rexec.
pub(super) static RSH: Framed = Framed::directed(&"rsh", rsh_client, rsh_server);
/// eDonkey, not obfuscated.
pub(super) static EDONKEY: Framed = Framed::alike(&"edonkey", edonkey);

fn http2_client(head: &[u8]) -> Header {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    match opens(head, PREFACE) {
        Some(true) => Header::Good { len: PREFACE.len(), bits: 120 },
        None => Header::Short,
        Some(false) => http2_frame(head),
    }
}

/// Length, type, flags that the type knows, stream.
fn http2_frame(head: &[u8]) -> Header {
    let (Some(first), Some(stream), Some(flags)) = (u32_at(head, 0), u32_at(head, 5), head.get(4)) else {
        return if head.first().is_none_or(|high| *high <= 1) { Header::Short } else { Header::Bad };
    };
    let (len, kind) = (first >> 8, first & 0xff);
    let on_stream = stream != 0;
    let ok = match kind {
        0 => on_stream && flags & !0x09 == 0,
        1 => on_stream && flags & !0x2d == 0 && len > 0,
        2 => on_stream && len == 5 && *flags == 0,
        3 => on_stream && len == 4 && *flags == 0,
        4 => !on_stream && len.is_multiple_of(6) && (*flags == 0 || *flags == 1 && len == 0),
        5 => on_stream && flags & !0x0c == 0,
        6 => !on_stream && len == 8 && *flags <= 1,
        7 => !on_stream && len >= 8 && *flags == 0,
        8 => len == 4 && *flags == 0,
        9 => on_stream && flags & !0x04 == 0,
        _ => false,
    };
    let bits = match kind {
        2..=4 | 6..=8 => 40,
        _ => 16,
    };
    good(ok && len <= 1 << 17 && stream >> 31 == 0, len as usize + 9, bits)
}

/// Version 3, time, four zeros or the version of a Flash player; 1536 bytes.
fn rtmp_client(head: &[u8]) -> Header {
    match (head.first(), u32_at(head, 5)) {
        (None, _) | (Some(3), None) => Header::Short,
        (Some(3), Some(0)) => Header::Good { len: usize::MAX, bits: 40 },
        (Some(3), Some(version)) => good(
            version.to_be_bytes().iter().skip(1).all(|byte| *byte < 0x40) && version >> 24 & 0x3f <= 32,
            usize::MAX,
            16,
        ),
        _ => Header::Bad,
    }
}

/// The same from the server, whose second part repeats the client's: 3073 bytes in all.
fn rtmp_server(head: &[u8]) -> Header {
    match (head.first(), u32_at(head, 5)) {
        (None, _) | (Some(3), None) => Header::Short,
        (Some(3), Some(version)) => good(version.to_be_bytes().iter().all(|byte| *byte < 0x40), usize::MAX, 16),
        _ => Header::Bad,
    }
}

/// Packets of 188 bytes, each with its sync byte and no error flag.
fn mpeg_ts(head: &[u8]) -> Header {
    match *head {
        [] | [0x47] | [0x47, _] | [0x47, _, _] => Header::Short,
        [0x47, flags, _, control, ..] => good(flags & 0x80 == 0 && control & 0xc0 == 0 && control & 0x30 != 0, 188, 10),
        _ => Header::Bad,
    }
}

/// Length, header version, message; all little endian.
fn skinny(head: &[u8]) -> Header {
    match (u32_le(head, 0), u32_le(head, 4), u32_le(head, 8)) {
        (Some(len @ 4..=0x2000), Some(0..=0x20), Some(message @ (0..=0x160 | 0x8000..=0x8020))) => {
            // Keep-alives carry nothing.
            good(message > 0 || len <= 12, len as usize + 8, if message > 0 { 50 } else { 24 })
        }

        (None, ..) | (Some(4..=0x2000), None, _) | (Some(4..=0x2000), Some(0..=0x20), None) => Header::Short,
        _ => Header::Bad,
    }
}

/// TPKT around Q.931: protocol 8, a call reference of two bytes, a known message.
fn h225(head: &[u8]) -> Header {
    match *head {
        [3, 0, high, low, 8, 2, _, _, 1 | 2 | 3 | 5 | 7 | 0x0d | 0x5a | 0x62 | 0x6e | 0x75 | 0x7b | 0x7d, ..] => {
            let len = usize::from(u16::from_be_bytes([high, low]));
            good(len >= 9, len, 36)
        }
        [] | [3] | [3, 0] | [3, 0, _] | [3, 0, _, _] | [3, 0, _, _, 8] => Header::Short,
        [3, 0, _, _, 8, 2, ..] if head.len() < 9 => Header::Short,
        _ => Header::Bad,
    }
}

/// `8=FIX.4.2<SOH>9=65<SOH>`; compressed dialects have another word in place of the version.
fn fix(head: &[u8]) -> Header {
    let Some(known) = opens(head, b"8=") else { return Header::Short };
    let word = head.iter().skip(2).take(13).take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'.').count();
    let body = match head.get(2 + word..) {
        _ if !known || word > 12 => return Header::Bad,
        Some([]) => return Header::Short,
        Some([1, rest @ ..]) if word > 0 => rest,
        _ => return Header::Bad,
    };
    let digits = body.iter().skip(2).take(7).take_while(|byte| byte.is_ascii_digit()).count();
    match (opens(body, b"9="), body.get(2 + digits)) {
        (None, _) => Header::Short,
        (Some(true), None) if digits < 7 => Header::Short,
        (Some(true), Some(1)) => good(digits > 0, usize::MAX, 40 + 6 * word.min(8) as u32),
        _ => Header::Bad,
    }
}

/// Byte order, version 11.0, lengths of the authorization.
fn x11_client(head: &[u8]) -> Header {
    let field = |offset| if head.first() == Some(&b'B') { u16_at(head, offset) } else { u16_le(head, offset) };
    if !matches!(head, [] | [b'B' | b'l'] | [b'B' | b'l', 0, ..]) {
        return Header::Bad;
    }
    match (field(2), field(4), field(6), field(8)) {
        (Some(11), Some(0), Some(0..=64), Some(0..=512)) => Header::Good { len: usize::MAX, bits: 70 },
        (None, ..) | (Some(11), None, ..) | (Some(11), Some(0), None, _) | (Some(11), Some(0), Some(0..=64), None) => {
            Header::Short
        }
        _ => Header::Bad,
    }
}

/// Failed, success or authenticate, in either byte order.
fn x11_server(head: &[u8]) -> Header {
    match *head {
        [] | [0..=2] | [0..=2, _] | [0..=2, _, _] | [0..=2, _, _, _] | [0..=2, _, _, _, _] => Header::Short,
        [0..=2, _, 11, 0, 0, 0, ..] | [0..=2, _, 0, 11, 0, 0, ..] => Header::Good { len: usize::MAX, bits: 36 },
        [2, ..] => Header::Good { len: usize::MAX, bits: 6 },
        _ => Header::Bad,
    }
}

/// The success byte of rcmd(3).
fn zero(head: &[u8]) -> Header {
    match head.first() {
        None => Header::Short,
        Some(byte) => good(*byte == 0, usize::MAX, 8),
    }
}

/// Success, or one and the reason in text.
fn rsh_server(head: &[u8]) -> Header {
    match *head {
        [1, ref reason @ ..] => {
            let text = reason.iter().take(256).all(|byte| (0x20..0x7f).contains(byte) || byte.is_ascii_whitespace());
            good(text && !reason.is_empty() || head.len() == 1, usize::MAX, 8)
        }
        _ => zero(head),
    }
}

/// Texts that end in a zero, from `head`: their number and where the last ends, as far as they are whole.
fn texts(head: &[u8], want: usize) -> Option<Option<Vec<&[u8]>>> {
    let mut found = Vec::new();
    let mut rest = head;
    while found.len() < want {
        let end = rest.iter().position(|byte| *byte == 0);
        let text = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        if text.len() > 1024 || !text.iter().all(|byte| (0x20..0x7f).contains(byte)) {
            return Some(None);
        }
        found.push(text);
        rest = rest.get(end? + 1..)?;
    }
    Some(Some(found))
}

/// A zero, the user here, the user there, terminal and speed.
fn rlogin_client(head: &[u8]) -> Header {
    let Some((first, rest)) = head.split_first() else { return Header::Short };
    match texts(rest, 3) {
        _ if *first != 0 => Header::Bad,
        None => Header::Short,
        Some(Some(texts)) => {
            let speed = texts.get(2).and_then(|text| text.rsplit(|byte| *byte == b'/').next()).unwrap_or_default();
            let ok = texts.iter().all(|text| !text.is_empty()) && texts.get(2).is_some_and(|text| text.contains(&b'/'));
            good(ok && !speed.is_empty() && speed.iter().all(u8::is_ascii_digit), usize::MAX, 56)
        }
        Some(None) => Header::Bad,
    }
}

/// The port for errors in digits, two users (or user and password), the command.
fn rsh_client(head: &[u8]) -> Header {
    let digits = head.iter().take(6).take_while(|byte| byte.is_ascii_digit()).count();
    match head.get(digits) {
        None if digits < 6 => return Header::Short,
        Some(0) if digits <= 5 => {}
        _ => return Header::Bad,
    }
    match texts(head, 4) {
        None => Header::Short,
        Some(Some(texts)) => good(texts.iter().skip(1).all(|text| !text.is_empty()), usize::MAX, 36),
        Some(None) => Header::Bad,
    }
}

/// Protocol, length (little endian), a known operation of clients or servers.
fn edonkey(head: &[u8]) -> Header {
    match (head, u32_le(head, 1)) {
        ([0xe3, _, _, _, _, kind, ..], Some(len @ 1..=0x20_0000)) => {
            let known = matches!(*kind, 0x01 | 0x14..=0x1c | 0x32..=0x36 | 0x38 | 0x40..=0x60);
            // Hello: 0x01 and the size of a user hash, 16.
            let hello = *kind == 0x01 && head.get(6) == Some(&16) || *kind == 0x4c;
            good(known, len as usize + 5, if hello { 24 } else { 14 })
        }
        ([0xc5 | 0xd4, _, _, _, _, _, ..], Some(len @ 1..=0x20_0000)) => {
            Header::Good { len: len as usize + 5, bits: 14 }
        }
        ([] | [0xe3 | 0xc5 | 0xd4, ..], _) if head.len() < 6 => Header::Short,
        _ => Header::Bad,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::trial::check;
    use super::*;

    #[test]
    pub(crate) fn probe() {
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        check(
            &HTTP2,
            &[
                ("preface and settings", preface, b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64", "found"),
                ("settings on a stream", preface, b"\0\0\x06\x04\0\0\0\0\x01", "no"),
                ("http 1", b"GET / HTTP/1.1\r\n", b"", "no"),
            ],
        );
        let packet = [b"\x47\x40\0\x10".as_slice(), &[0xff; 184]].concat();
        check(
            &MPEG_TS,
            &[
                ("chain", b"", &packet.repeat(6), "likely"),
                ("one packet", b"", &packet, "more"),
                ("a G", b"", b"Gzip", "no"),
            ],
        );
        check(
            &FIX,
            &[
                ("logon", b"8=FIX.4.2\x019=65\x01", b"8=FIX.4.2\x019=65\x01", "found"),
                ("another tag", b"8=FIX.4.2\x0135=A\x01", b"", "no"),
            ],
        );
        check(
            &RLOGIN,
            &[("login", b"\0a\0b\0xterm/38400\0", b"\0", "found"), ("no speed", b"\0a\0b\0xterm\0", b"\0", "no")],
        );
        check(&RSH, &[("command", b"1022\0a\0b\0ls\0", b"\0", "found"), ("no user", b"1022\0\0b\0ls\0", b"\0", "no")]);
        check(
            &X11,
            &[
                ("open", b"l\0\x0b\0\0\0\0\0\0\0\0\0", b"\x01\0\x0b\0\0\0\x05\0", "found"),
                ("version 12", b"l\0\x0c\0\0\0", b"", "no"),
            ],
        );
    }

    #[test]
    pub(crate) fn calls() {
        check(
            &H225,
            &[
                (
                    "setup and proceeding",
                    b"\x03\0\0\x0c\x08\x02\0\x01\x05\x04\x01\x88",
                    b"\x03\0\0\x0a\x08\x02\x80\x01\x02\x00",
                    "found",
                ),
                ("protocol 9", b"\x03\0\0\x0c\x09\x02\0\x01\x05\x04\x01\x88", b"", "no"),
                ("a message that is none", b"\x03\0\0\x0c\x08\x02\0\x01\x99\x04\x01\x88", b"", "no"),
                ("rdp", b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01", b"", "no"),
            ],
        );
        let message = |version: u8, kind: u16| {
            let [low, high] = kind.to_le_bytes();
            [8, 0, 0, 0, version, 0, 0, 0, low, high, 0, 0, 1, 0, 0, 0]
        };
        check(
            &SKINNY,
            &[
                ("registration", &message(0, 1), &message(0, 0x81), "found"),
                ("a version that is none", &message(0x99, 1), b"", "no"),
                ("a message that is none", &message(0, 0x1000), b"", "no"),
            ],
        );
    }

    #[test]
    pub(crate) fn streams_and_sharing() {
        let hello = |version: u8, fourth: u8| [&[version, 0, 0, 1, 0, fourth, 0, 0, 0][..], &[0x5a; 64]].concat();
        check(
            &RTMP,
            &[
                ("hellos", &hello(3, 0), &hello(3, 4), "found"),
                ("encrypted: version 6", &hello(6, 0), b"", "no"),
                ("random in the place of a version", b"", b"\x03\0\0\0\x01\xf0\xf1\xf2\xf3", "no"),
            ],
        );
        let login = |protocol: u8, kind: u8| [&[protocol, 0x22, 0, 0, 0, kind, 16][..], &[0x11; 32]].concat();
        check(
            &EDONKEY,
            &[
                ("hello and answer", &login(0xe3, 0x01), &login(0xe3, 0x4c), "found"),
                ("an operation that is none", &login(0xe3, 0xf0), b"", "no"),
                ("another protocol", &login(0xe5, 0x01), b"", "no"),
                ("a length of zero", b"\xe3\0\0\0\0\x01", b"", "no"),
            ],
        );
    }
}
