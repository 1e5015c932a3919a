//! What goes in front of another protocol: SOCKS 4, 4a and 5, and the PROXY protocol. The inside decides the class.
//!
//! Sources: RFC 1928, RFC 1929, OpenSSH's socks4.protocol and socks4a.protocol; HAProxy's proxy-protocol.txt
//! (versions 1 and 2).
//! Evidence: SOCKS both sides of the negotiation; PROXY its signature.
//! Not handled: GSSAPI sealing of SOCKS (RFC 1961), UDP associations, BIND; what is inside stays unknown then.

use super::super::{Dissector, Found, Heads, Outcome, Session};
use super::framed::{opens, u16_at};
use super::upgrade::{Negotiation, Opens, Read, Stage, Talk, Upgrading};
use crate::model::{Protocol, Transport};

/// Dissectors of this file, which are not looked for inside each other: nesting stays bounded.
pub(super) const NAMES: &[&str] = &["socks", "proxy-protocol"];

/// SOCKS 4, 4a, 5.
pub(super) struct Socks;

impl Dissector for Socks {
    fn protocol(&self) -> Protocol {
        Protocol(&"socks")
    }

    fn transport(&self) -> Transport {
        Transport::TCP
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let found = Outcome::Found(Found::plaintext(self.protocol()).from_client());
        match heads.client.first() {
            None if heads.server.is_empty() => Outcome::NeedMore,
            None => {
                if matches!(heads.server, [5] | [5, 0..=2, ..] | [0] | [0, 0x5a..=0x5d, ..]) {
                    Outcome::NeedMore
                } else {
                    Outcome::No
                }
            }
            Some(4) => match (ask_4(heads.client), heads.server) {
                (Message::Wrong, _) => Outcome::No,
                (Message::Short, _) | (_, [] | [0]) => Outcome::NeedMore,
                (_, [0, 0x5a..=0x5d, ..]) if heads.server.len() >= 8 => found,
                (_, [0, 0x5a..=0x5d, ..]) => Outcome::NeedMore,
                _ => Outcome::No,
            },
            Some(5) => probe_5(heads, found),
            Some(_) => Outcome::No,
        }
    }

    fn session(&self, _found: Found) -> Option<Box<dyn Session>> {
        Some(Upgrading::open(self.protocol(), Talking::default()))
    }
}

/// Greeting, choice and request must all be there: a greeting alone is five bytes that anything may send.
fn probe_5(heads: Heads<'_>, found: Outcome) -> Outcome {
    let Message::Whole(greeting) = greeting(heads.client) else {
        return if greeting(heads.client) == Message::Wrong { Outcome::No } else { Outcome::NeedMore };
    };
    let offered = heads.client.get(2..greeting).unwrap_or_default();
    match heads.server {
        [] | [5] => return Outcome::NeedMore,
        [5, method, ..] if offered.contains(method) => {}
        [5, 0xff] => return found,
        _ => return Outcome::No,
    }
    let mut rest = heads.client.get(greeting..).unwrap_or_default();
    if rest.first() == Some(&1) {
        match password(rest) {
            Message::Whole(len) => rest = rest.get(len..).unwrap_or_default(),
            Message::Short => return Outcome::NeedMore,
            Message::Wrong => return Outcome::No,
        }
    }
    match address(rest, 1..=3) {
        Message::Whole(_) => found,
        Message::Short => Outcome::NeedMore,
        Message::Wrong => Outcome::No,
    }
}

/// How a message fits.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Message {
    Wrong,
    Short,
    Whole(usize),
}

impl Message {
    fn of(head: &[u8], len: usize) -> Self {
        if head.len() < len { Self::Short } else { Self::Whole(len) }
    }
}

/// Version 5, the number of methods, the methods: known ones or private ones, each once.
fn greeting(head: &[u8]) -> Message {
    let Some(count) = head.get(1).map(|count| usize::from(*count)) else { return Message::Short };
    let methods = head.get(2..).unwrap_or_default();
    let methods = methods.get(..count.min(methods.len())).unwrap_or_default();
    let known = |method: &u8| matches!(method, 0..=9 | 0x80..=0xfe);
    if head.first() != Some(&5) || !(1..=16).contains(&count) || !methods.iter().all(known) {
        return Message::Wrong;
    }
    Message::of(head, 2 + count)
}

