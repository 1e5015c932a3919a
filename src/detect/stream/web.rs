//! Start lines: HTTP/1 with WebDAV and its kin, RTSP, SIP, ICY, Gnutella; and the ways from there to TLS.
//!
//! Sources: RFC 9112 sections 3 and 4, RFC 2326 section 6, RFC 3261 section 7, RFC 9110 section 9.3.6 (CONNECT),
//! RFC 2817 (Upgrade: TLS). An Upgrade to websocket or h2c stays in clear (RFC 6455, RFC 9113 section 3.1).
//! Evidence: the version word in its place; of one side alone `Likely`.
//! A password (Basic) is looked for in the requests of the first 32 kB of a connection, not beyond a body in chunks.
//! Not handled: HTTP/0.9, streams that begin inside a body and show no start line.

use super::super::Session;
use super::description::Listener;
use super::framed::{Framed, Header, good};
use super::text::{basic, line, opening, starts, whole};
use super::upgrade::{Negotiation, Opens, Read, Stage, Talk, Upgrading};
use crate::model::Protocol;

/// HTTP/1.
pub(super) static HTTP: Framed = Framed::text(&"http", http_request, http_response)
    .with_session(|| Upgrading::open(Protocol::HTTP, Connect::default()) as Box<dyn Session>);
/// RTSP; both sides may ask.
pub(super) static RTSP: Framed = Framed::alike(&"rtsp", |head| start_line(head, "RTSP/1.", true, true))
    .with_session(|| Box::new(Listener::default()) as Box<dyn Session>);
/// SIP; both sides may ask.
pub(super) static SIP: Framed =
    Framed::alike(&"sip", sip).with_session(|| Box::new(Listener::default()) as Box<dyn Session>);
/// SHOUTcast: HTTP requests, answered by `ICY 200 OK`.
pub(super) static ICY: Framed = Framed::text(&"icy", http_request, icy_response);

fn http_request(head: &[u8]) -> Header {
    start_line(head, "HTTP/1.", true, false)
}

/// A status line; or text, as servers send that know nothing of heads. It proves nothing and refutes nothing.
fn http_response(head: &[u8]) -> Header {
    const ENOUGH: usize = 16;
    match start_line(head, "HTTP/1.", false, true) {
        Header::Bad => {
            let text = !head.starts_with(b"ICY ")
                && head.iter().take(256).all(|byte| (0x20..0x7f).contains(byte) || byte.is_ascii_whitespace());
            match text {
                true if head.len() >= ENOUGH => Header::Good { len: usize::MAX, bits: 0 },
                true => Header::Short,
                false => Header::Bad,
            }
        }
        other => other,
    }
}

fn icy_response(head: &[u8]) -> Header {
    whole(opening(head, &["ICY 200 OK", "ICY 401 ", "ICY 404 ", "OK2\r\nicy-caps:"]))
}

fn sip(head: &[u8]) -> Header {
    // Keep-alives (RFC 5626 section 4.4.1) may go before.
    let blank = head.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    match head.get(blank..) {
        Some([]) if blank <= 64 => Header::Short,
        Some(rest) if blank <= 64 => start_line(rest, "SIP/2.", true, true),
        _ => Header::Bad,
    }
}

/// `METHOD target VERSION` or `VERSION code reason`. The rest of the head belongs to the message.
fn start_line(head: &[u8], version: &str, request: bool, response: bool) -> Header {
    let version_bits = 8 * version.len() as u32;
    if response && version.as_bytes().starts_with(head.get(..version.len().min(head.len())).unwrap_or_default()) {
        let Some(rest) = head.get(version.len()..) else { return Header::Short };
        let fixed = |index: usize, ok: fn(&u8) -> bool| rest.get(index).is_none_or(ok);
        let ok = fixed(0, u8::is_ascii_digit)
            && fixed(1, |byte| *byte == b' ')
            && fixed(2, |byte| matches!(byte, b'1'..=b'9'))
            && fixed(3, u8::is_ascii_digit)
            && fixed(4, u8::is_ascii_digit)
            && fixed(5, |byte| matches!(byte, b' ' | b'\r' | b'\n'));
        return if ok && rest.len() < 6 { Header::Short } else { good(ok, usize::MAX, version_bits + 24) };
    }
    if !request {
        return Header::Bad;
    }
    let method = head.iter().take(MAX_METHOD + 1).take_while(|byte| is_method(**byte)).count();
    match head.get(method) {
        None if method <= MAX_METHOD => return Header::Short,
        Some(b' ') if (2..=MAX_METHOD).contains(&method) => {}
        _ => return Header::Bad,
    }
    match line(head) {
        Ok((text, _)) => {
            let mut words = text.rsplitn(2, |byte| *byte == b' ');
            let last = words.next().unwrap_or_default();
            let digit = last.strip_prefix(version.as_bytes()).unwrap_or_default();
            let ok = matches!(digit, [b'0'..=b'9']) && words.next().is_some_and(|before| before.len() > method + 1);
            good(ok, usize::MAX, version_bits + 4 * method as u32 + 8)
        }
        Err(other) => other,
    }
}

