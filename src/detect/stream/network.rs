//! Names, routing, accounting and management: DNS, Kerberos, BGP, LDP, MSDP, Diameter, SMPP, OpenFlow, syslog, whois,
//! ident.
//!
//! Sources: RFC 1035 section 4.2.2, RFC 4120 section 7.2.2, RFC 4271 section 4.1, RFC 5036 section 3.1, RFC 3618
//! section 12, RFC 6733 section 3, SMPP 3.4 section 3.2, OpenFlow 1.5 section 7.1, RFC 5424 and RFC 6587, RFC 3912,
//! RFC 1413.
//! Evidence: message heads of both sides; whois only when the answer says what it is.
//! Not handled: finger, daytime and other single lines of text.

use super::framed::{Framed, Header, good, u16_at, u32_at};
use super::text::{holds, line};

/// DNS.
pub(super) static DNS: Framed = Framed::directed(&"dns", |head| dns(head, false), |head| dns(head, true));
/// Kerberos.
pub(super) static KERBEROS: Framed = Framed::alike(&"kerberos", kerberos);
/// BGP.
pub(super) static BGP: Framed = Framed::alike(&"bgp", bgp);
/// Label distribution.
pub(super) static LDP: Framed = Framed::alike(&"ldp", ldp);
/// Multicast source discovery.
pub(super) static MSDP: Framed = Framed::alike(&"msdp", msdp);
/// Diameter.
pub(super) static DIAMETER: Framed = Framed::alike(&"diameter", diameter);
/// Short messages.
pub(super) static SMPP: Framed = Framed::alike(&"smpp", smpp);
/// OpenFlow.
pub(super) static OPENFLOW: Framed = Framed::alike(&"openflow", openflow);
/// syslog.
pub(super) static SYSLOG: Framed = Framed::alike(&"syslog", syslog);
/// whois.
pub(super) static WHOIS: Framed = Framed::directed(&"whois", whois_client, whois_server);
/// ident.
pub(super) static IDENT: Framed = Framed::directed(&"ident", ident_client, ident_server);

/// Length, then a header with plausible counts and a question that is a name.
fn dns(head: &[u8], response: bool) -> Header {
    let Some(len) = u16_at(head, 0).map(usize::from) else { return Header::Short };
    let Some(flags) = u16_at(head, 4) else {
        return if len < 17 { Header::Bad } else { Header::Short };
    };
    let opcode = flags >> 11 & 0xf;
    if len < 17 || (flags >> 15 == 1) != response || !matches!(opcode, 0 | 2 | 4 | 5 | 6) || flags & 0x40 != 0 {
        return Header::Bad;
    }
    let (Some(questions), Some(answers), Some(authorities), Some(additional)) =
        (u16_at(head, 6), u16_at(head, 8), u16_at(head, 10), u16_at(head, 12))
    else {
        return Header::Short;
    };
    let counts_ok = match (response, opcode) {
        (false, 0) => questions == 1 && answers <= 1 && authorities <= 1 && additional <= 3 && flags & 0xf == 0,
        (false, _) => questions <= 1 && additional <= 32 && answers <= 128 && authorities <= 128,
        (true, _) => questions <= 1 && answers <= 4096 && authorities <= 64 && additional <= 256,
    };
    if !counts_ok {
        return Header::Bad;
    }
    if questions == 0 {
        return Header::Good { len: len + 2, bits: 24 };
    }
    match name(head.get(14..).unwrap_or_default()) {
        None => Header::Short,
        Some(Some(size)) => match (u16_at(head, 14 + size), u16_at(head, 16 + size)) {
            (Some(kind), Some(class)) => good(
                kind > 0 && matches!(class & 0x7fff, 1..=4 | 254 | 255) && size + 16 <= len,
                len + 2,
                if response { 50 } else { 64 },
            ),
            _ => Header::Short,
        },
        Some(None) => Header::Bad,
    }
}

