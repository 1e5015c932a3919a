//! Protocols whose datagrams are text: SSDP, syslog, MGCP, MEGACO, statsd, XML and JSON announcements.
//!
//! Sources: UPnP Device Architecture 2.0 section 1 (SSDP), RFC 3164 and RFC 5424 section 6 (syslog), RFC 3435 section 3.2
//! (MGCP), RFC 3525 annex B (MEGACO), BEP 14 (local discovery), WS-Discovery 1.1, the statsd and memcached documentation.
//! Evidence: a start that is fixed, and text all the way (of at most 512 bytes).

use super::shape::{Check, Reader, Shape, Stop, is_text, printable};

/// HTTP over UDP: SSDP, and others that borrow its form (`BT-SEARCH`).
pub(super) static SSDP: Shape = Shape::new(&"ssdp", ssdp).opens(&[b'B'..=b'B', b'H'..=b'H', b'M'..=b'N']);

/// Syslog, old and new.
pub(super) static SYSLOG: Shape = Shape::new(&"syslog", syslog).opens(&[b'<'..=b'<']);

/// Media gateway control.
pub(super) static MGCP: Shape = Shape::new(&"mgcp", mgcp).opens(&[b'0'..=b'8', b'A'..=b'R', b'a'..=b'r']);

/// Gateway control in its text form.
pub(super) static MEGACO: Shape = Shape::new(&"megaco", megaco).opens(&[b'!'..=b'!', b'M'..=b'M']);

/// Web services discovery: SOAP over UDP.
pub(super) static WS_DISCOVERY: Shape = Shape::new(&"ws-discovery", ws_discovery).opens(&[b'<'..=b'<']);

/// Dropbox LAN sync announcements.
pub(super) static DROPBOX: Shape =
    Shape::new(&"dropbox-lan-sync", dropbox).opens(&[b'\t'..=b'\r', b' '..=b' ', b'['..=b'[', b'{'..=b'{']);

/// Other JSON objects.
pub(super) static JSON: Shape =
    Shape::new(&"json", json).opens(&[b'\t'..=b'\r', b' '..=b' ', b'['..=b'[', b'{'..=b'{']);

/// Other XML documents.
pub(super) static XML: Shape = Shape::new(&"xml", xml).opens(&[b'<'..=b'<']);

/// Metrics lines.
pub(super) static STATSD: Shape = Shape::new(&"statsd", statsd).opens(&[b'\n'..=b'\n', b' '..=b'~']);

/// Memcached: an eight byte header, then the text protocol.
pub(super) static MEMCACHED: Shape = Shape::new(&"memcached", memcached);

/// TiVo beacons.
pub(super) static TIVO: Shape =
    Shape::new(&"tivoconnect", |reader| starts(reader, &["TiVoConnect=1\n", "tivoconnect=1\n"]))
        .opens(&[b'T'..=b'T', b't'..=b't']);

/// The datagram starts with one of `words`, as far as it was captured, and is text.
fn starts(reader: &mut Reader<'_>, words: &[&str]) -> Check {
    let bytes = reader.whole();
    let fits = |word: &&&str| {
        let known = bytes.len().min(word.len());
        reader.left() >= word.len() && bytes.get(..known) == word.as_bytes().get(..known)
    };
    let word = words.iter().find(fits).ok_or(Stop::Against)?;
    let seen = u32::try_from(word.len().min(bytes.len())).unwrap_or(0);
    reader.holds(is_text(bytes), seen * 8)
}

fn ssdp(reader: &mut Reader<'_>) -> Check {
    starts(reader, &["M-SEARCH * HTTP/1.", "NOTIFY * HTTP/1.", "HTTP/1.1 ", "HTTP/1.0 ", "BT-SEARCH * HTTP/1."])
}

