//! Mail and news: SMTP, LMTP, POP3, IMAP, ManageSieve, NNTP.
//!
//! Sources: RFC 5321, RFC 2033, RFC 1939, RFC 9051, RFC 5804, RFC 3977.
//! Evidence: a command of the protocol and a reply of the other side; a greeting alone when it names the protocol.
//! Not handled: streams that begin inside a message body.

use super::framed::{Framed, Header};
use super::lines;
use super::text::{command, ending, holds, line, reply, starts, with_bits};

/// SMTP.
pub(super) static SMTP: Framed =
    Framed::text(&"smtp", smtp_client, smtp_server).with_session(|| lines::session(&lines::SMTP));
/// LMTP: SMTP with another first word.
pub(super) static LMTP: Framed =
    Framed::text(&"lmtp", lmtp_client, smtp_server).with_session(|| lines::session(&lines::LMTP));
/// POP3.
pub(super) static POP3: Framed =
    Framed::text(&"pop3", pop3_client, pop3_server).with_session(|| lines::session(&lines::POP3));
/// IMAP.
pub(super) static IMAP: Framed =
    Framed::text(&"imap", imap_client, imap_server).with_session(|| lines::session(&lines::IMAP));
/// ManageSieve.
pub(super) static MANAGESIEVE: Framed =
    Framed::text(&"managesieve", sieve_client, sieve_server).with_session(|| lines::session(&lines::MANAGESIEVE));
/// NNTP.
pub(super) static NNTP: Framed =
    Framed::text(&"nntp", nntp_client, nntp_server).with_session(|| lines::session(&lines::NNTP));

fn smtp_client(head: &[u8]) -> Header {
    const COMMON: &[&str] = &["QUIT", "NOOP", "HELP", "AUTH"];
    let said = command(
        head,
        &["EHLO", "HELO", "MAIL", "RCPT", "STARTTLS", "RSET", "VRFY", "EXPN", "BDAT", "ETRN", "XCLIENT", "DATA"],
        COMMON,
    );
    ending(said, head, &["DATA", "BDAT", "STARTTLS", "AUTH"])
}

fn lmtp_client(head: &[u8]) -> Header {
    with_bits(command(head, &["LHLO"], &[]), 20)
}

fn smtp_server(head: &[u8]) -> Header {
    const CODES: &[&str] = &[
        "211", "214", "220", "221", "235", "250", "251", "252", "334", "354", "421", "432", "450", "451", "452", "454",
        "455", "500", "501", "502", "503", "504", "521", "523", "530", "534", "535", "538", "550", "551", "552", "553",
        "554", "555", "556",
    ];
    let named = || line(head).is_ok_and(|(text, _)| starts(text, "220") && holds(text, "SMTP"));
    match reply(head, CODES) {
        // A greeting that names itself is enough; what a broken or hostile server says next cannot unsay it.
        Header::Good { bits, .. } if named() => Header::Good { len: usize::MAX, bits: bits + 32 },
        other => other,
    }
}

fn pop3_client(head: &[u8]) -> Header {
    const COMMON: &[&str] = &["QUIT", "NOOP", "AUTH", "LIST", "STAT", "RSET", "PASS", "USER"];
    let said = command(head, &["CAPA", "STLS", "APOP", "RETR", "DELE", "UIDL", "TOP", "XTND", "UTF8"], COMMON);
    ending(said, head, &["STLS", "AUTH"])
}

/// `+OK` and `-ERR` tell POP3 on their own, so the common commands need prove nothing.
fn pop3_server(head: &[u8]) -> Header {
    const ANSWERS: &[(&[u8], u32)] = &[(b"+OK", 40), (b"-ERR", 40), (b"+ ", 12)];
    for (answer, bits) in ANSWERS {
        if head.starts_with(answer) {
            return match (head.get(answer.len()), line(head)) {
                (None | Some(b' ' | b'\r' | b'\n'), Ok((text, _))) => {
                    // A greeting that names itself is enough without a client. Lines of data may follow.
                    Header::Good { len: usize::MAX, bits: bits + if holds(text, "POP") { 24 } else { 0 } }
                }
                (_, Ok((_, len))) if answer.len() == 2 => Header::Good { len, bits: *bits },
                (_, Err(other)) => other,
                _ => Header::Bad,
            };
        }
        if answer.starts_with(head) {
            return Header::Short;
        }
    }
    Header::Bad
}