/// The size of an uncompressed name; `None` while it is cut.
fn name(bytes: &[u8]) -> Option<Option<usize>> {
    let mut at = 0;
    while at < 255 {
        match *bytes.get(at)? {
            0 => return Some(Some(at + 1)),
            len @ 1..=63 => at += 1 + usize::from(len),
            _ => return Some(None),
        }
    }
    Some(None)
}

/// Length, then an application tag with its own length, a sequence, and protocol version 5.
fn kerberos(head: &[u8]) -> Header {
    let (Some(len), Some(tag)) = (u32_at(head, 0).map(|len| len as usize), head.get(4)) else {
        return if head.first().is_none_or(|first| *first == 0) { Header::Short } else { Header::Bad };
    };
    if !(16..=1 << 20).contains(&len) || !matches!(tag, 0x6a..=0x6f | 0x74..=0x76 | 0x7e) {
        return Header::Bad;
    }
    // The tag's length must fill the record.
    let size = match head.get(5) {
        None => return Header::Short,
        Some(size @ 0..=0x7f) if usize::from(*size) + 2 == len => 1,
        Some(0x81) => 2,
        Some(0x82) => 3,
        Some(0x83) => 4,
        Some(_) => return Header::Bad,
    };
    let Some(digits) = head.get(6..5 + size) else { return Header::Short };
    let told = digits.iter().fold(0, |value, byte| value << 8 | usize::from(*byte));
    if size > 1 && told + 1 + size != len {
        return Header::Bad;
    }
    match head.get(5 + size) {
        None => Header::Short,
        Some(sequence) => {
            // The protocol version, an INTEGER 5, comes first in it.
            let start = head.get(5 + size..).unwrap_or_default();
            let version = start.windows(3).take(10).any(|window| window == [2, 1, 5]);
            good(*sequence == 0x30, len + 4, if version { 65 } else { 45 })
        }
    }
}

/// A marker of ones, length, type.
fn bgp(head: &[u8]) -> Header {
    if !head.iter().take(16).all(|byte| *byte == 0xff) {
        return Header::Bad;
    }
    match (u16_at(head, 16), head.get(18)) {
        (Some(len @ 19..), Some(1..=6)) => Header::Good { len: usize::from(len), bits: 128 },
        (Some(19..) | None, None) => Header::Short,
        _ => Header::Bad,
    }
}

/// Version 1, length, router and label space, then a known message.
fn ldp(head: &[u8]) -> Header {
    match (u16_at(head, 0), u16_at(head, 2), u16_at(head, 10), u16_at(head, 12)) {
        (Some(1), Some(len @ 14..=4096), Some(kind), Some(message)) => {
            let known = matches!(kind & 0x7fff, 1 | 0x100 | 0x200 | 0x201 | 0x300 | 0x301 | 0x400..=0x404);
            good(known && message + 4 <= len - 6 + 4, usize::from(len) + 4, 34)
        }
        (None | Some(1), None, ..) | (Some(1), Some(14..=4096), None, _) | (Some(1), Some(14..=4096), _, None) => {
            Header::Short
        }
        _ => Header::Bad,
    }
}

/// Type and length: keep-alives have just three bytes, active sources name their count.
fn msdp(head: &[u8]) -> Header {
    match *head {
        [] | [1 | 4] | [1 | 4, _] | [1, _, _] => Header::Short,
        [4, 0, 3, ..] => Header::Good { len: 3, bits: 24 },
        [1, high, low, count, ..] => {
            let len = usize::from(u16::from_be_bytes([high, low]));
            good(count > 0 && len >= 8 + 12 * usize::from(count) && len <= 9192, len, 18)
        }
        _ => Header::Bad,
    }
}