fn syslog(reader: &mut Reader<'_>) -> Check {
    let bytes = reader.whole();
    let Some((b'<', after)) = bytes.split_first() else {
        return Err(Stop::Against);
    };
    let digits = after.iter().take(3).take_while(|byte| byte.is_ascii_digit()).count();
    let value = after.iter().take(digits).fold(0u32, |value, digit| value * 10 + u32::from(digit - b'0'));
    // Facilities 0 to 23, severities 0 to 7.
    reader.holds(digits > 0 && value <= 191, 8 + 4)?;
    let Some((b'>', message)) = after.get(digits..).and_then(<[u8]>::split_first) else {
        return if after.len() == digits && reader.is_cut() { Err(Stop::Cut) } else { Err(Stop::Against) };
    };
    let end = message.len().min(128);
    let head = message.get(..end).unwrap_or_default();
    // Some senders end with a zero byte or speak an eight bit character set, so text in the main is asked for.
    let readable = head.iter().filter(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n')).count();
    let share = readable * 10 >= head.len() * 8;
    reader.holds(share, 8 + u32::try_from(readable.min(40)).unwrap_or(0))
}

fn mgcp(reader: &mut Reader<'_>) -> Check {
    let bytes = reader.whole();
    let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let verb = words.next().unwrap_or_default();
    let transaction = words.next().unwrap_or_default();
    let number = (1..=9).contains(&transaction.len()) && transaction.iter().all(u8::is_ascii_digit);
    reader.holds(number && is_text(bytes), 8)?;
    const VERBS: [&[u8]; 9] = [b"AUEP", b"AUCX", b"CRCX", b"DLCX", b"EPCF", b"MDCX", b"NTFY", b"RQNT", b"RSIP"];
    if verb.len() == 3 && verb.iter().all(u8::is_ascii_digit) {
        return reader.holds(matches!(verb.first(), Some(b'0'..=b'5' | b'8')), 14);
    }
    reader.holds(VERBS.iter().any(|known| verb.eq_ignore_ascii_case(known)), 24)?;
    let version = line.windows(5).any(|window| window.eq_ignore_ascii_case(b"MGCP "));
    reader.holds(version || reader.is_cut(), 32)
}

fn megaco(reader: &mut Reader<'_>) -> Check {
    starts(reader, &["MEGACO/", "!/1 [", "!/2 [", "!/3 [", "!/1 <", "!/2 <", "!/3 <"])
}

fn xml(reader: &mut Reader<'_>) -> Check {
    let bytes = reader.whole();
    let opens =
        matches!(bytes, [b'<', b'?' | b'a'..=b'z' | b'A'..=b'Z', b'a'..=b'z' | b'A'..=b'Z' | b':' | b'0'..=b'9', ..]);
    let closes = bytes.iter().rev().find(|byte| !byte.is_ascii_whitespace() && **byte != 0) == Some(&b'>');
    reader.holds(opens && (closes || reader.is_cut()) && bytes.len() >= 8, 24)?;
    reader.holds(bytes.contains(&b'/') && is_text(bytes.strip_suffix(&[0]).unwrap_or(bytes)), 12)
}

fn ws_discovery(reader: &mut Reader<'_>) -> Check {
    xml(reader)?;
    const NAMES: [&[u8]; 2] = [b"/ws/2005/04/discovery", b"/ws-dd/ns/discovery/"];
    let bytes = reader.whole();
    let named = NAMES.iter().any(|name| bytes.windows(name.len()).any(|window| window == *name));
    reader.holds(named, 32)
}

fn json(reader: &mut Reader<'_>) -> Check {
    let bytes = reader.whole();
    let trimmed = bytes.trim_ascii();
    let opens = matches!(trimmed, [b'{', b'"' | b'}' | b' ' | b'\r' | b'\n' | b'\t', ..] | [b'[', b'{' | b'"', ..]);
    let closes = matches!(trimmed.last(), Some(b'}' | b']'));
    reader.holds(opens && (closes || reader.is_cut()), 18)?;
    reader.holds(trimmed.len() >= 8 && trimmed.contains(&b':') && is_text(bytes), 16)
}

fn dropbox(reader: &mut Reader<'_>) -> Check {
    json(reader)?;
    let bytes = reader.whole();
    reader.holds(bytes.windows(10).any(|window| window == b"\"host_int\""), 32)
}

fn statsd(reader: &mut Reader<'_>) -> Check {
    let bytes = reader.whole();
    reader.holds(bytes.len() >= 5 && is_text(bytes), 5)?;
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let mut parts = line.split(|byte| *byte == b'|');
        let metric = parts.next().unwrap_or_default();
        let kind = parts.next().unwrap_or_default();
        let colon = metric.iter().position(|byte| *byte == b':').ok_or(Stop::Against)?;
        let (name, value) = metric.split_at_checked(colon).ok_or(Stop::Against)?;
        let value = value.get(1..).unwrap_or_default();
        let number =
            !value.is_empty() && value.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e'));
        let named = !name.is_empty() && printable(name);
        reader.holds(named && number && matches!(kind, b"c" | b"g" | b"ms" | b"h" | b"s" | b"d" | b"m"), 24)?;
    }
    Ok(())
}

