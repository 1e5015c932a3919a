//! TDS (Microsoft SQL Server) in clear, and with TLS inside TDS packets after a pre-login.
//!
//! Sources: MS-TDS sections 2.2.3.1 (packet header), 2.2.6.5 (PRELOGIN and its ENCRYPTION option), 3.2.5.1 (TLS handshake
//! inside packets of type 18, raw records after it).
//! Evidence: a pre-login of the client and the server's answer (signature). With encryption of the whole session the flow
//! is split where TLS begins. With encryption of the login only it stays plaintext: all queries and answers are readable.
//! In mid-stream, requests and results with their fixed parts are enough (signature).
//! TDS 4.2 and 5.0 (Sybase and its kin) open with a login record of fixed fields: the TDS 5.0 Functional Specification, "login
//! record", with FreeTDS `login.c`.
//! Not handled: TDS 5.0 under TLS, and TDS 8.0: both are TLS from the first byte.

use super::super::{Dissector, Found, Heads, Moment, Outcome, Session, Step};
use crate::model::{Evidence, Facts, Protocol, Transport, UpgradeOutcome};
use crate::tls::session;

pub(super) struct Tds;

impl Dissector for Tds {
    fn protocol(&self) -> Protocol {
        PROTOCOL
    }

    fn transport(&self) -> Transport {
        Transport::TCP
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let found = Found::plaintext(PROTOCOL).from_client();
        match (request(heads.client), response(heads.server)) {
            (Some(true), Some(true)) => return Outcome::Found(found),
            (Some(true), None) => return Outcome::Likely(found),
            (None, None | Some(true)) => return Outcome::NeedMore,
            _ => {}
        }
        match (prelogin(heads.client, PRELOGIN), prelogin(heads.server, RESPONSE)) {
            (Prelogin::Other, _) | (_, Prelogin::Other) => Outcome::No,
            (Prelogin::Whole { .. }, Prelogin::Whole { .. }) => Outcome::Found(found),
            (Prelogin::Whole { .. }, Prelogin::Short) => Outcome::Likely(found),
            (Prelogin::Short, _) => Outcome::NeedMore,
        }
    }

    fn session(&self, _found: Found) -> Option<Box<dyn Session>> {
        Some(Box::new(TdsSession::default()))
    }
}

/// The first packet of a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prelogin {
    Short,
    Other,
    /// Its length, and the ENCRYPTION option: 0 login only, 1 on, 2 not supported, 3 required.
    Whole {
        len: usize,
        encryption: Option<u8>,
    },
}

/// Reads a packet header and the option list behind it.
fn prelogin(head: &[u8], kind: u8) -> Prelogin {
    // Type, status "end of message"; the first option is VERSION (token 0).
    let sound = head.iter().zip(0..).all(|(&byte, at)| match at {
        0 => byte == kind,
        1 => byte & 1 == 1,
        2 => byte <= 0x10,
        7 | 8 => byte == 0,
        _ => true,
    });
    if !sound {
        return Prelogin::Other;
    }
    let Some(len) = packet_len(head) else { return Prelogin::Short };
    let Some(body) = head.get(HEADER_LEN..len) else {
        return if len > HEADER_LEN { Prelogin::Short } else { Prelogin::Other };
    };
    let mut options = body;
    let mut encryption = None;
    loop {
        match options {
            [0xff, ..] => return Prelogin::Whole { len, encryption },
            [token, a, b, c, d, rest @ ..] => {
                let at = usize::from(u16::from_be_bytes([*a, *b]));
                let size = usize::from(u16::from_be_bytes([*c, *d]));
                let Some(value) = body.get(at..).and_then(|body| body.get(..size)) else { return Prelogin::Other };
                if *token == ENCRYPTION {
                    encryption = value.first().copied();
                }
                options = rest;
            }
            _ => return Prelogin::Other,
        }
    }
}