/// Version 1, length (a multiple of 4), flags, command, then an AVP that lies within.
fn diameter(head: &[u8]) -> Header {
    let (Some(first), Some(second)) = (u32_at(head, 0), u32_at(head, 4)) else {
        return if head.first().is_none_or(|version| *version == 1) { Header::Short } else { Header::Bad };
    };
    let (len, flags, command) = (first & 0xff_ffff, second >> 24, second & 0xff_ffff);
    let ok = first >> 24 == 1 && (20..=1 << 20).contains(&len) && len.is_multiple_of(4) && flags & 0xf == 0;
    if !ok || !matches!(command, 257..=350 | 8_388_600..=8_388_750 | 16_777_214..=16_777_215) {
        return Header::Bad;
    }
    match (len, u32_at(head, 24)) {
        (20, _) => Header::Good { len: 20, bits: 40 },
        (_, None) => Header::Short,
        (_, Some(avp)) => good((8..=len - 20).contains(&(avp & 0xff_ffff)) && avp >> 24 & 0x1f == 0, len as usize, 56),
    }
}

/// Length, command, status, sequence.
fn smpp(head: &[u8]) -> Header {
    match (u32_at(head, 0), u32_at(head, 4), u32_at(head, 8), u32_at(head, 12)) {
        (Some(len @ 16..=0x1_0000), Some(command), Some(status), Some(sequence)) => {
            let known = matches!(command & 0x7fff_ffff, 0..=9 | 0x0b | 0x15 | 0x21 | 0x102 | 0x103 | 0x111..=0x113);
            good(known && status <= 0x4ff && sequence > 0 && (command >> 31 == 1 || status == 0), len as usize, 56)
        }
        (None, ..) | (Some(16..=0x1_0000), None, ..) | (Some(16..=0x1_0000), _, _, None) => Header::Short,
        _ => Header::Bad,
    }
}

/// Version, type, length, transaction. Only the greeting, which both sides send first, is short and fixed.
fn openflow(head: &[u8]) -> Header {
    match (head, u16_at(head, 2), head.get(7)) {
        ([1..=6, 0, ..], Some(len), Some(_)) => good(len == 8 || len == 16, usize::from(len), 29),
        ([1..=6, 1..=35, ..], Some(len), Some(_)) => good(len >= 8, usize::from(len), 8),
        ([] | [1..=6] | [1..=6, 0..=35, ..], ..) => Header::Short,
        _ => Header::Bad,
    }
}

/// `<priority>` and a version or a date; before it perhaps an octet count (RFC 6587 section 3.4.1).
fn syslog(head: &[u8]) -> Header {
    let count = head.iter().take(6).take_while(|byte| byte.is_ascii_digit()).count();
    let start = match head.get(count) {
        None if count < 6 => return Header::Short,
        Some(b' ') if count > 0 => count + 1,
        _ if count > 0 => return Header::Bad,
        _ => 0,
    };
    let rest = head.get(start..).unwrap_or_default();
    match rest.first() {
        None => return Header::Short,
        Some(b'<') => {}
        Some(_) => return Header::Bad,
    }
    let digits = rest.iter().skip(1).take(4).take_while(|byte| byte.is_ascii_digit()).count();
    let priority = rest.get(1..=digits).and_then(|text| std::str::from_utf8(text).ok()?.parse::<u16>().ok());
    match (rest.get(1 + digits), priority) {
        (None, _) if digits <= 3 => return Header::Short,
        (Some(b'>'), Some(0..=191)) => {}
        _ => return Header::Bad,
    }
    const DATES: [&[u8]; 14] = [
        b"20", b"1 ", b"Jan ", b"Feb ", b"Mar ", b"Apr ", b"May ", b"Jun ", b"Jul ", b"Aug ", b"Sep ", b"Oct ",
        b"Nov ", b"Dec ",
    ];
    let body = rest.get(2 + digits..).unwrap_or_default();
    if !DATES.iter().any(|date| body.starts_with(date)) {
        return if DATES.iter().any(|date| date.starts_with(body)) { Header::Short } else { Header::Bad };
    }
    match line(body) {
        Ok((_, len)) => Header::Good { len: start + 2 + digits + len, bits: 48 },
        // With a count no line end is needed.
        Err(Header::Short) if start > 0 => Header::Good { len: usize::MAX, bits: 56 },
        Err(other) => other,
    }
}