/// Longest method: `VERSION-CONTROL`, `UPDATEREDIRECTREF` and vendors' own. Unit: bytes.
const MAX_METHOD: usize = 24;

fn is_method(byte: u8) -> bool {
    byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_')
}

/// Gnutella, whose handshake may agree on TLS as HTTP's does.
pub(super) static GNUTELLA: Framed = Framed::text(&"gnutella", gnutella_client, gnutella_server)
    .with_session(|| Upgrading::open(Protocol(&"gnutella"), Gnutella::default()) as Box<dyn Session>);

fn gnutella_client(head: &[u8]) -> Header {
    whole(opening(head, &["GNUTELLA CONNECT/", "GNUTELLA/0.6 "]))
}

fn gnutella_server(head: &[u8]) -> Header {
    whole(opening(head, &["GNUTELLA/0.6 ", "GNUTELLA OK"]))
}

/// Three heads: the client offers, the server accepts, the client confirms with `Connection: Upgrade`.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Gnutella {
    granted: bool,
}

#[typetag::serde(name = "stream/web/Gnutella")]
impl Negotiation for Gnutella {
    fn read(&mut self, talk: &mut Talk, from_client: bool, unread: &[u8]) -> Read {
        let Some(end) = unread.windows(4).position(|window| window == b"\r\n\r\n") else {
            let known = b"GNUTELLA".starts_with(unread.get(..8.min(unread.len())).unwrap_or_default());
            return if unread.len() > MAX_HEAD || !known { Read::Over } else { Read::Wait };
        };
        let head = unread.get(..end).unwrap_or_default();
        let tls = header(head, "upgrade").is_some_and(|value| starts(value, "TLS/1"));
        let switches = header(head, "connection").is_some_and(|value| value.eq_ignore_ascii_case(b"upgrade"));
        match (from_client, head.starts_with(b"GNUTELLA CONNECT")) {
            (true, true) => {}
            (true, false) if !switches => return Read::Over,
            (true, false) => talk.stage = if self.granted { Stage::Agreed } else { Stage::Asked },
            (false, _) if !tls => return Read::Over,
            (false, _) => {
                self.granted = true;
                talk.offered();
                if talk.stage == Stage::Asked {
                    talk.stage = Stage::Agreed;
                }
            }
        }
        Read::Take(end + 4)
    }
}

/// Reads requests until a CONNECT is answered by 2xx, or an Upgrade to TLS by 101; or else for passwords.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Connect {
    /// Bytes of an answer's body still to be passed over (407 before the CONNECT that succeeds).
    body: usize,
    /// The request asks for TLS on this connection (RFC 2817), not for a tunnel.
    tls: bool,
    /// The answer to the request has been seen.
    open: bool,
    /// The first request asked for no switch: only further requests are of interest, and answers are passed over.
    plain: bool,
    /// Bytes of a request's body still to be passed over.
    request_body: usize,
}

/// Longest head of a request or answer that is waited for. Unit: bytes.
const MAX_HEAD: usize = 16 * 1024;
/// Bytes of a side in which passwords are looked for.
const MAX_PLAIN: usize = 32 * 1024;

#[typetag::serde(name = "stream/web/Connect")]
impl Negotiation for Connect {
    fn read(&mut self, talk: &mut Talk, from_client: bool, unread: &[u8]) -> Read {
        if self.plain {
            return self.read_plain(talk, from_client, unread);
        }
        if !from_client && self.body > 0 {
            let count = self.body.min(unread.len());
            self.body -= count;
            return Read::Take(count);
        }
        let Some(end) = unread.windows(4).position(|window| window == b"\r\n\r\n") else {
            let other = from_client && !b"CONNECT ".starts_with(unread.get(..8.min(unread.len())).unwrap_or_default());
            let plain = other && unread.len() >= MAX_HEAD;
            return if plain || unread.len() > MAX_HEAD { Read::Over } else { Read::Wait };
        };
        let head = unread.get(..end).unwrap_or_default();
        match if from_client { self.request(talk, head) } else { self.answer(talk, head) } {
            true => Read::Take(end + 4),
            false => Read::Over,
        }
    }