/// A tag, then a command (RFC 9051 section 2.2.1).
fn imap_client(head: &[u8]) -> Header {
    const WORDS: &[&str] = &[
        "CAPABILITY",
        "NOOP",
        "LOGOUT",
        "STARTTLS",
        "AUTHENTICATE",
        "LOGIN",
        "ENABLE",
        "SELECT",
        "EXAMINE",
        "CREATE",
        "DELETE",
        "RENAME",
        "SUBSCRIBE",
        "LIST",
        "NAMESPACE",
        "STATUS",
        "APPEND",
        "IDLE",
        "CLOSE",
        "UNSELECT",
        "EXPUNGE",
        "SEARCH",
        "FETCH",
        "STORE",
        "COPY",
        "MOVE",
        "UID",
        "ID",
        "LSUB",
        "CHECK",
        "COMPRESS",
        "GETQUOTAROOT",
        "UNSUBSCRIBE",
        "GETQUOTA",
        "NOTIFY",
        "XLIST",
    ];
    let (blank, tag_ok) = tag(head);
    match blank {
        _ if !tag_ok => Header::Bad,
        None => Header::Short,
        Some(blank) => match command(head.get(blank + 1..).unwrap_or_default(), WORDS, &[]) {
            Header::Good { len, bits } => {
                let rest = head.get(blank + 1..).unwrap_or_default();
                let tagged = Header::Good { len: len + blank + 1, bits: bits.max(20) };
                ending(tagged, rest, &["STARTTLS", "AUTHENTICATE", "APPEND", "COMPRESS"])
            }
            other => other,
        },
    }
}

/// The first blank, and whether what stands before it may be a tag.
fn tag(head: &[u8]) -> (Option<usize>, bool) {
    let blank = head.iter().take(33).position(|byte| *byte == b' ');
    let tag = head.get(..blank.unwrap_or(head.len().min(33))).unwrap_or_default();
    let ok = (blank.is_none() || !tag.is_empty()) && tag.len() <= 32;
    (
        blank,
        ok && tag.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'$' | b'#')),
    )
}

/// `* OK ...`, `* CAPABILITY ...`, `+ ...`, `tag OK ...` (RFC 9051 section 7).
fn imap_server(head: &[u8]) -> Header {
    const WORDS: &[&str] = &[
        "OK",
        "NO",
        "BAD",
        "BYE",
        "PREAUTH",
        "CAPABILITY",
        "LIST",
        "LSUB",
        "FLAGS",
        "STATUS",
        "SEARCH",
        "NAMESPACE",
        "ID",
        "ENABLED",
    ];
    if !matches!(head, [b'*' | b'+', ..]) && !tag(head).1 {
        return Header::Bad;
    }
    let (text, len) = match line(head) {
        Ok(found) => found,
        Err(other) => return other,
    };
    let mut words = text.split(|byte| *byte == b' ');
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let known = WORDS.iter().any(|word| second.eq_ignore_ascii_case(word.as_bytes()));
    let named = holds(text, "IMAP4") || holds(text, "CAPABILITY");
    match first {
        b"*" if known => Header::Good { len, bits: if named { 64 } else { 30 } },
        b"*" if !second.is_empty() && second.iter().all(u8::is_ascii_digit) => Header::Good { len, bits: 16 },
        b"+" => Header::Good { len, bits: 8 },
        _ if tag(head).1 && ["OK", "NO", "BAD"].iter().any(|word| second == word.as_bytes()) => {
            Header::Good { len, bits: 20 }
        }
        _ => Header::Bad,
    }
}

fn sieve_client(head: &[u8]) -> Header {
    let said = command(
        head,
        &[
            "AUTHENTICATE",
            "STARTTLS",
            "LOGOUT",
            "CAPABILITY",
            "HAVESPACE",
            "PUTSCRIPT",
            "LISTSCRIPTS",
            "SETACTIVE",
            "GETSCRIPT",
            "CHECKSCRIPT",
        ],
        &["NOOP"],
    );
    ending(said, head, &["STARTTLS", "AUTHENTICATE", "PUTSCRIPT"])
}

