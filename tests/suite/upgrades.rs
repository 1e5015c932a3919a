//! Every protocol that can switch to TLS within a connection: the split to the byte, and what the report counts.
//!
//! Each dialogue goes through the whole program as a TCP connection between ports that say nothing. Sources: the RFC or
//! manual named at each row. What follows the switch is a TLS session made here.

use tlscov::model::{Class, FlowSummary};
use tlscov::report::Report;

use crate::common::{self, Piece};

const C: bool = true;
const S: bool = false;

/// What is to come of a dialogue.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Want {
    /// Split behind the talk, encrypted after it.
    Used,
    /// Offered and not asked for: in clear to the end.
    Offered,
    /// Asked for and refused: in clear to the end.
    Refused,
    /// Agreed and not done: in clear to the end.
    Failed,
    /// No upgrade at all: in clear to the end.
    Clear,
}

/// A dialogue: name, protocol in clear, outcome, what is said before TLS.
type Row = (&'static str, &'static str, Want, Vec<Piece>);

fn text(pieces: &[(bool, &str)]) -> Vec<Piece> {
    pieces.iter().map(|(side, text)| (*side, text.as_bytes().to_vec())).collect()
}

fn bytes(pieces: &[(bool, &[u8])]) -> Vec<Piece> {
    pieces.iter().map(|(side, bytes)| (*side, bytes.to_vec())).collect()
}