/// One line, the name asked for.
fn whois_client(head: &[u8]) -> Header {
    match line(head) {
        Ok((text, len)) => good(len == head.len() && !text.is_empty() && text.len() <= 255, len, 4),
        Err(Header::Short) if head.len() > 255 => Header::Bad,
        Err(other) => other,
    }
}

/// Text that says that it is whois.
fn whois_server(head: &[u8]) -> Header {
    const MOST: usize = 2048;
    let text = head.get(..head.len().min(MOST)).unwrap_or_default();
    if !text.iter().all(|byte| *byte >= 0x20 || byte.is_ascii_whitespace()) {
        return Header::Bad;
    }
    const SIGNS: [&str; 6] = ["Domain Name:", "whois", "% This is the RIPE", "inetnum:", "NetRange:", "No match for"];
    match SIGNS.iter().any(|sign| holds(text, sign)) {
        true => Header::Good { len: usize::MAX, bits: 40 },
        false if text.len() == MOST => Header::Bad,
        false => Header::Short,
    }
}

/// Two port numbers and a comma.
fn ports(text: &[u8]) -> bool {
    let mut numbers = text.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let port = |text: &[u8]| (1..=5).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    numbers.next().is_some_and(port) && numbers.next().is_some_and(port) && numbers.next().is_none()
}

fn ident_client(head: &[u8]) -> Header {
    match line(head) {
        Ok((text, len)) => good(ports(text), len, 20),
        Err(Header::Short)
            if head.len() < 16
                && head.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b' ' | b',' | b'\r')) =>
        {
            Header::Short
        }
        Err(_) => Header::Bad,
    }
}

