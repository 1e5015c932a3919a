//! Files, chat and terminals in text: FTP, IRC, XMPP, Telnet.
//!
//! Sources: RFC 959, RFC 2812, RFC 6120, RFC 854.
//! Evidence: commands of the one side with replies of the other; Telnet by the structure of its option negotiation.
//! Not handled: Telnet without options (plain text both ways stays unknown).

use super::framed::{Framed, Header, good};
use super::lines;
use super::text::{command, ending, holds, line, reply, starts, with_bits};

/// FTP control connection.
pub(super) static FTP: Framed =
    Framed::text(&"ftp", ftp_client, ftp_server).with_session(|| lines::session(&lines::FTP));
/// IRC.
pub(super) static IRC: Framed =
    Framed::text(&"irc", irc_client, irc_server).with_session(|| lines::session(&lines::IRC));
/// XMPP, from clients and between servers.
pub(super) static XMPP: Framed = Framed::alike(&"xmpp", xmpp).with_session(|| lines::session(&lines::XMPP));
/// Telnet.
pub(super) static TELNET: Framed = Framed::alike(&"telnet", telnet);

fn ftp_client(head: &[u8]) -> Header {
    const WORDS: &[&str] = &[
        "USER", "PASS", "FEAT", "SYST", "TYPE", "PASV", "EPSV", "PORT", "EPRT", "RETR", "STOR", "CWD", "PWD", "XPWD",
        "CDUP", "MKD", "RMD", "DELE", "RNFR", "RNTO", "SIZE", "MDTM", "MLSD", "MLST", "NLST", "LIST", "OPTS", "CLNT",
        "PBSZ", "PROT", "REST", "APPE", "ABOR", "SITE", "STRU", "ALLO", "HOST", "LPRT", "ADAT", "CCC",
    ];
    match command(head, WORDS, &["QUIT", "NOOP", "HELP", "AUTH", "STAT", "MODE", "ACCT"]) {
        Header::Good { len, bits: 1.. } => Header::Good { len, bits: 28 },
        other => ending(other, head, &["AUTH"]),
    }
}

fn ftp_server(head: &[u8]) -> Header {
    const CODES: &[&str] = &[
        "110", "120", "125", "150", "200", "202", "211", "212", "213", "214", "215", "220", "221", "225", "226", "227",
        "228", "229", "230", "231", "232", "234", "250", "257", "331", "332", "334", "350", "421", "425", "426", "431",
        "450", "451", "452", "500", "501", "502", "503", "504", "522", "530", "532", "533", "534", "535", "550", "551",
        "552", "553",
    ];
    // Between "211-" and "211 " the lines of a reply may be anything.
    if let [a, b, c, b'-', rest @ ..] = head {
        if let Header::Bad = reply(head, CODES) {
            return Header::Bad;
        }
        let last = [b'\n', *a, *b, *c, b' '];
        return match rest.windows(5).position(|window| window == last) {
            _ if line(head) == Err(Header::Bad) => Header::Bad,
            Some(at) => Header::Good { len: at + 5, bits: named(head) },
            None => match line(head) {
                Ok(_) => Header::Good { len: usize::MAX, bits: 20 + named(head) },
                Err(other) => other,
            },
        };
    }
    match reply(head, CODES) {
        Header::Good { len, bits } => Header::Good { len, bits: bits + named(head) },
        other => other,
    }
}

/// A greeting that names the protocol tells it without a client.
fn named(head: &[u8]) -> u32 {
    let is = line(head).is_ok_and(|(text, _)| starts(text, "220") && holds(text, "FTP") && !holds(text, "SMTP"));
    if is { 32 } else { 0 }
}

fn irc_client(head: &[u8]) -> Header {
    const WORDS: &[&str] = &[
        "NICK",
        "CAP",
        "JOIN",
        "PRIVMSG",
        "PONG",
        "WHOIS",
        "ISON",
        "USERHOST",
        "STARTTLS",
        "PROTOCTL",
        "AUTHENTICATE",
    ];
    match command(
        head,
        WORDS,
        &["USER", "PASS", "QUIT", "PING", "MODE", "WHO", "NOTICE", "LIST", "PART", "TOPIC", "SERVER", "NAMES", "AWAY"],
    ) {
        Header::Good { len, bits: 1.. } => Header::Good { len, bits: 28 },
        other => other,
    }
}

/// `:server 001 nick :text`, `PING :x`, `NOTICE AUTH :x`.
fn irc_server(head: &[u8]) -> Header {
    const WORDS: &[&str] = &["NOTICE", "PING", "ERROR"];
    const VERBS: &[&str] =
        &["NOTICE", "MODE", "JOIN", "PRIVMSG", "PART", "QUIT", "NICK", "TOPIC", "CAP", "PONG", "KICK", "INVITE"];
    if head.first() != Some(&b':') {
        return with_bits(command(head, WORDS, &[]), 0);
    }
    let (text, len) = match line(head) {
        Ok(found) => found,
        Err(other) => return other,
    };
    let verb = text.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    let numeric = verb.len() == 3 && verb.iter().all(u8::is_ascii_digit);
    good(numeric || VERBS.iter().any(|known| verb == known.as_bytes()), len, 24)
}