/// User name and password (RFC 1929), whose lengths lead on.
fn password(head: &[u8]) -> Message {
    let Some(user) = head.get(1).map(|len| usize::from(*len)) else { return Message::Short };
    match head.get(2 + user) {
        Some(password) => Message::of(head, 3 + user + usize::from(*password)),
        None => Message::Short,
    }
}

/// A request or a reply of version 5: version, code, 0, address, port.
fn address(head: &[u8], codes: std::ops::RangeInclusive<u8>) -> Message {
    match *head {
        [] | [5] => Message::Short,
        [5, code, ref rest @ ..] if codes.contains(&code) => match *rest {
            [] | [0] | [0, 3] => Message::Short,
            [0, 1, ..] => Message::of(head, 10),
            [0, 3, len, ..] => Message::of(head, 7 + usize::from(len)),
            [0, 4, ..] => Message::of(head, 22),
            _ => Message::Wrong,
        },
        _ => Message::Wrong,
    }
}

/// A request of version 4: code, port, address, user name, and a host name when the address is 0.0.0.x.
fn ask_4(head: &[u8]) -> Message {
    let text = |from: usize| -> Message {
        let rest = head.get(from..).unwrap_or_default();
        match rest.iter().position(|byte| *byte == 0) {
            Some(end) if end <= 255 && rest.iter().take(end).all(|byte| *byte >= 0x20) => {
                Message::Whole(from + end + 1)
            }
            None if rest.len() <= 255 && rest.iter().all(|byte| *byte >= 0x20) => Message::Short,
            _ => Message::Wrong,
        }
    };
    match *head {
        [4] => Message::Short,
        [4, 1 | 2, ..] if head.len() < 8 => Message::Short,
        [4, 1 | 2, _, _, 0, 0, 0, 1..=255, ..] => match text(8) {
            Message::Whole(end) => match text(end) {
                Message::Whole(len) if len == end + 1 => Message::Wrong,
                host => host,
            },
            other => other,
        },
        [4, 1 | 2, ..] => text(8),
        _ => Message::Wrong,
    }
}

/// Reads a SOCKS negotiation.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Talking {
    greeted: bool,
    chosen: bool,
}

#[typetag::serde(name = "stream/tunnel/Talking")]
impl Negotiation for Talking {
    fn read(&mut self, talk: &mut Talk, from_client: bool, unread: &[u8]) -> Read {
        let message = if from_client { self.client(talk, unread) } else { self.server(talk, unread) };
        match message {
            Message::Wrong => Read::Over,
            Message::Short => Read::Wait,
            Message::Whole(len) => Read::Take(len),
        }
    }

    fn opens(&self) -> Opens {
        Opens::Tunnel
    }
}

impl Talking {
    fn client(&mut self, talk: &mut Talk, unread: &[u8]) -> Message {
        let (message, asks) = match unread.first() {
            Some(4) => (ask_4(unread), true),
            Some(5) if !self.greeted => (greeting(unread), false),
            Some(1) if self.greeted => {
                let message = password(unread);
                if let Message::Whole(len) = message {
                    // Behind the user name, the length of the password, which ends the message.
                    let user = unread.get(1).map_or(0, |len| usize::from(*len));
                    talk.password |= len > 3 + user;
                }
                (message, false)
            }
            _ => (address(unread, 1..=1), true),
        };
        if let Message::Whole(_) = message {
            self.greeted = true;
            if asks {
                talk.stage = Stage::Asked;
            }
        }
        message
    }

    fn server(&mut self, talk: &mut Talk, unread: &[u8]) -> Message {
        let (message, answers) = match unread.first() {
            Some(0) => (Message::of(unread, 8), true),
            Some(5) if !self.chosen => (Message::of(unread, 2), false),
            Some(1) => (Message::of(unread, 2), false),
            _ => (address(unread, 0..=8), true),
        };
        if let Message::Whole(_) = message {
            self.chosen = true;
            if answers {
                match unread.get(..2) {
                    Some([0, 0x5a] | [5, 0]) => talk.stage = Stage::Agreed,
                    _ => return Message::Wrong,
                }
            }
        }
        message
    }
}

/// The PROXY protocol.
pub(super) struct Proxy;