    fn bound(&self) -> usize {
        if self.plain { MAX_PLAIN } else { 64 * 1024 }
    }

    fn opens(&self) -> Opens {
        if self.tls { Opens::Tls } else { Opens::Tunnel }
    }
}

impl Connect {
    /// Whether to go on after a request.
    fn request(&mut self, talk: &mut Talk, head: &[u8]) -> bool {
        talk.password |=
            ["authorization", "proxy-authorization"].iter().any(|field| header(head, field).is_some_and(basic));
        if self.plain {
            let chunked = header(head, "transfer-encoding").is_some();
            let (length, upgrade) = (content_length(head), header(head, "upgrade"));
            self.request_body = length.unwrap_or(0);
            // With the password found nothing is left to look for.
            return !chunked && upgrade.is_none() && !head.starts_with(b"CONNECT ") && !talk.password;
        }
        self.tls = header(head, "upgrade").is_some_and(|value| starts(value, "TLS/1"));
        let asks = self.tls || head.starts_with(b"CONNECT ");
        if asks {
            talk.stage = Stage::Asked;
        } else if self.body == 0 && talk.stage == Stage::Clear && talk.outcome.is_none() {
            self.plain = true;
            return self.request(talk, head);
        }
        asks
    }

    /// Passes over answers and bodies, and looks at the heads of requests.
    fn read_plain(&mut self, talk: &mut Talk, from_client: bool, unread: &[u8]) -> Read {
        if !from_client {
            return Read::Take(unread.len());
        }
        if self.request_body > 0 {
            let count = self.request_body.min(unread.len());
            self.request_body -= count;
            return Read::Take(count);
        }
        if matches!(http_request(unread), Header::Bad) {
            return Read::Over;
        }
        match unread.windows(4).position(|window| window == b"\r\n\r\n") {
            Some(end) if self.request(talk, unread.get(..end).unwrap_or_default()) => Read::Take(end + 4),
            None if unread.len() <= MAX_HEAD => Read::Wait,
            _ => Read::Over,
        }
    }

    /// Whether to go on after an answer.
    fn answer(&mut self, talk: &mut Talk, head: &[u8]) -> bool {
        let status = head.get(9..12).unwrap_or_default();
        match (status, talk.stage) {
            (b"101", Stage::Asked) if self.tls => talk.stage = Stage::Agreed,
            ([b'1', ..], _) => {}
            ([b'2', ..], Stage::Asked) if !self.tls => {
                self.open = true;
                talk.stage = Stage::Agreed;
            }
            _ => {
                let Some(length) = content_length(head).filter(|length| *length <= MAX_HEAD) else { return false };
                self.body = length;
                // The tunnel was refused, not TLS: that is no outcome of an upgrade.
                if self.tls { talk.refused() } else { talk.stage = Stage::Clear }
            }
        }
        true
    }
}

fn content_length(head: &[u8]) -> Option<usize> {
    header(head, "content-length").and_then(|value| std::str::from_utf8(value).ok()?.parse().ok())
}