/// Whether a side starts with another request that is surely TDS: a login, or a batch or call with the headers that all
/// have since TDS 7.2, a batch in UTF-16, an NTLM token. `None` while it is too short.
fn request(head: &[u8]) -> Option<bool> {
    const ALL_HEADERS: &[u8] = &[22, 0, 0, 0, 18, 0, 0, 0, 2, 0];
    let sound = head.iter().zip(0..).all(|(&byte, at)| match at {
        0 => matches!(byte, BATCH | OLD_LOGIN | CALL | TRANSACTION | LOGIN | TOKEN),
        1 => byte <= 0x10,
        7 => byte == 0,
        _ => true,
    });
    if !sound {
        return Some(false);
    }
    let (header, body) = head.split_first_chunk::<HEADER_LEN>()?;
    let len = packet_len(header)?.checked_sub(HEADER_LEN);
    match header[0] {
        BATCH | CALL | TRANSACTION if ALL_HEADERS.starts_with(body.get(..ALL_HEADERS.len()).unwrap_or(body)) => {
            (body.len() >= ALL_HEADERS.len()).then_some(true)
        }
        CALL => {
            let (name_len, name) = body.split_first_chunk().map(|(len, rest)| (u16::from_le_bytes(*len), rest))?;
            let name = name.get(..2 * usize::from(name_len)).unwrap_or(name);
            let sound = (MIN_NAME..=128).contains(&name_len) && is_wide(name);
            if sound { (name.len() >= 2 * usize::from(MIN_NAME)).then_some(true) } else { Some(false) }
        }
        BATCH => {
            let text = body.get(..8).unwrap_or(body);
            if is_wide(text) { (text.len() == 8).then_some(true) } else { Some(false) }
        }
        OLD_LOGIN => old_login(body),
        LOGIN => {
            // Whole length, then the version: 7.0 to 7.4.
            let (login_len, version) = (body.first_chunk().copied().map(u32::from_le_bytes)?, body.get(7)?);
            Some(len == Some(login_len as usize) && matches!(version, 0x70..=0x74))
        }
        TOKEN if b"NTLMSSP\0".starts_with(body.get(..8).unwrap_or(body)) => (body.len() >= 8).then_some(true),
        _ => Some(false),
    }
}

/// Whether a login record of TDS 4.2 or 5.0 begins here: host, user, password and process in fields of 30 bytes, each with
/// its length behind it and zeros in what is left, then how the client writes its numbers. `None` while it is too short.
fn old_login(body: &[u8]) -> Option<bool> {
    const FIELD: usize = 30;
    const FIELDS: usize = 4;
    for field in body.chunks(FIELD + 1).take(FIELDS) {
        let (text, len) = match field.split_at_checked(FIELD) {
            Some((text, [len])) => (text, usize::from(*len)),
            // Cut: what is there has to be text, then zeros.
            _ => {
                let text = field.iter().take_while(|byte| **byte != 0).count();
                let sound =
                    field.iter().skip(text).all(|byte| *byte == 0) && field.iter().take(text).all(|byte| *byte >= 0x20);
                return if sound { None } else { Some(false) };
            }
        };
        let Some((text, rest)) = text.split_at_checked(len) else { return Some(false) };
        if text.iter().any(|byte| *byte < 0x20) || rest.iter().any(|byte| *byte != 0) {
            return Some(false);
        }
    }
    // Byte order of two and four byte numbers, characters, floats, dates.
    let forms = body.get(FIELDS * (FIELD + 1)..).unwrap_or_default();
    let sound = forms.iter().take(5).zip(0..).all(|(&form, at)| match at {
        0 => matches!(form, 2 | 3),
        1 => matches!(form, 0 | 1),
        2 => matches!(form, 6 | 7),
        3 => matches!(form, 4 | 5 | 10),
        _ => matches!(form, 8 | 9),
    });
    let named = body.get(FIELD + 1).is_none_or(|first| *first != 0);
    if sound && named { (forms.len() >= 5).then_some(true) } else { Some(false) }
}

/// Whether all of `text` is printable ASCII in UTF-16.
fn is_wide(text: &[u8]) -> bool {
    text.iter().zip(0..).all(|(&byte, at)| if at % 2 == 0 { (0x20..=0x7e).contains(&byte) } else { byte == 0 })
}