fn memcached(reader: &mut Reader<'_>) -> Check {
    let _request = reader.u16()?;
    let sequence = reader.u16()?;
    let total = reader.u16()?;
    let reserved = reader.u16()?;
    reader.holds(sequence < total && total < 0x4000 && reserved == 0, 10)?;
    const WORDS: [&[u8]; 18] = [
        b"get ",
        b"gets ",
        b"set ",
        b"add ",
        b"replace ",
        b"append ",
        b"delete ",
        b"incr ",
        b"decr ",
        b"stats",
        b"version",
        b"VALUE ",
        b"STORED",
        b"STAT ",
        b"END\r\n",
        b"VERSION ",
        b"ERROR\r\n",
        b"NOT_FOUND",
    ];
    let text = reader.rest();
    let known = WORDS.iter().any(|word| text.starts_with(word));
    reader.holds(known || sequence > 0, 0)?;
    reader.favours(known, 24);
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::shape::testing::{letter, probe};
    use super::*;

    #[test]
    pub(crate) fn starts_and_near_misses() {
        let cases: &[(&Shape, &str, &[u8], char)] = &[
            (&SSDP, "search", b"M-SEARCH * HTTP/1.1\r\nST: ssdp:all\r\n\r\n", 'f'),
            (&SSDP, "answer", b"HTTP/1.1 200 OK\r\nST: x\r\n\r\n", 'f'),
            (&SSDP, "other method", b"GET / HTTP/1.1\r\n\r\n", 'n'),
            (&SSDP, "binary after the start", b"HTTP/1.1 \x00\x01\x02", 'n'),
            (&SYSLOG, "old", b"<34>Oct 11 22:14:15 host su: failed", 'f'),
            (&SYSLOG, "priority too large", b"<192>Oct 11 22:14:15 host su: failed", 'n'),
            (&SYSLOG, "no priority", b"<>Oct 11 22:14:15", 'n'),
            (&SYSLOG, "binary", b"<34>\x01\x02\x03\x04\x05\x06\x07\x08", 'n'),
            (&MGCP, "notify", b"NTFY 2002 aaln/1@rgw.example MGCP 1.0\r\nX: 1\r\n", 'f'),
            (&MGCP, "answer alone", b"200 1201 OK\r\n", 'l'),
            (&MGCP, "no version", b"NTFY 2002 aaln/1@rgw.example\r\n", 'n'),
            (&MEGACO, "text", b"MEGACO/1 [10.0.0.1] Transaction=1{}", 'f'),
            (&MEGACO, "another word", b"MEGACA/1 [10.0.0.1] Transaction=1{}", 'n'),
            (&XML, "document", b"<?xml version=\"1.0\"?><a></a>", 'f'),
            (&XML, "less than", b"<3 this is text", 'n'),
            (&WS_DISCOVERY, "another namespace", b"<a xmlns=\"urn:x\"></a>", 'n'),
            (
                &WS_DISCOVERY,
                "probe",
                b"<e:Envelope xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\"><d:Probe/></e:Envelope>",
                'f',
            ),
            (&DROPBOX, "announcement", br#"{"host_int": 1, "version": [2, 0], "port": 17500}"#, 'f'),
            (&DROPBOX, "another object", br#"{"host": 1, "version": [2, 0]}"#, 'n'),
            (&TIVO, "beacon", b"TiVoConnect=1\nSwVersion=1\nMethod=Broadcast\n", 'f'),
            (&TIVO, "another version", b"TiVoConnect=2\nSwVersion=1\n", 'n'),
            (&JSON, "object", br#"{"name": 1}"#, 'f'),
            (&JSON, "not closed", br#"{"name": 1"#, 'n'),
            (&JSON, "binary inside", b"{\"a\": \x00\x01}", 'n'),
            (&STATSD, "counter", b"app.requests:1|c", 'l'),
            (&STATSD, "two lines", b"app.requests:1|c\napp.time:5|ms", 'f'),
            (&STATSD, "no kind", b"app.requests:1", 'n'),
            (&MEMCACHED, "get", b"\x00\x01\x00\x00\x00\x01\x00\x00get a\r\n", 'f'),
            (&MEMCACHED, "reserved bits", b"\x00\x01\x00\x00\x00\x01\x00\x01get a\r\n", 'n'),
        ];
        for (shape, name, bytes, want) in cases {
            assert_eq!(letter(probe(*shape, &[bytes])), *want, "{name}");
        }
    }
}