fn sieve_server(head: &[u8]) -> Header {
    const CAPABILITIES: &[&str] = &[
        "\"IMPLEMENTATION\"",
        "\"SASL\"",
        "\"SIEVE\"",
        "\"STARTTLS\"",
        "\"VERSION\"",
        "\"NOTIFY\"",
        "\"MAXREDIRECTS\"",
        "\"LANGUAGE\"",
        "\"OWNER\"",
    ];
    command(head, CAPABILITIES, &["OK", "NO", "BYE"])
}

fn nntp_client(head: &[u8]) -> Header {
    let said = command(
        head,
        &[
            "CAPABILITIES",
            "MODE",
            "GROUP",
            "ARTICLE",
            "AUTHINFO",
            "NEWNEWS",
            "NEWGROUPS",
            "XOVER",
            "OVER",
            "LISTGROUP",
            "IHAVE",
            "TAKETHIS",
            "STARTTLS",
            "XHDR",
        ],
        &["QUIT", "LIST", "HELP", "DATE", "POST"],
    );
    ending(said, head, &["STARTTLS", "POST", "IHAVE", "TAKETHIS"])
}

fn nntp_server(head: &[u8]) -> Header {
    const CODES: &[&str] = &[
        "100", "101", "111", "200", "201", "203", "205", "206", "211", "215", "220", "221", "222", "223", "224", "225",
        "230", "231", "235", "239", "240", "281", "290", "335", "340", "381", "382", "400", "401", "403", "411", "412",
        "420", "421", "422", "423", "430", "435", "436", "437", "440", "441", "480", "481", "482", "483", "500", "501",
        "502", "503",
    ];
    let named =
        || line(head).is_ok_and(|(text, _)| starts(text, "20") && (holds(text, "NNTP") || holds(text, "InterNetNews")));
    // Lines of data may follow any reply.
    match reply(head, CODES) {
        Header::Good { bits, .. } => Header::Good { len: usize::MAX, bits: bits + if named() { 32 } else { 0 } },
        other => other,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::trial::check_rows;
    use super::*;

    #[test]
    pub(crate) fn probe() {
        check_rows(&[
            ("smtp", &SMTP, b"EHLO a\r\n", b"220 b\r\n", "found"),
            (
                "smtp with a line too long",
                &SMTP,
                b"EHLO a\r\n",
                &[b"220 b ESMTP\r\n".as_slice(), &[b'A'; 5000]].concat(),
                "found",
            ),
            (
                "a line too long without a name",
                &SMTP,
                b"EHLO a\r\n",
                &[b"220 b\r\n".as_slice(), &[b'A'; 5000]].concat(),
                "no",
            ),
            ("smtp greeting", &SMTP, b"", b"220 b ESMTP Postfix\r\n", "likely"),
            ("any greeting", &SMTP, b"", b"220 b\r\n", "more"),
            ("ftp is not smtp", &SMTP, b"USER a\r\n", b"220 b\r\n", "no"),
            ("ftp reply", &SMTP, b"", b"331 b\r\n", "no"),
            ("lmtp", &LMTP, b"LHLO a\r\n", b"220 b\r\n", "found"),
            ("smtp is not lmtp", &LMTP, b"EHLO a\r\n", b"220 b\r\n", "no"),
            ("pop3", &POP3, b"USER a\r\n", b"+OK\r\n", "found"),
            ("pop3 greeting", &POP3, b"", b"+OK POP3 ready\r\n", "likely"),
            ("redis is not pop3", &POP3, b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n", "no"),
            ("imap", &IMAP, b"a1 CAPABILITY\r\n", b"* OK hi\r\n", "found"),
            ("imap greeting", &IMAP, b"", b"* OK [CAPABILITY IMAP4rev1]\r\n", "likely"),
            ("two words are not imap", &IMAP, b"hello world\r\n", b"", "no"),
            ("sieve", &MANAGESIEVE, b"", b"\"IMPLEMENTATION\" \"x\"\r\n", "likely"),
            ("imap is not sieve", &MANAGESIEVE, b"", b"* OK hi\r\n", "no"),
            ("smtp is not nntp", &NNTP, b"EHLO a\r\n", b"220 b ESMTP\r\n", "no"),
            ("nntp", &NNTP, b"MODE READER\r\n", b"200 a\r\n", "found"),
            ("binary", &SMTP, b"\x16\x03\x01", b"", "no"),
        ]);
    }
}