fn ident_server(head: &[u8]) -> Header {
    match line(head) {
        Ok((text, len)) => {
            let mut parts = text.split(|byte| *byte == b':').map(<[u8]>::trim_ascii);
            let ok = parts.next().is_some_and(ports) && matches!(parts.next(), Some(b"USERID" | b"ERROR"));
            good(ok, len, 60)
        }
        Err(Header::Short) if head.len() < 512 && head.first().is_none_or(u8::is_ascii_digit) => Header::Short,
        Err(_) => Header::Bad,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::trial::check;
    use super::*;

    #[test]
    pub(crate) fn probe() {
        let query = b"\0\x1d\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x07example\x03org\0\0\x01\0\x01";
        let mut answer = query.to_vec();
        answer[4] = 0x81;
        let mut zone = query.to_vec();
        zone[7] = 3;
        check(
            &DNS,
            &[
                ("query and answer", query, &answer, "found"),
                ("query only", query, b"", "likely"),
                ("query from the server", query, query, "no"),
                ("three questions", &zone, b"", "no"),
            ],
        );
        let keep = [[0xff; 16].as_slice(), b"\0\x13\x04"].concat();
        check(
            &BGP,
            &[
                ("keep-alives", &keep, &keep, "found"),
                ("one side", &keep, b"", "found"),
                ("marker cut", &keep[..9], b"", "more"),
                ("type 9", &[[0xff; 16].as_slice(), b"\0\x13\x09"].concat(), b"", "no"),
            ],
        );
        check(
            &SYSLOG,
            &[
                ("new form", b"<34>1 2003-10-11T22:14:15.003Z a b - - - x\n<34>1 x\n", b"", "likely"),
                ("old form", b"<34>Oct 11 22:14:15 a su: x\n", b"", "likely"),
                ("markup", b"<html>\n", b"", "no"),
                ("priority too high", b"<999>1 x\n", b"", "no"),
            ],
        );
        check(
            &OPENFLOW,
            &[
                ("hello", b"\x04\0\0\x08\0\0\0\x01", b"\x01\0\0\x08\0\0\0\x02", "found"),
                ("odd length", b"\x04\0\0\x09\0\0\0\x01", b"", "no"),
            ],
        );
        let long = b"hello yourself\r\n".repeat(128);
        check(
            &WHOIS,
            &[
                ("answer", b"example.org\r\n", b"Domain Name: EXAMPLE.ORG\r\n", "found"),
                ("a long answer", b"example.org\r\n", &[b"inetnum:\r\n", &long[..]].concat(), "found"),
                ("text that may go on", b"hello\r\n", &long[..2047], "more"),
                ("more text than is looked at", b"hello\r\n", &long, "no"),
                ("any text", b"hello\r\n", b"hello yourself\r\n", "more"),
                ("an answer that is no text", b"example.org\r\n", b"\x16\x03\x01", "no"),
            ],
        );
        check(
            &IDENT,
            &[
                ("user", b"6193, 23\r\n", b"6193, 23 : USERID : UNIX : a\r\n", "found"),
                ("one number", b"6193\r\n", b"", "no"),
            ],
        );
    }

    #[test]
    pub(crate) fn tickets_and_accounts() {
        let ask = b"\0\0\0\x12\x6a\x10\x30\x0e\xa1\x03\x02\x01\x05\xa2\x03\x02\x01\x0a\xa4\x02\x30\0";
        let refusal = b"\0\0\0\x12\x7e\x10\x30\x0e\xa0\x03\x02\x01\x05\xa1\x03\x02\x01\x1e\xa6\x02\x30\0";
        let mut longer = ask.to_vec();
        longer[3] = 0x13;
        let mut set = ask.to_vec();
        set[6] = 0x31;
        check(
            &KERBEROS,
            &[
                ("request and refusal", ask, refusal, "found"),
                ("a tag that does not fill the record", &longer, b"", "no"),
                ("a set", &set, b"", "no"),
                ("another tag", b"\0\0\0\x12\x60\x10\x30\x0e", b"", "no"),
            ],
        );
        let message = |version: u8, len: u8, flags: u8| {
            let head = [version, 0, 0, len, flags, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1];
            [&head[..], b"\0\0\x01\x08\x40\0\0\x0babc\0"].concat()
        };
        check(
            &DIAMETER,
            &[
                ("capabilities", &message(1, 32, 0x80), &message(1, 32, 0), "found"),
                ("version 2", &message(2, 32, 0x80), b"", "no"),
                ("a length that is no multiple of four", &message(1, 31, 0x80), b"", "no"),
                ("reserved flags", &message(1, 32, 0x81), b"", "no"),
            ],
        );
        let link = |command: u32, status: u8| {
            [&b"\0\0\0\x10"[..], &command.to_be_bytes(), &[0, 0, 0, status], b"\0\0\0\x01"].concat()
        };
        check(
            &SMPP,
            &[
                ("enquiry", &link(0x15, 0), &link(0x8000_0015, 0), "found"),
                ("a status in a request", &link(0x15, 1), b"", "no"),
                ("a command that is none", &link(0x99, 0), b"", "no"),
            ],
        );
    }

    #[test]
    pub(crate) fn labels_and_groups() {
        let message = |version: u8, kind: u16| {
            [&[0, version, 0, 22, 10, 0, 0, 1, 0, 0][..], &kind.to_be_bytes(), &[0, 12], &[0; 12]].concat()
        };
        check(
            &LDP,
            &[
                ("initialisation", &message(1, 0x200), &message(1, 0x200), "found"),
                ("version 2", &message(2, 0x200), b"", "no"),
                ("a message that is none", &message(1, 0x999), b"", "no"),
            ],
        );
        check(
            &MSDP,
            &[
                ("keep-alives", b"\x04\0\x03", b"\x04\0\x03", "found"),
                ("one of them", b"\x04\0\x03", b"", "more"),
                ("a byte too long", b"\x04\0\x04", b"", "no"),
                ("sources that do not fit", b"\x01\0\x08\x01", b"", "no"),
            ],
        );
    }
}