impl Dissector for Proxy {
    fn protocol(&self) -> Protocol {
        Protocol(&"proxy-protocol")
    }

    fn transport(&self) -> Transport {
        Transport::TCP
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        match preface(heads.client) {
            Message::Wrong => Outcome::No,
            Message::Short => Outcome::NeedMore,
            Message::Whole(_) => Outcome::Found(Found::plaintext(self.protocol()).from_client()),
        }
    }

    fn session(&self, _found: Found) -> Option<Box<dyn Session>> {
        Some(Upgrading::open(self.protocol(), Preface))
    }
}

/// The header of either version.
fn preface(head: &[u8]) -> Message {
    const TEXT: &[u8] = b"PROXY ";
    const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
    match (opens(head, TEXT), opens(head, BINARY)) {
        (Some(true), _) => {
            let family = head.get(TEXT.len()..).unwrap_or_default();
            let known: [&[u8]; 3] = [b"TCP4 ", b"TCP6 ", b"UNKNOWN"];
            match known.iter().map(|name| opens(family, name)).max() {
                Some(Some(true)) => {}
                _ if known.iter().any(|name| name.starts_with(family)) => return Message::Short,
                _ => return Message::Wrong,
            }
            // Section 2.1: at most 107 bytes with the line end.
            match head.iter().take(107).position(|byte| *byte == b'\n') {
                Some(end) => Message::Whole(end + 1),
                None if head.len() < 107 => Message::Short,
                None => Message::Wrong,
            }
        }
        (_, Some(true)) => match (head.get(12), u16_at(head, 14)) {
            (Some(0x20 | 0x21), Some(len)) => Message::of(head, 16 + usize::from(len)),
            (None | Some(0x20 | 0x21), None) => Message::Short,
            _ => Message::Wrong,
        },
        (None, _) | (_, None) => Message::Short,
        _ => Message::Wrong,
    }
}

/// Passes over the header.
#[derive(serde::Serialize, serde::Deserialize)]
struct Preface;

#[typetag::serde(name = "stream/tunnel/Preface")]
impl Negotiation for Preface {
    fn read(&mut self, talk: &mut Talk, from_client: bool, unread: &[u8]) -> Read {
        match preface(unread) {
            _ if !from_client => Read::Wait,
            Message::Wrong => Read::Over,
            Message::Short => Read::Wait,
            Message::Whole(len) => {
                talk.stage = Stage::Agreed;
                Read::Take(len)
            }
        }
    }

    fn opens(&self) -> Opens {
        Opens::Preface
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::trial::check;
    use super::super::upgrade::trial::{HELLO, run};
    use super::*;
    use crate::detect::Moment;
    use crate::detect::tests::ask;
    use crate::model::{Class, Facts};

    const ASK_5: &[u8] = b"\x05\x01\x00\x03\x01a\x01\xbb";
    const YES_5: &[u8] = b"\x05\x00\x00\x01\0\0\0\0\0\0";

    #[test]
    pub(crate) fn socks() {
        let v5 = [b"\x05\x01\x00", ASK_5].concat();
        let with_password = [b"\x05\x02\x00\x02\x01\x01u\x01p", ASK_5].concat();
        type Case<'a> = (&'a str, &'a [u8], &'a [u8], bool, bool);
        let cases: &[Case<'_>] = &[
            ("version 5", &v5, b"\x05\x00", true, false),
            ("version 5 with a password", &with_password, b"\x05\x02\x01\x00", true, false),
            ("greeting only", b"\x05\x01\x00", b"\x05\x00", false, false),
            ("a method that was not offered", &v5, b"\x05\x02", false, true),
            ("no such method", b"\x05\x01\x44", b"", false, true),
            ("version 4", b"\x04\x01\x01\xbb\x0a\0\0\x01me\0", b"\0\x5a\0\0\0\0\0\0", true, false),
            ("version 4a without a host", b"\x04\x01\x01\xbb\0\0\0\x01me\0\0", b"", false, true),
            ("another answer", b"\x04\x01\x01\xbb\x0a\0\0\x01me\0", b"HTTP/1.1", false, true),
        ];
        for (name, client, server, found, no) in cases {
            let outcome = ask(&Socks, Heads { client, server, from_start: true, ..Heads::default() });
            assert_eq!((matches!(outcome, Outcome::Found(_)), outcome == Outcome::No), (*found, *no), "{name}");
        }
    }