/// Shortest name of a procedure that is believed without the headers of TDS 7.2.
const MIN_NAME: u16 = 4;

/// Whether a side starts with a tabular result whose first token is known (MS-TDS section 2.2.7). `None` while it is too short.
fn response(head: &[u8]) -> Option<bool> {
    let sound = head.iter().zip(0..).all(|(&byte, at)| match at {
        0 => byte == RESPONSE,
        1 => byte <= 1,
        7 => byte == 0,
        8 => matches!(
            byte,
            0x79 | 0x81 | 0x88 | 0xa4 | 0xa5 | 0xa9..=0xae | 0xd1..=0xd3 | 0xe3 | 0xe4 | 0xed | 0xee | 0xfd..=0xff
        ),
        _ => true,
    });
    if sound { (head.len() > HEADER_LEN).then_some(true) } else { Some(false) }
}

/// The length of a TDS packet, header included.
fn packet_len(head: &[u8]) -> Option<usize> {
    Some(usize::from(u16::from_be_bytes(*head.get(2..)?.first_chunk()?)))
}

/// Reads the pre-login until it is clear what follows.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct TdsSession {
    #[serde(with = "crate::model::kept::rooms")]
    sides: [Vec<u8>; 2],
    outcome: Option<UpgradeOutcome>,
    /// Whether the login shows a password; `None` while that is open.
    password: Option<bool>,
}

/// Whether a login that is not encrypted holds a password. It is hidden by a fixed rule (each byte's halves exchanged, then
/// combined with 0xa5) that anyone can undo: MS-TDS section 2.2.6.4, where the field cchPassword stands at 46.
fn shows_password(head: &[u8]) -> Option<bool> {
    match head.first() {
        None => None,
        Some(&LOGIN) => head.get(HEADER_LEN + 46..)?.first_chunk().map(|len| u16::from_le_bytes(*len) > 0),
        Some(_) => Some(false),
    }
}

#[typetag::serde(name = "stream/tds/TdsSession")]
impl Session for TdsSession {
    fn feed(&mut self, from_client: bool, bytes: &[u8], moment: Moment) -> Step {
        let [client, server] = &mut self.sides;
        if from_client { &mut *client } else { &mut *server }.extend_from_slice(bytes);
        if client.len().max(server.len()) > MAX_HELD {
            return Step::Done;
        }
        let (asked_len, asked, len, answer) = match (prelogin(client, PRELOGIN), prelogin(server, RESPONSE)) {
            (Prelogin::Whole { len: asked_len, encryption: asked }, Prelogin::Whole { len, encryption: answer }) => {
                (asked_len, asked, len, answer)
            }
            (Prelogin::Other, _) => {
                // Old clients log in without a pre-login.
                self.password = shows_password(client);
                return if self.password.is_none() { Step::Continue } else { Step::Done };
            }
            (_, Prelogin::Other) => return Step::Done,
            _ => return Step::Continue,
        };
        let behind = client.get(asked_len..).unwrap_or_default();
        if !matches!(answer, Some(ON | REQUIRED)) {
            let refused = matches!(asked, Some(ON | REQUIRED)) && answer == Some(NOT_SUPPORTED);
            self.outcome = refused.then_some(UpgradeOutcome::Refused);
            self.password = shows_password(behind);
            return if self.password.is_none() { Step::Continue } else { Step::Done };
        }
        match behind {
            [PRELOGIN, _, _, _, _, _, _, _, 0x16, 3, ..] => {}
            [PRELOGIN, ..] | [] if behind.len() < HEADER_LEN + 2 => return Step::Continue,
            _ => {
                self.outcome = Some(UpgradeOutcome::Failed);
                return Step::Done;
            }
        }
        self.outcome = Some(UpgradeOutcome::Used);
        let mut next = Box::new(TlsInside::new());
        let server = server.get(len..).unwrap_or_default();
        let (this, other) = if from_client { (behind, server) } else { (server, behind) };
        let rest = this.len().min(bytes.len());
        for (side, held) in [(from_client, this.get(..this.len() - rest).unwrap_or_default()), (!from_client, other)] {
            if !held.is_empty() {
                let _ = next.feed(side, held, moment);
            }
        }
        Step::Upgrade { found: Found::encrypted(Protocol::TLS, Evidence::OneSided).from_client(), rest, next }
    }