/// The value of a header field.
fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    head.split(|byte| *byte == b'\n').skip(1).find_map(|line| {
        let value = line.get(name.len()..)?.strip_prefix(b":")?;
        starts(line, name).then(|| value.trim_ascii())
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::trial::{check, check_rows};
    use super::super::upgrade::trial::{HELLO, run};
    use super::*;
    use crate::detect::tests::ask;
    use crate::detect::{Dissector, Heads, Outcome};
    use crate::model::UpgradeOutcome;

    #[test]
    pub(crate) fn probe() {
        check_rows(&[
            ("http", &HTTP, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\n", "found"),
            ("request only", &HTTP, b"PROPFIND /a HTTP/1.1\r\n", b"", "likely"),
            ("answer only", &HTTP, b"", b"HTTP/1.0 304 Not\r\n", "likely"),
            ("half a request", &HTTP, b"GET /a/long/pa", b"", "more"),
            ("an answer without a head", &HTTP, b"GET / HTTP/1.0\r\n", b"<html>hello</html>", "found"),
            ("text on one side only", &HTTP, b"", b"<html>hello</html>", "more"),
            ("a binary answer", &HTTP, b"GET / HTTP/1.1\r\n", b"\x15\x03\x01\0\x02", "no"),
            ("rtsp is not http", &HTTP, b"OPTIONS * RTSP/1.0\r\n", b"", "no"),
            ("http 2 line", &HTTP, b"PRI * HTTP/2.0\r\n", b"", "no"),
            ("lower case", &HTTP, b"get / HTTP/1.1\r\n", b"", "no"),
            ("no target", &HTTP, b"GET HTTP/1.1\r\n", b"", "no"),
            ("rtsp", &RTSP, b"OPTIONS * RTSP/1.0\r\n", b"RTSP/1.0 200 OK\r\n", "found"),
            ("sip", &SIP, b"\r\n\r\nREGISTER sip:a SIP/2.0\r\n", b"SIP/2.0 401 Un\r\n", "found"),
            ("icy is not http", &HTTP, b"GET / HTTP/1.0\r\n", b"ICY 200 OK\r\nicy-name: a\r\n", "no"),
            ("http is not rtsp", &RTSP, b"OPTIONS * HTTP/1.1\r\n", b"", "no"),
            ("http is not sip", &SIP, b"REGISTER sip:a HTTP/1.1\r\n", b"", "no"),
            ("icy", &ICY, b"GET / HTTP/1.0\r\n", b"ICY 200 OK\r\n", "found"),
            ("http is not icy", &ICY, b"GET / HTTP/1.0\r\n", b"HTTP/1.0 200 OK\r\n", "no"),
        ]);
    }

    #[test]
    pub(crate) fn half_a_stream() {
        let heads = Heads { client: b"GET / HTTP/1.1\r\n", server: b"\x89PNG\r\n\x1a\n", ..Heads::default() };
        assert!(matches!(ask(&HTTP, heads), Outcome::Likely(_)), "the server is in the middle of a body");
        assert_eq!(ask(&HTTP, Heads { from_start: true, ..heads }), Outcome::No);
    }

    #[test]
    pub(crate) fn gnutella() {
        const ASK: &[u8] = b"GNUTELLA CONNECT/0.6\r\nUpgrade: TLS/1.0\r\n\r\n";
        const YES: &[u8] = b"GNUTELLA/0.6 200 OK\r\nUpgrade: TLS/1.0\r\nConnection: Upgrade\r\n\r\n";
        const DO: &[u8] = b"GNUTELLA/0.6 200 OK\r\nConnection: Upgrade\r\n\r\n";
        check(&GNUTELLA, &[("both", ASK, YES, "found"), ("http", b"GET / HTTP/1.1\r\n", b"", "no")]);
        let open = || GNUTELLA.session(crate::detect::Found::plaintext(GNUTELLA.protocol)).expect("session");
        let used = (Some(UpgradeOutcome::Used), Some(HELLO.len()));
        assert_eq!(run(open(), &[(true, ASK), (false, YES), (true, DO), (true, HELLO)]), used);
        assert_eq!(run(open(), &[(true, ASK), (true, DO), (false, YES), (true, HELLO)]), used);
        assert_eq!(run(open(), &[(true, ASK), (false, b"GNUTELLA/0.6 200 OK\r\n\r\n"), (true, DO)]), (None, None));
    }

    #[test]
    fn passwords() {
        const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
        const LOGIN: &[u8] = b"GET /a HTTP/1.1\r\nAuthorization: Basic YTpi\r\n\r\n";
        const PROXY: &[u8] = b"GET http://a/ HTTP/1.1\r\nProxy-Authorization: basic YTpi\r\n\r\n";
        const EMPTY: &[u8] = b"GET /a HTTP/1.1\r\nAuthorization: Basic YTo=\r\n\r\n";
        const BROKEN: &[u8] = b"GET /a HTTP/1.1\r\nAuthorization: Basic YTpi!\r\n\r\n";
        const DIGEST: &[u8] = b"GET /a HTTP/1.1\r\nAuthorization: Digest username=\"a\"\r\n\r\n";
        const TOKEN: &[u8] = b"GET /a HTTP/1.1\r\nAuthorization: Bearer abc\r\n\r\n";
        const DENIED: &[u8] = b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno";
        let post = |size: usize| {
            let head = format!("POST /a HTTP/1.1\r\nContent-Length: {size}\r\n\r\n");
            [head.as_bytes(), &vec![b'.'; size]].concat()
        };
        let (short, long) = (post(1000), post(40_000));
        let chunked = b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".as_slice();
        let answer = [DENIED, &[b'.'; 40_000]].concat();
        type Case<'a> = (&'a str, &'a [(bool, &'a [u8])], bool);
        let cases: &[Case<'_>] = &[
            ("first request", &[(true, LOGIN)], true),
            ("none", &[(true, GET), (false, DENIED), (true, GET)], false),
            ("for a proxy", &[(true, PROXY)], true),
            ("an empty password", &[(true, EMPTY)], false),
            ("no Base64", &[(true, BROKEN)], false),
            ("a digest", &[(true, GET), (false, DENIED), (true, DIGEST)], false),
            ("another scheme", &[(true, GET), (false, DENIED), (true, TOKEN)], false),
            ("second request", &[(true, GET), (false, DENIED), (true, LOGIN)], true),
            ("both in one piece", &[(true, &[GET, LOGIN].concat())], true),
            ("behind a body", &[(true, &short), (false, DENIED), (true, LOGIN)], true),
            ("in a body", &[(true, &[b"POST /a HTTP/1.1\r\nContent-Length: 60\r\n\r\n", LOGIN].concat())], false),
            ("beyond 32 kB asked", &[(true, &long), (true, LOGIN)], false),
            ("beyond 32 kB answered", &[(true, GET), (false, &answer), (true, LOGIN)], false),
            ("behind chunks", &[(true, chunked), (true, LOGIN)], false),
        ];
        for (name, pieces, want) in cases {
            for size in [usize::MAX, 7] {
                let mut session = HTTP.session(crate::detect::Found::plaintext(Protocol::HTTP)).expect("session");
                let moment = crate::detect::Moment { time_ns: 0, wire_len: 0 };
                'fed: for (from_client, piece) in *pieces {
                    for part in piece.chunks(size) {
                        if matches!(session.feed(*from_client, part, moment), crate::detect::Step::Done) {
                            break 'fed;
                        }
                    }
                }
                let mut facts = crate::model::Facts::default();
                session.finish(&mut crate::detect::Found::plaintext(Protocol::HTTP), &mut facts);
                assert_eq!(facts.password_in_clear.is_some(), *want, "{name}, pieces of {size}");
            }
        }
    }

    #[test]
    fn connect() {
        const ASK: &[u8] = b"CONNECT a:443 HTTP/1.1\r\n\r\n";
        const YES: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";
        let glued = [ASK, HELLO].concat();
        let denied = b"HTTP/1.1 407 Auth\r\nContent-Length: 3\r\n\r\nno!";
        type Case<'a> = (&'a str, &'a [(bool, &'a [u8])], (Option<UpgradeOutcome>, Option<usize>));
        let used = Some(UpgradeOutcome::Used);
        let cases: &[Case<'_>] = &[
            ("tls", &[(true, ASK), (false, YES), (true, HELLO)], (used, Some(HELLO.len()))),
            ("hello before the answer", &[(true, &glued), (false, YES)], (used, Some(0))),
            (
                "407 first",
                &[(true, ASK), (false, denied), (true, ASK), (false, YES), (true, HELLO)],
                (used, Some(HELLO.len())),
            ),
            (
                "mail inside",
                &[(true, ASK), (false, YES), (false, b"220 a ESMTP\r\n"), (true, b"EHLO b\r\n")],
                (None, None),
            ),
            ("denied", &[(true, ASK), (false, b"HTTP/1.1 403 No\r\n\r\n"), (true, HELLO)], (None, None)),
            ("no tunnel", &[(true, b"GET / HTTP/1.1\r\n\r\n"), (false, YES), (true, HELLO)], (None, None)),
            (
                "upgrade to tls",
                &[
                    (true, b"OPTIONS * HTTP/1.1\r\nUpgrade: TLS/1.0\r\n\r\n"),
                    (false, b"HTTP/1.1 101 X\r\n\r\n"),
                    (true, HELLO),
                ],
                (used, Some(HELLO.len())),
            ),
            (
                "websocket stays in clear",
                &[
                    (true, b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"),
                    (false, b"HTTP/1.1 101 X\r\n\r\n"),
                    (true, HELLO),
                ],
                (None, None),
            ),
        ];
        for (name, pieces, want) in cases {
            let session = HTTP.session(crate::detect::Found::plaintext(Protocol::HTTP)).expect("session");
            assert_eq!(run(session, pieces), *want, "{name}");
        }
    }
}