/// RFC 3207, 2595, 9051, 5804, 4642, 4217, 6120 section 5, IRCv3 tls.
fn line_protocols() -> Vec<Row> {
    use Want::*;
    let smtp = [(S, "220 a ESMTP\r\n"), (C, "EHLO b\r\n"), (S, "250-a\r\n250 STARTTLS\r\n")];
    let pop3 = [(S, "+OK POP3 ready\r\n"), (C, "CAPA\r\n"), (S, "+OK\r\nUSER\r\nSTLS\r\n.\r\n")];
    let imap = [(S, "* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n")];
    let sieve = [(S, "\"IMPLEMENTATION\" \"x\"\r\n\"SASL\" \"PLAIN\"\r\n\"STARTTLS\"\r\nOK\r\n")];
    let nntp =
        [(S, "200 a NNTP ready\r\n"), (C, "CAPABILITIES\r\n"), (S, "101 list\r\nVERSION 2\r\nSTARTTLS\r\n.\r\n")];
    let ftp = [(S, "220 a FTP server\r\n"), (C, "FEAT\r\n"), (S, "211-Features:\r\n AUTH TLS\r\n211 End\r\n")];
    let irc = [(C, "CAP LS 302\r\n"), (S, ":a CAP * LS :tls multi-prefix\r\n")];
    let xmpp = [
        (C, "<?xml version='1.0'?><stream:stream to='a' xmlns='jabber:client' version='1.0'>"),
        (S, "<?xml version='1.0'?><stream:stream from='a' id='1' version='1.0'>"),
        (S, "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>"),
    ];
    let row = |name, protocol, want, base: &[(bool, &'static str)], more: &[(bool, &'static str)]| {
        (name, protocol, want, text(&[base, more].concat()))
    };
    vec![
        row("smtp", "smtp", Used, &smtp, &[(C, "STARTTLS\r\n"), (S, "220 go\r\n")]),
        row("smtp ignored", "smtp", Offered, &smtp, &[(C, "MAIL FROM:<a>\r\n"), (S, "250 ok\r\n")]),
        row("smtp refused", "smtp", Refused, &smtp, &[(C, "STARTTLS\r\n"), (S, "454 no\r\n"), (C, "QUIT\r\n")]),
        row("smtp failed", "smtp", Failed, &smtp, &[(C, "STARTTLS\r\n"), (S, "220 go\r\n"), (C, "EHLO c\r\n")]),
        row("pop3", "pop3", Used, &pop3, &[(C, "STLS\r\n"), (S, "+OK go\r\n")]),
        row("pop3 ignored", "pop3", Offered, &pop3, &[(C, "USER a\r\n"), (S, "+OK\r\n")]),
        row("pop3 refused", "pop3", Refused, &pop3, &[(C, "STLS\r\n"), (S, "-ERR no\r\n"), (C, "QUIT\r\n")]),
        row("imap", "imap", Used, &imap, &[(C, "a1 STARTTLS\r\n"), (S, "a1 OK go\r\n")]),
        row("imap ignored", "imap", Offered, &imap, &[(C, "a1 LOGIN a b\r\n"), (S, "a1 OK in\r\n")]),
        row("imap refused", "imap", Refused, &imap, &[(C, "a1 STARTTLS\r\n"), (S, "a1 NO no\r\n")]),
        row("sieve", "managesieve", Used, &sieve, &[(C, "STARTTLS\r\n"), (S, "OK \"go\"\r\n")]),
        row("sieve ignored", "managesieve", Offered, &sieve, &[(C, "LISTSCRIPTS\r\n"), (S, "OK\r\n")]),
        row("sieve refused", "managesieve", Refused, &sieve, &[(C, "STARTTLS\r\n"), (S, "NO \"no\"\r\n")]),
        row("nntp", "nntp", Used, &nntp, &[(C, "STARTTLS\r\n"), (S, "382 go\r\n")]),
        row("nntp ignored", "nntp", Offered, &nntp, &[(C, "MODE READER\r\n"), (S, "200 a\r\n")]),
        row("nntp refused", "nntp", Refused, &nntp, &[(C, "STARTTLS\r\n"), (S, "580 no\r\n")]),
        row("ftp", "ftp", Used, &ftp, &[(C, "AUTH TLS\r\n"), (S, "234 go\r\n")]),
        row("ftp ignored", "ftp", Offered, &ftp, &[(C, "USER a\r\n"), (S, "331 pass\r\n")]),
        row("ftp refused", "ftp", Refused, &ftp, &[(C, "AUTH TLS\r\n"), (S, "502 no\r\n"), (C, "USER a\r\n")]),
        row("irc", "irc", Used, &irc, &[(C, "STARTTLS\r\n"), (S, ":a 670 * :go\r\n")]),
        row("irc ignored", "irc", Offered, &irc, &[(C, "NICK b\r\nUSER b 0 * :b\r\n"), (S, ":a 001 b :hi\r\n")]),
        row("irc refused", "irc", Refused, &irc, &[(C, "STARTTLS\r\n"), (S, ":a 691 * :no\r\n"), (C, "NICK b\r\n")]),
        row(
            "xmpp",
            "xmpp",
            Used,
            &xmpp,
            &[
                (C, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
                (S, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
            ],
        ),
        row(
            "xmpp ignored",
            "xmpp",
            Offered,
            &xmpp,
            &[(C, "<auth mechanism='PLAIN'>AGEAYg==</auth>"), (S, "<success/>")],
        ),
        row("xmpp refused", "xmpp", Refused, &xmpp, &[(C, "<starttls xmlns='x'/>"), (S, "<failure xmlns='x'/>")]),
    ]
}

/// RFC 4511 section 4.14; MySQL "Connection Phase"; PostgreSQL manual 53.2.10; AMQP 1.0 section 5.2.1.
fn databases() -> Vec<Row> {
    use Want::*;
    const OID: &[u8] = b"1.3.6.1.4.1.1466.20037";
    let start_tls = [&b"\x30\x1d\x02\x01\x01\x77\x18\x80\x16"[..], OID].concat();
    let extended = |code: u8| [&b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01"[..], &[code, 4, 0, 4, 0]].concat();
    let root =
        [&b"\x30\x37\x02\x01\x01\x64\x32\x04\x00\x30\x2e\x30\x2c\x04\x12supportedExtension\x31\x16"[..], OID].concat();
    let search = b"\x30\x25\x02\x01\x01\x63\x20\x04\x00\x0a\x01\x00\x0a\x01\x00\x02\x01\x00\x02\x01\x00\x01\x01\x00\x87\x0bobjectClass\x30\x00";
    let bind = b"\x30\x0c\x02\x01\x02\x60\x07\x02\x01\x03\x04\x00\x80\x00";
    let bound = b"\x30\x0c\x02\x01\x02\x61\x07\x0a\x01\x00\x04\x00\x04\x00";
    let greeting = |version: &str, ssl: bool| {
        let flags = if ssl { 0x0a } else { 0x02 };
        let packet = [&[10], version.as_bytes(), b"\0\x01\0\0\0abcdefgh\0\xff", &[flags], &[0; 30]].concat();
        [&[packet.len() as u8, 0, 0, 0], &packet[..]].concat()
    };
    let login = |ssl: bool| {
        let mut packet = vec![0x85, if ssl { 0x8a } else { 0x82 }, 0, 0, 0, 0, 0, 1, 33];
        packet.resize(32, 0);
        if !ssl {
            packet.extend(b"root\0\0");
        }
        [&[packet.len() as u8, 0, 0, 1], &packet[..]].concat()
    };
    let ssl_request: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x2f";
    let startup: &[u8] = b"\0\0\0\x13\0\x03\0\0user\0root\0\0";
    let amqp = b"AMQP\x02\x01\x00\x00";
    let maria = "5.5.5-10.11.9-MariaDB";
    vec![
        ("ldap", "ldap", Used, bytes(&[(C, &start_tls), (S, &extended(0))])),
        ("ldap ignored", "ldap", Offered, bytes(&[(C, search), (S, &root), (C, bind), (S, bound)])),
        ("ldap refused", "ldap", Refused, bytes(&[(C, &start_tls), (S, &extended(2)), (C, bind), (S, bound)])),
        ("mysql", "mysql", Used, bytes(&[(S, &greeting("8.0.36", true)), (C, &login(true))])),
        ("mysql ignored", "mysql", Offered, bytes(&[(S, &greeting("8.0.36", true)), (C, &login(false))])),
        ("mysql without", "mysql", Clear, bytes(&[(S, &greeting("8.0.36", false)), (C, &login(false))])),
        ("mariadb", "mysql", Used, bytes(&[(S, &greeting(maria, true)), (C, &login(true))])),
        ("mariadb ignored", "mysql", Offered, bytes(&[(S, &greeting(maria, true)), (C, &login(false))])),
        ("postgresql", "postgresql", Used, bytes(&[(C, ssl_request), (S, b"S")])),
        (
            "postgresql refused",
            "postgresql",
            Refused,
            bytes(&[(C, ssl_request), (S, b"N"), (C, startup), (S, b"R\0\0\0\x08\0\0\0\0")]),
        ),
        ("postgresql without", "postgresql", Clear, bytes(&[(C, startup), (S, b"R\0\0\0\x08\0\0\0\0")])),
        ("amqp", "amqp", Used, bytes(&[(C, amqp), (S, amqp)])),
    ]
}

/// MS-TDS section 2.2.6.5, MS-RDPBCGR section 2.2.1.
fn microsoft() -> Vec<Row> {
    use Want::*;
    let prelogin = |kind: u8, encryption: u8| {
        [&[kind, 1, 0, 26, 0, 0, 1, 0][..], &[0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff, 16, 0, 0, 0, 0, 0, encryption]]
            .concat()
    };
    let tds = |asked: u8, answer: u8| bytes(&[(C, &prelogin(0x12, asked)), (S, &prelogin(4, answer))]);
    let rdp = |code: u8, kind: u8, protocols: u8| {
        vec![3, 0, 0, 19, 14, code, 0, 0, 0, 0, 0, kind, 0, 8, 0, protocols, 0, 0, 0]
    };
    let connect = |answer: Vec<u8>| bytes(&[(C, &rdp(0xe0, 1, 3)), (S, &answer)]);
    vec![
        ("tds refused", "tds", Refused, tds(1, 2)),
        ("tds without", "tds", Clear, tds(2, 2)),
        ("rdp", "rdp", Used, connect(rdp(0xd0, 2, 1))),
        ("rdp credssp", "rdp", Used, connect(rdp(0xd0, 2, 2))),
        ("rdp refused", "rdp", Refused, connect(rdp(0xd0, 2, 0))),
        ("rdp failure", "rdp", Refused, connect(rdp(0xd0, 3, 2))),
    ]
}

/// RFC 9110 section 9.3.6 (CONNECT), RFC 2817 (Upgrade to TLS), RFC 7540 section 3.2 (h2c), RFC 6455 (WebSocket), RFC 1928
/// and OpenSSH's socks4.protocol (SOCKS).
fn tunnels() -> Vec<Row> {
    use Want::*;
    let switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n";
    vec![
        ("connect", "http", Used, text(&[(C, "CONNECT a:443 HTTP/1.1\r\n\r\n"), (S, "HTTP/1.1 200 OK\r\n\r\n")])),
        (
            "connect denied",
            "http",
            Clear,
            text(&[
                (C, "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"),
                (S, "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"),
            ]),
        ),
        (
            "upgrade to tls",
            "http",
            Used,
            text(&[
                (C, "OPTIONS * HTTP/1.1\r\nHost: a\r\nUpgrade: TLS/1.2\r\nConnection: Upgrade\r\n\r\n"),
                (S, switching),
            ]),
        ),
        (
            "h2c",
            "http",
            Clear,
            text(&[
                (C, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n"),
                (S, switching),
                (C, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
            ]),
        ),
        (
            "websocket",
            "http",
            Clear,
            [
                text(&[
                    (C, "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
                    (S, switching),
                ]),
                // A masked frame: it looks random, and anyone can take the mask off.
                bytes(&[(C, &[&[0x82, 0xfe, 1, 0, 9, 8, 7, 6][..], &common::noise(3, 256)].concat())]),
            ]
            .concat(),
        ),
        (
            "socks 5",
            "socks",
            Used,
            bytes(&[
                (C, b"\x05\x01\x00"),
                (S, b"\x05\x00"),
                (C, b"\x05\x01\x00\x03\x01a\x01\xbb"),
                (S, b"\x05\x00\x00\x01\0\0\0\0\0\0"),
            ]),
        ),
        (
            "socks 5 refused",
            "socks",
            Clear,
            bytes(&[
                (C, b"\x05\x01\x00"),
                (S, b"\x05\x00"),
                (C, b"\x05\x01\x00\x03\x01a\x01\xbb"),
                (S, b"\x05\x05\x00\x01\0\0\0\0\0\0"),
            ]),
        ),
        ("socks 4", "socks", Used, bytes(&[(C, b"\x04\x01\x01\xbb\x0a\0\0\x01me\0"), (S, b"\0\x5a\0\0\0\0\0\0")])),
        (
            "socks 4a",
            "socks",
            Used,
            bytes(&[(C, b"\x04\x01\x01\xbb\0\0\0\x01me\0a.example\0"), (S, b"\0\x5a\0\0\0\0\0\0")]),
        ),
        (
            "socks 4 rejected",
            "socks",
            Clear,
            bytes(&[(C, b"\x04\x01\x01\xbb\x0a\0\0\x01me\0"), (S, b"\0\x5b\0\0\0\0\0\0")]),
        ),
    ]
}

/// The payload bytes that were said.
fn said(pieces: &[Piece]) -> u64 {
    pieces.iter().map(|(_, bytes)| bytes.len() as u64).sum()
}

fn check(row: &Row) {
    let (name, protocol, want, talk) = row;
    let session = common::tls_session(300);
    let pieces = if *want == Want::Used { [talk.clone(), session.clone()].concat() } else { talk.clone() };
    let (tally, flows) = common::read_records(&common::conversation(50_000, &pieces));
    let [flow]: &[FlowSummary] = &flows else { panic!("{name}: {} flows", flows.len()) };
    let report = Report::new(&tally);
    if *want == Want::Used {
        assert_eq!((flow.class, flow.protocol.name()), (Class::Encrypted, "tls"), "{name}");
        assert_eq!(flow.upgraded_from.map(|from| from.name()), Some(*protocol), "{name}");
        assert_eq!(flow.readable.payload_bytes, said(talk), "{name}: split at the switch");
        assert_eq!(tally.class(Class::Plaintext).payload_bytes, said(talk), "{name}");
        assert_eq!(tally.class(Class::Encrypted).payload_bytes, said(&session), "{name}");
        assert_eq!((report.coverage.upgraded_flows, tally.class(Class::Encrypted).flows), (1, 1), "{name}");
    } else {
        assert_eq!((flow.class, flow.protocol.name()), (Class::Plaintext, *protocol), "{name}");
        assert_eq!(tally.class(Class::Plaintext).payload_bytes, said(talk), "{name}");
    }
    let counted: Vec<_> = report
        .upgrades
        .iter()
        .map(|row| {
            (row.protocol.as_str(), [&row.used, &row.offered, &row.refused, &row.failed].map(|units| units.flows))
        })
        .collect();
    let flows_of = |wanted: Want| u64::from(*want == wanted);
    let want_counts = match want {
        Want::Clear => vec![],
        _ => vec![(*protocol, [Want::Used, Want::Offered, Want::Refused, Want::Failed].map(flows_of))],
    };
    assert_eq!(counted, want_counts, "{name}");
}

#[test]
fn line_protocols_split_and_count() {
    line_protocols().iter().for_each(check);
}

#[test]
fn databases_split_and_count() {
    databases().iter().for_each(check);
}

#[test]
fn microsoft_protocols_split_and_count() {
    microsoft().iter().for_each(check);
}

#[test]
fn tunnels_split_and_count() {
    tunnels().iter().for_each(check);
}

/// TLS inside TDS packets: the split is at the first packet that carries a record (MS-TDS section 3.2.5.1).
#[test]
fn tds_wraps_the_handshake() {
    let packet =
        |kind: u8, body: &[u8]| [&[kind, 1], &(8 + body.len() as u16).to_be_bytes()[..], &[0, 0, 1, 0], body].concat();
    let options = |encryption: u8| vec![0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff, 16, 0, 0, 0, 0, 0, encryption];
    let talk = vec![(C, packet(0x12, &options(1))), (S, packet(4, &options(1)))];
    let mut session = common::tls_session(300);
    for (_, bytes) in session.iter_mut().take(4) {
        *bytes = packet(0x12, bytes);
    }
    let (tally, flows) = common::read_records(&common::conversation(50_000, &[talk.clone(), session.clone()].concat()));
    assert_eq!((flows[0].class, flows[0].upgraded_from.map(|from| from.name())), (Class::Encrypted, Some("tds")));
    assert_eq!(tally.class(Class::Plaintext).payload_bytes, said(&talk));
    assert_eq!(Report::new(&tally).upgrades[0].used.flows, 1);
}

/// The FTP data channel: in clear when the control channel announced it, encrypted when TLS runs in it (RFC 4217).
#[test]
fn ftp_data_channels() {
    let control = |more: &[(bool, &str)]| {
        let base = [(S, "220 a FTP server\r\n"), (C, "USER a\r\n"), (S, "331 b\r\n"), (C, "PASV\r\n")];
        text(
            &[&base[..], &[(S, "227 Passive (192,0,2,2,195,80)\r\n"), (C, "RETR x\r\n"), (S, "150 go\r\n")], more]
                .concat(),
        )
    };
    // The file is noise: nothing but the announcement says that it can be read.
    let file = vec![(S, common::noise(5, 4000))];
    let cases = [
        ("in clear", file, Class::Plaintext, "ftp-data"),
        ("over tls", common::tls_session(900), Class::Encrypted, "tls"),
    ];
    for (name, data, class, protocol) in cases {
        let mut records = common::conversation_to(50_000, 21_000, &control(&[(S, "226 done\r\n")]));
        let last = records.len() - 3;
        let close = records.split_off(last);
        records.extend(common::conversation_to(50_001, 50_000, &data));
        records.extend(close);
        for (place, record) in (0..).zip(&mut records) {
            record.time_ns = 1_600_000_000_000_000_000 + place * 1_000_000;
        }
        let (_, flows) = common::read_records(&records);
        let found: Vec<_> = flows.iter().map(|flow| (flow.protocol.name(), flow.class)).collect();
        assert!(found.contains(&(protocol, class)), "{name}: {found:?}");
        assert!(found.contains(&("ftp", Class::Plaintext)), "{name}: {found:?}");
    }
}