/// The opening tag of a stream, perhaps after an XML declaration.
fn xmpp(head: &[u8]) -> Header {
    const STREAM: &[&str] = &["<stream:stream"];
    let body = head.trim_ascii_start();
    if b"<?xml ".starts_with(body.get(..6.min(body.len())).unwrap_or_default()) {
        let Some(end) = body.iter().take(256).position(|byte| *byte == b'>') else {
            return if body.len() < 256 { Header::Short } else { Header::Bad };
        };
        return stream_tag(body.get(end + 1..).unwrap_or_default().trim_ascii_start());
    }
    return stream_tag(body);

    fn stream_tag(body: &[u8]) -> Header {
        match STREAM.iter().any(|tag| body.starts_with(tag.as_bytes())) {
            true if body.len() > 14 => good(body.get(14).is_some_and(u8::is_ascii_whitespace), usize::MAX, 112),
            _ if "<stream:stream".as_bytes().starts_with(body) => Header::Short,
            _ => opening_of_stanza(body),
        }
    }
}

/// Stanzas of a stream that began earlier (RFC 6120 section 8).
fn opening_of_stanza(body: &[u8]) -> Header {
    const STANZAS: &[&str] = &[
        "<flash:stream",
        "<iq type=",
        "<iq id=",
        "<iq xml:lang=",
        "<iq from=",
        "<iq to=",
        "<message ",
        "<presence",
        "</stream:stream>",
    ];
    match STANZAS.iter().find(|start| body.starts_with(start.as_bytes())) {
        Some(start) => Header::Good { len: usize::MAX, bits: 8 * start.len() as u32 },
        None if STANZAS.iter().any(|start| start.as_bytes().starts_with(body)) => Header::Short,
        None => Header::Bad,
    }
}

/// IAC and a command: WILL, WONT, DO, DONT with a known option, or a subnegotiation (RFC 854, RFC 855); then text.
fn telnet(head: &[u8]) -> Header {
    match *head {
        [] | [0xff] | [0xff, 0xfa..=0xfe] => Header::Short,
        [0xff, 0xfb..=0xfe, option, ..] => {
            good(option <= 49 || matches!(option, 69 | 70 | 85..=93 | 200 | 201 | 255), 3, 18)
        }
        [0xff, 0xfa, option, ..] => {
            let end = head.windows(2).position(|window| window == [0xff, 0xf0]);
            match end {
                _ if option > 49 && !matches!(option, 69 | 70 | 85..=93 | 200 | 201) => Header::Bad,
                Some(end) => good((3..=512).contains(&end), end + 2, 30),
                None if head.len() < 512 => Header::Short,
                None => Header::Bad,
            }
        }
        [0xff, 0xf1..=0xf9, ..] => Header::Good { len: 2, bits: 4 },
        // Text after the first options proves nothing and refutes nothing; it ends the walk.
        [0x07..=0x0d | 0x1b | 0x20..=0x7e | 0, ..] => Header::Short,
        _ => Header::Bad,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::trial::check_rows;
    use super::*;

    #[test]
    pub(crate) fn probe() {
        check_rows(&[
            ("ftp", &FTP, b"USER a\r\n", b"220 b\r\n", "found"),
            ("ftp greeting", &FTP, b"", b"220 b FTP server\r\n", "likely"),
            ("ftp long greeting", &FTP, b"USER a\r\n", b"220-hello\r\n any text\r\n220 b\r\n331 x\r\n", "found"),
            ("mail is not ftp", &FTP, b"EHLO a\r\n", b"220 b\r\n", "no"),
            ("irc", &IRC, b"NICK a\r\nUSER a 0 * :a\r\n", b":s 001 a :hi\r\n", "found"),
            ("irc words elsewhere", &IRC, b"USER a\r\n", b"331 b\r\n", "no"),
            ("xmpp", &XMPP, b"<?xml version='1.0'?><stream:stream to='a'>", b"<stream:stream from='a'>", "found"),
            ("xml", &XMPP, b"<?xml version='1.0'?><soap>", b"", "no"),
            ("telnet", &TELNET, b"\xff\xfd\x03\xff\xfb\x18", b"\xff\xfd\x18login: ", "found"),
            ("telnet text only", &TELNET, b"hello\r\n", b"login: ", "more"),
            ("no such option", &TELNET, b"\xff\xfd\x41", b"", "no"),
        ]);
    }
}