    fn finish(self: Box<Self>, _found: &mut Found, facts: &mut Facts) {
        facts.upgrade = self.outcome.map(|outcome| (PROTOCOL, outcome));
        if self.password == Some(true) {
            facts.password_in_clear = Some(PROTOCOL);
        }
    }

    fn memory(&self) -> usize {
        self.sides.iter().map(Vec::capacity).sum()
    }
}

/// TLS whose handshake comes in TDS packets, and whose data comes raw.
#[derive(serde::Serialize, serde::Deserialize)]
struct TlsInside {
    inner: Box<dyn Session>,
    sides: [Wrapped; 2],
}

/// Where one side stands.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Wrapped {
    header: Vec<u8>,
    left: usize,
    raw: bool,
}

impl TlsInside {
    fn new() -> Self {
        Self { inner: session::stream(), sides: Default::default() }
    }
}

#[typetag::serde(name = "stream/tds/TlsInside")]
impl Session for TlsInside {
    fn feed(&mut self, from_client: bool, mut bytes: &[u8], moment: Moment) -> Step {
        let side = &mut self.sides[usize::from(!from_client)];
        while !bytes.is_empty() {
            let content = if side.raw || side.left > 0 {
                let len = if side.raw { bytes.len() } else { side.left.min(bytes.len()) };
                let (content, rest) = bytes.split_at(len);
                side.left = side.left.saturating_sub(len);
                bytes = rest;
                content
            } else if side.header.is_empty() && bytes.first().is_some_and(|first| (0x14..=0x17).contains(first)) {
                // A TLS record type at the place of a packet type: wrapping is over.
                side.raw = true;
                continue;
            } else {
                let len = (HEADER_LEN - side.header.len()).min(bytes.len());
                let (header, rest) = bytes.split_at(len);
                side.header.extend_from_slice(header);
                bytes = rest;
                if side.header.len() == HEADER_LEN {
                    side.left = packet_len(&side.header).and_then(|len| len.checked_sub(HEADER_LEN)).unwrap_or(0);
                    side.header.clear();
                }
                continue;
            };
            match self.inner.feed(from_client, content, moment) {
                Step::Continue => {}
                step => return step,
            }
        }
        Step::Continue
    }

    fn gap(&mut self, from_client: bool) -> bool {
        self.inner.gap(from_client)
    }

    fn finish(self: Box<Self>, found: &mut Found, facts: &mut Facts) {
        self.inner.finish(found, facts);
    }

    fn memory(&self) -> usize {
        self.inner.memory() + 2 * HEADER_LEN
    }
}

const PROTOCOL: Protocol = Protocol(&"tds");
const HEADER_LEN: usize = 8;
const PRELOGIN: u8 = 0x12;
const RESPONSE: u8 = 0x04;
const BATCH: u8 = 0x01;
const OLD_LOGIN: u8 = 0x02;
const CALL: u8 = 0x03;
const TRANSACTION: u8 = 0x0e;
const LOGIN: u8 = 0x10;
const TOKEN: u8 = 0x11;
const ENCRYPTION: u8 = 1;
const ON: u8 = 1;
const NOT_SUPPORTED: u8 = 2;
const REQUIRED: u8 = 3;
/// A pre-login, and a ClientHello that came before the server's answer.
const MAX_HELD: usize = 64 * 1024;

#[cfg(test)]
pub(super) mod tests {
    use super::super::upgrade::trial::run;
    use super::*;
    use crate::detect::tests::probe_streams;

    fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind, 1, 0, 8 + body.len() as u8, 0, 0, 1, 0][..], body].concat()
    }

    /// VERSION of six bytes at 11, ENCRYPTION of one at 17.
    fn options(encryption: u8) -> Vec<u8> {
        vec![0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff, 16, 0, 0, 0, 0, 0, encryption]
    }

    fn hello() -> Vec<u8> {
        packet(PRELOGIN, b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03")
    }

    #[test]
    pub(crate) fn probe() {
        let found = Found::plaintext(PROTOCOL).from_client();
        let (asked, answer) = (packet(PRELOGIN, &options(0)), packet(RESPONSE, &options(1)));
        let headers = [22, 0, 0, 0, 18, 0, 0, 0, 2, 0, 0, 0];
        let (batch, result) = (packet(BATCH, &headers), packet(RESPONSE, &[0xfd, 0, 0]));
        let mut outside = options(0);
        outside[2] = 99;
        let old_packet = |body: &[u8]| [&[OLD_LOGIN, 0, 2, 0, 0, 0, 1, 0][..], body].concat();
        // Host, user, password, process, then the forms of numbers; the rest of the record as zeros.
        let old_login = |user: &str, forms: &[u8]| {
            let field = |text: &str| [text.as_bytes(), &vec![0; 30 - text.len()], &[text.len() as u8]].concat();
            let fields = [field("host"), field(user), field("secret"), field("42")].concat();
            old_packet(&[&fields[..], forms, &[0; 375]].concat())
        };
        let old = old_login("sa", &[3, 1, 6, 10, 9]);
        let mut wrong_len = old.clone();
        wrong_len[HEADER_LEN + 30] = 3;
        let cases: &[(&str, &[u8], &[u8], Outcome)] = &[
            ("old login", &old, &packet(RESPONSE, &[0xad, 0, 0]), Outcome::Found(found)),
            ("old login alone", &old, b"", Outcome::Likely(found)),
            ("old login without a user", &old_login("", &[3, 1, 6, 10, 9]), b"", Outcome::No),
            ("old login, another form of numbers", &old_login("sa", &[3, 1, 6, 11, 9]), b"", Outcome::No),
            ("old login, a length shorter than its text", &wrong_len, b"", Outcome::No),
            ("old login of nothing but zeros", &old_packet(&[0; 504]), b"", Outcome::No),
            ("both sides", &asked, &answer, Outcome::Found(found)),
            ("client only", &asked, b"", Outcome::Likely(found)),
            ("sides exchanged", &answer, &asked, Outcome::No),
            ("batch", &batch, &result, Outcome::Found(found)),
            ("batch without its answer", &batch, b"", Outcome::Likely(found)),
            ("old batch", &packet(BATCH, b"S\0E\0L\0E\0"), &result, Outcome::Found(found)),
            ("call by name", &packet(CALL, b"\x05\0s\0p\0_\0x\0y\0\0\0"), b"", Outcome::Likely(found)),
            ("call by a name that is no text", &packet(CALL, b"\x05\0s\0p\0\x07\0x\0y\0\0\0"), b"", Outcome::No),
            ("call by a name too short", &packet(CALL, b"\x02\0s\0p\0\0\0"), b"", Outcome::No),
            ("login", &packet(LOGIN, &[9, 0, 0, 0, 4, 0, 0, 0x74, 0]), b"", Outcome::Likely(found)),
            ("login of another length", &packet(LOGIN, &[8, 0, 0, 0, 4, 0, 0, 0x74, 0]), b"", Outcome::No),
            ("batch answered by another protocol", &batch, b"HTTP/1.1 400", Outcome::No),
            ("option outside the packet", &packet(PRELOGIN, &outside), b"", Outcome::No),
            ("options without an end", &packet(PRELOGIN, &[0, 0, 0, 0, 1]), b"", Outcome::No),
            ("answered by another protocol", &asked, b"HTTP/1.1 400", Outcome::No),
        ];
        for (name, client, server, want) in cases {
            probe_streams(&Tds, &[(name, client, server, *want)]);
        }
    }

    #[test]
    fn what_the_server_chooses() {
        let hello = hello();
        let cases: &[(&str, u8, u8, Option<UpgradeOutcome>, Option<usize>)] = &[
            ("login only", 0, 0, None, None),
            ("required", 0, 3, Some(UpgradeOutcome::Used), Some(hello.len())),
            ("on", 1, 1, Some(UpgradeOutcome::Used), Some(hello.len())),
            ("refused", 1, 2, Some(UpgradeOutcome::Refused), None),
            ("neither supports it", 2, 2, None, None),
        ];
        for (name, asked, answer, outcome, rest) in cases {
            let (client, server) = (packet(PRELOGIN, &options(*asked)), packet(RESPONSE, &options(*answer)));
            let session = Tds.session(Found::plaintext(PROTOCOL)).expect("TDS reads on");
            let pieces: [(bool, &[u8]); 3] = [(true, &client), (false, &server), (true, &hello)];
            assert_eq!(run(session, &pieces), (*outcome, *rest), "{name}");
        }
        // Heads come one side after the other: the hello before the answer.
        let session = Tds.session(Found::plaintext(PROTOCOL)).expect("TDS reads on");
        let client = [packet(PRELOGIN, &options(1)), hello.clone()].concat();
        let pieces: [(bool, &[u8]); 2] = [(true, &client), (false, &packet(RESPONSE, &options(1)))];
        assert_eq!(run(session, &pieces), (Some(UpgradeOutcome::Used), Some(0)));
    }

    /// Collects what is inside the packets.
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Inner;

    thread_local! {
        static INSIDE: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) };
    }

    #[typetag::serde(name = "stream/tds/Inner")]
    impl Session for Inner {
        fn feed(&mut self, _from_client: bool, bytes: &[u8], _moment: Moment) -> Step {
            INSIDE.with_borrow_mut(|inside| inside.extend_from_slice(bytes));
            Step::Continue
        }

        fn finish(self: Box<Self>, _found: &mut Found, _facts: &mut Facts) {}

        fn memory(&self) -> usize {
            0
        }
    }

    #[test]
    fn unwraps_until_records_come_raw() {
        let stream = [packet(PRELOGIN, b"\x16one"), packet(PRELOGIN, b"two"), b"\x17raw\x12".to_vec()].concat();
        for size in 1..=stream.len() {
            let mut session = TlsInside { inner: Box::new(Inner), sides: Default::default() };
            for piece in stream.chunks(size) {
                session.feed(false, piece, Moment { time_ns: 0, wire_len: 0 });
            }
            let inside = INSIDE.take();
            assert_eq!(inside, b"\x16onetwo\x17raw\x12", "size {size}");
        }
    }

    #[test]
    fn passwords() {
        let login = |password_len: u8| {
            let mut body = vec![0; 94];
            body[46] = password_len;
            packet(LOGIN, &body)
        };
        let inside_tls = hello();
        let none = options(NOT_SUPPORTED);
        type Row<'a> = (&'a str, &'a [(bool, Vec<u8>)], bool);
        let (asked, answered) = ((true, packet(PRELOGIN, &none)), (false, packet(RESPONSE, &none)));
        let cases: &[Row<'_>] = &[
            ("in clear", &[asked.clone(), answered.clone(), (true, login(6))], true),
            ("without a pre-login", &[(true, login(6))], true),
            ("by ticket", &[asked.clone(), answered.clone(), (true, login(0))], false),
            ("cut", &[asked.clone(), answered.clone(), (true, login(6)[..50].to_vec())], false),
            ("a batch", &[asked.clone(), answered, (true, packet(BATCH, &[22, 0]))], false),
            ("encrypted login", &[asked, (false, packet(RESPONSE, &options(0))), (true, inside_tls)], false),
        ];
        for (name, pieces, want) in cases {
            let mut session = Tds.session(Found::plaintext(PROTOCOL)).unwrap();
            for (client, piece) in *pieces {
                let _ = session.feed(*client, piece, Moment { time_ns: 0, wire_len: 0 });
            }
            let mut facts = Facts::default();
            session.finish(&mut Found::plaintext(PROTOCOL), &mut facts);
            assert_eq!(facts.password_in_clear.is_some(), *want, "{name}");
        }
    }
}