    #[test]
    fn inside() {
        use crate::model::UpgradeOutcome::Used;
        let open = || Socks.session(Found::plaintext(Socks.protocol())).unwrap();
        let talk: &[(bool, &[u8])] = &[(true, b"\x05\x01\x00"), (false, b"\x05\x00"), (true, ASK_5), (false, YES_5)];
        assert_eq!(run(open(), &[talk, &[(true, HELLO)]].concat()), (Some(Used), Some(HELLO.len())));
        assert_eq!(run(open(), &[talk, &[(true, b"GET / HTTP/1.1\r\n\r\n")]].concat()), (None, None));
        for (name, payload, want) in [
            ("random", &[0x9e_u8, 0x3a, 0xc1, 0x77].repeat(64)[..], Class::Unknown),
            ("nothing", b"", Class::Plaintext),
        ] {
            let mut session = open();
            for (side, piece) in talk.iter().chain(&[(true, payload)]) {
                let _ = session.feed(*side, piece, Moment { time_ns: 0, wire_len: 0 });
            }
            let mut found = Found::plaintext(Socks.protocol());
            session.finish(&mut found, &mut Facts::default());
            assert_eq!(found.class, want, "{name}");
        }
    }

    /// RFC 1929: a password is told, a user without one is not.
    #[test]
    fn passwords() {
        let cases: &[(&str, &[u8], bool)] = &[
            ("user and password", b"\x05\x01\x02\x01\x05clerk\x06office", true),
            ("user alone", b"\x05\x01\x02\x01\x05clerk\x00", false),
            ("cut", b"\x05\x01\x02\x01\x05clerk\x06offi", false),
            ("no login", b"\x05\x01\x00\x05\x01\x00\x03\x01a\x01\xbb", false),
            ("version 4 with a user", b"\x04\x01\x01\xbb\x0a\0\0\x01clerk\0", false),
        ];
        for (name, client, want) in cases {
            let mut session = Socks.session(Found::plaintext(Socks.protocol())).unwrap();
            let _ = session.feed(true, client, Moment { time_ns: 0, wire_len: 0 });
            let mut facts = Facts::default();
            session.finish(&mut Found::plaintext(Socks.protocol()), &mut facts);
            assert_eq!(facts.password_in_clear.is_some(), *want, "{name}");
        }
    }

    #[test]
    fn proxy() {
        let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c";
        let cases: &[(&str, &[u8], Message)] = &[
            ("version 1", b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n", Message::Whole(34)),
            ("unknown", b"PROXY UNKNOWN\r\n", Message::Whole(15)),
            ("cut", b"PROXY TC", Message::Short),
            ("other family", b"PROXY UDP4 ", Message::Wrong),
            ("version 2", v2, Message::Whole(28)),
            ("version 2 cut", &v2[..20], Message::Short),
            ("version 3", b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0", Message::Wrong),
        ];
        for (name, head, want) in cases {
            assert_eq!(preface(head), *want, "{name}");
        }
        let session = Proxy.session(Found::plaintext(Proxy.protocol())).unwrap();
        let glued = [v2, HELLO].concat();
        assert_eq!(run(session, &[(true, &glued)]).1, Some(HELLO.len()));
    }

    #[test]
    pub(crate) fn prefaces() {
        let version_2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\x04\xd2\x01\xbb";
        check(
            &Proxy,
            &[
                ("version 1", b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 443\r\n", b"", "found"),
                ("version 1, of unknown origin", b"PROXY UNKNOWN\r\n", b"", "found"),
                ("version 2", version_2, b"", "found"),
                ("version 2, cut", &version_2[..20], b"", "more"),
                ("another family", b"PROXY UDP4 192.0.2.1 192.0.2.2 1234 443\r\n", b"", "no"),
                ("never ending", &[b"PROXY TCP4 ".as_slice(), &[b'1'; 120]].concat(), b"", "no"),
                ("version 3", b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c", b"", "no"),
                ("line ends", b"\r\n\r\nGET / HTTP/1.1\r\n", b"", "no"),
            ],
        );
    }
}
