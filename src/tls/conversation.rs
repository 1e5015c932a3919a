//! Both sides of one handshake together: how far it got, what it says, and what class follows.
//!
//! Sources: RFC 8446 section 2 and appendix A, RFC 5246 section 7.3, RFC 5077 section 3.4 (resumption), RFC 9150 and the
//! NULL suites (readable although negotiated).
//! The order in which pieces of the two sides arrive does not matter: heads are fed one side after the other.

use super::hello::{self, Carrier, ClientHello, ServerHello};
use super::record::{
    APPLICATION_DATA, CERTIFICATE, CERTIFICATE_REQUEST, CLIENT_HELLO, HELLO_RETRY_REQUEST, HELLO_VERIFY_REQUEST,
    SERVER_HELLO, SERVER_HELLO_DONE, SERVER_KEY_EXCHANGE,
};
use super::{exchange, ssl2, suite};
use crate::detect::Found;
use crate::model::{Class, Evidence, Facts, Handshake, TlsFacts};

/// What was learnt of a handshake.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Conversation {
    carrier: Carrier,
    facts: Box<TlsFacts>,
    client: Progress,
    server: Progress,
    session_id: SessionId,
    echoed: bool,
    /// The server sent its certificate or ServerHelloDone: this is a full handshake.
    full: bool,
    early_data: bool,
    srtp_offered: bool,
    /// A ServerHello that cannot be true.
    bogus: bool,
}

/// The session ID of a ClientHello, 32 bytes at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct SessionId {
    len: u8,
    bytes: [u8; 32],
}

impl SessionId {
    /// The ID `id`, which a hello has held to its longest.
    fn new(id: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(id).for_each(|(place, byte)| *place = *byte);
        Self { len: id.len() as u8, bytes }
    }
}

/// What one side was seen to do.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, serde::Deserialize)]
struct Progress {
    hello: bool,
    /// Something that only an endpoint of this protocol sends.
    spoke: bool,
    change_cipher_spec: bool,
    /// Records whose content is protected.
    protected: u32,
    /// Records of application data.
    data: u32,
    /// A protected record that can be the Finished of TLS 1.3.
    finished: bool,
    alert: bool,
    not_tls: bool,
    ssl2_data: bool,
    ended: bool,
}

impl Conversation {
    pub(super) fn new(carrier: Carrier) -> Self {
        Self {
            carrier,
            facts: Box::default(),
            client: Progress::default(),
            server: Progress::default(),
            session_id: SessionId::default(),
            echoed: false,
            full: false,
            early_data: false,
            srtp_offered: false,
            bogus: false,
        }
    }

    /// A readable handshake message, without its header.
    pub(super) fn handshake(&mut self, from_client: bool, kind: u8, body: &[u8]) {
        self.side(from_client).spoke = true;
        match (from_client, kind) {
            (true, CLIENT_HELLO) => self.client_hello(body),
            (false, SERVER_HELLO) => self.server_hello(body),
            (false, HELLO_RETRY_REQUEST) if !self.server.hello => self.facts.hello_retry = true,
            (false, HELLO_VERIFY_REQUEST) => {}
            (false, CERTIFICATE) => {
                self.full = true;
                // A message that cannot be read leaves its facts unseen.
                let _ = exchange::certificate(body, &mut self.facts);
            }
            (false, SERVER_KEY_EXCHANGE) => {
                let _ = exchange::server_key_exchange(body, &mut self.facts);
            }
            (false, CERTIFICATE_REQUEST) => self.facts.client_certificate_requested = true,
            (false, SERVER_HELLO_DONE) => self.full = true,
            _ => {}
        }
    }

    /// An SSL 2 hello, after its type; or the client's key behind it, which begins what is SSL 2 alone.
    pub(super) fn ssl2_hello(&mut self, from_client: bool, kind: u8, body: &[u8]) {
        if kind == ssl2::MASTER_KEY {
            if from_client {
                self.facts.ssl2_cipher = self.facts.ssl2_cipher.or(ssl2::master_key(body));
            }
            self.ssl2_data(from_client);
            return;
        }
        let believed = match (from_client, kind) {
            (true, 1) => ssl2::client_hello(body, &mut self.facts),
            (false, 4) => ssl2::server_hello(body, &mut self.facts),
            _ => false,
        };
        let side = self.side(from_client);
        side.spoke |= believed;
        side.hello |= believed;
        side.not_tls |= !believed;
    }

    pub(super) fn ssl2_data(&mut self, from_client: bool) {
        self.side(from_client).ssl2_data = true;
    }

    pub(super) fn change_cipher_spec(&mut self, from_client: bool) {
        let side = self.side(from_client);
        side.spoke = true;
        side.change_cipher_spec = true;
    }

    /// A readable alert. A warning ends nothing, except that the sender closes.
    pub(super) fn alert(&mut self, from_client: bool, level: u8, description: u8) {
        let side = self.side(from_client);
        side.spoke = true;
        side.alert |= level == FATAL || description == CLOSE_NOTIFY;
    }

    /// A record whose content is protected; `len` is that of its content.
    pub(super) fn protected(&mut self, from_client: bool, kind: u8, len: usize) {
        // With early data offered, what the client sends may come before the server's answer.
        let early = from_client && self.early_data;
        let server_spoke = self.server.hello;
        let side = self.side(from_client);
        side.spoke = true;
        side.protected = side.protected.saturating_add(1);
        if kind == APPLICATION_DATA {
            side.data = side.data.saturating_add(1);
            side.finished |= if early && !server_spoke { FINISHED_LENS.contains(&len) } else { len >= FINISHED_MIN };
        }
    }

    pub(super) fn not_tls(&mut self, from_client: bool) {
        self.side(from_client).not_tls = true;
    }

    /// Nothing more of this side can be read.
    pub(super) fn end(&mut self, from_client: bool) {
        self.side(from_client).ended = true;
    }

    pub(super) fn has_ended(&self) -> bool {
        self.client.ended && self.server.ended
    }

    /// SRTP was negotiated or, where the answer is encrypted or was not seen, offered (RFC 5764).
    pub(super) fn may_have_srtp(&self) -> bool {
        self.facts.srtp_profile.is_some() || (self.srtp_offered && (self.is_tls13() || !self.server.hello))
    }

    /// The profile of SRTP that was negotiated leaves the media in clear.
    pub(super) fn has_null_srtp(&self) -> bool {
        self.facts.srtp_profile.is_some_and(crate::grade::registry::is_null_srtp)
    }

    /// Whether the negotiated version is TLS 1.3 or DTLS 1.3.
    pub(super) fn is_tls13(&self) -> bool {
        self.facts.version.is_some_and(hello::is_tls13)
    }

    /// How far the handshake got.
    pub(super) fn state(&self) -> Handshake {
        let (client, server) = (self.client, self.server);
        if !client.hello && !server.hello {
            return if client.alert || server.alert { Handshake::Failed } else { Handshake::NotSeen };
        }
        let both = client.hello && server.hello;
        if both && self.is_complete() {
            Handshake::Completed
        } else if client.alert || server.alert {
            Handshake::Failed
        } else if both || (client.hello && server.spoke) {
            Handshake::Opened
        } else {
            Handshake::OneSided
        }
    }

    /// Whether the handshake is complete, all that the server says in clear was read, and data follows.
    pub(super) fn is_settled(&self) -> bool {
        let server = self.server;
        let server_read = self.is_tls13() || server.change_cipher_spec || server.protected > 0 || server.ended;
        self.state() == Handshake::Completed && server_read && !self.is_unused()
    }

    /// Writes the facts, and corrects class and evidence.
    pub(super) fn finish(mut self, found: &mut Found, facts: &mut Facts) {
        let state = self.state();
        self.facts.handshake =
            if state == Handshake::Completed && self.is_unused() { Handshake::Unused } else { state };
        if self.server.hello && !self.is_tls13() {
            // RFC 5246 section 7.3, RFC 5077 section 3.4: an abbreviated handshake has no ServerHelloDone.
            let abbreviated = self.server.change_cipher_spec && !self.server.ended;
            self.facts.resumed = !self.full && (self.echoed || abbreviated);
        }
        // The sides need not be fed in order: whether there was such a request is known only now.
        self.facts.ech_real &= self.facts.hello_retry;
        let heard = |side: Progress| side.hello || side.spoke;
        let refuted = self.client.not_tls || self.server.not_tls;
        if state != Handshake::Completed && refuted {
            found.class = Class::Unknown;
            found.evidence = Evidence::None;
        } else if self.bogus {
            found.evidence = Evidence::OneSided;
        } else if self.client.hello && heard(self.server) {
            found.evidence = found.evidence.max(Evidence::Handshake);
        } else if self.client.hello || self.server.hello {
            found.evidence = found.evidence.max(Evidence::OneSided);
        }
        if state != Handshake::NotSeen && found.class == Class::Encrypted && self.is_readable() {
            found.class = Class::Plaintext;
        }
        facts.tls = Some(self.facts);
    }

    /// Heap bytes held.
    pub(super) fn memory(&self) -> usize {
        self.facts.memory()
    }

    fn client_hello(&mut self, body: &[u8]) {
        if self.client.hello {
            self.second_client_hello(body);
            return;
        }
        let Some(parts) = ClientHello::parse(body, self.carrier) else {
            self.client.not_tls = true;
            return;
        };
        let asked = hello::read_client(&parts, self.carrier, &mut self.facts);
        self.client.hello = true;
        self.session_id = SessionId::new(parts.session_id);
        self.early_data = asked.early_data;
        self.srtp_offered = asked.srtp;
    }

    /// Behind a HelloRetryRequest with which the server accepted ECH, the client keeps its key: the new ECH has an empty
    /// `enc`. GREASE, and ECH that was not accepted, are repeated to the letter.
    fn second_client_hello(&mut self, body: &[u8]) {
        let Some(parts) = ClientHello::parse(body, self.carrier) else { return };
        // Type "outer", suite, config_id, then the length of `enc` (RFC 9849 section 5).
        let ech = parts.extension(hello::ENCRYPTED_CLIENT_HELLO);
        self.facts.ech_real |= self.facts.ech_offered && matches!(ech, Some([0, _, _, _, _, _, 0, 0, ..]));
    }

    fn server_hello(&mut self, body: &[u8]) {
        if self.server.hello {
            return;
        }
        let parts = ServerHello::parse(body, self.carrier)
            .filter(|parts| hello::read_server(parts, self.carrier, &mut self.facts));
        let Some(parts) = parts else {
            self.bogus = true;
            return;
        };
        if !parts.is_retry() {
            self.server.hello = true;
            self.echoed = !parts.session_id.is_empty() && SessionId::new(parts.session_id) == self.session_id;
        }
    }

    fn is_complete(&self) -> bool {
        let (client, server) = (self.client, self.server);
        if self.facts.version == Some(ssl2::VERSION) {
            client.ssl2_data && server.ssl2_data
        } else if self.is_tls13() {
            client.finished
        } else {
            (client.change_cipher_spec && server.change_cipher_spec) || client.data > 0 || server.data > 0
        }
    }

    /// Whether records of application data would show, and there was none so far.
    fn is_unused(&self) -> bool {
        let shows =
            matches!(self.carrier, Carrier::Tls) && !self.is_tls13() && self.facts.version != Some(ssl2::VERSION);
        shows && self.client.data == 0 && self.server.data == 0 && !self.has_ended()
    }

    /// Whether the negotiated suite protects nothing.
    fn is_readable(&self) -> bool {
        self.facts.cipher.is_some_and(suite::is_readable)
    }

    fn side(&mut self, from_client: bool) -> &mut Progress {
        if from_client { &mut self.client } else { &mut self.server }
    }
}

const FATAL: u8 = 2;
const CLOSE_NOTIFY: u8 = 0;
/// A protected Finished of TLS 1.3 is 4 + 32 bytes, one of type and at least 8 of tag; a protected alert is far shorter.
const FINISHED_MIN: usize = 4 + 32 + 1 + 8;
/// The same with hashes of 32 and 48 bytes and tags of 8 and 16.
const FINISHED_LENS: [usize; 4] = [45, 53, 61, 69];

#[cfg(test)]
mod tests {
    use super::super::testing::{client_hello, extension, hello_retry, server_hello};
    use super::*;
    use crate::model::Protocol;

    /// One thing that a side does.
    enum Event {
        Says(u8, Vec<u8>),
        ChangesCipher,
        Sends(u8, usize),
        Alerts(u8, u8),
        SpeaksOtherwise,
        Ends,
    }
    use Event::{Alerts, ChangesCipher, Ends, Says, Sends, SpeaksOtherwise};

    const CLIENT: bool = true;
    const SERVER: bool = false;
    const FINISHED: u8 = 22;
    const CLOSE: u8 = 0;
    const REFUSED: u8 = 40;
    const SESSION: [u8; 32] = [5; 32];

    fn asks() -> Event {
        Says(
            CLIENT_HELLO,
            client_hello(0x0303, &SESSION, &[0x1301, 0xc02f, 0x003b], &[extension(43, &[4, 3, 4, 3, 3])]),
        )
    }

    fn answers(id: &[u8], suite: u16) -> Event {
        Says(SERVER_HELLO, server_hello(0x0303, id, suite, &[extension(0xff01, &[0])]))
    }

    fn answers13() -> Event {
        Says(SERVER_HELLO, server_hello(0x0303, &SESSION, 0x1301, &[extension(43, &[3, 4])]))
    }

    /// Lets these things happen, from a flow that was found to be TLS in mid-stream: the least that can be known.
    fn after(events: &[(bool, Event)]) -> (Handshake, Class, Evidence, bool) {
        let mut talk = Conversation::new(Carrier::Tls);
        for (from_client, event) in events {
            match event {
                Says(kind, body) => talk.handshake(*from_client, *kind, body),
                ChangesCipher => talk.change_cipher_spec(*from_client),
                Sends(kind, len) => talk.protected(*from_client, *kind, *len),
                Alerts(level, description) => talk.alert(*from_client, *level, *description),
                SpeaksOtherwise => talk.not_tls(*from_client),
                Ends => talk.end(*from_client),
            }
        }
        assert!(talk.memory() < 4096);
        let (mut found, mut facts) = (Found::encrypted(Protocol::TLS, Evidence::Framing), Facts::default());
        talk.finish(&mut found, &mut facts);
        let tls = facts.tls.unwrap();
        (tls.handshake, found.class, found.evidence, tls.resumed)
    }

    #[test]
    fn handshakes() {
        use Class::{Encrypted, Plaintext, Unknown};
        use Handshake::{Completed, Failed, NotSeen, OneSided, Opened, Unused};
        type Case<'a> = (&'a str, Vec<(bool, Event)>, (Handshake, Class, Evidence, bool));
        let data = |from_client| (from_client, Sends(APPLICATION_DATA, 100));
        let finish = |from_client| [(from_client, ChangesCipher), (from_client, Sends(FINISHED, 40))];
        let full = |suite| {
            let certificate = (SERVER, Says(SERVER_HELLO_DONE, vec![]));
            let mut events = vec![(CLIENT, asks()), (SERVER, answers(&[6; 32], suite)), certificate];
            events.extend(finish(CLIENT).into_iter().chain(finish(SERVER)));
            events
        };
        let with = |mut events: Vec<(bool, Event)>, more: Vec<(bool, Event)>| {
            events.extend(more);
            events
        };
        let cases: Vec<Case<'_>> = vec![
            ("nothing", vec![], (NotSeen, Encrypted, Evidence::Framing, false)),
            ("data alone", vec![data(CLIENT), data(SERVER)], (NotSeen, Encrypted, Evidence::Framing, false)),
            ("client's hello", vec![(CLIENT, asks())], (OneSided, Encrypted, Evidence::OneSided, false)),
            (
                "server's hello",
                vec![(SERVER, answers(&SESSION, 0xc02f))],
                (OneSided, Encrypted, Evidence::OneSided, false),
            ),
            (
                "both hellos",
                vec![(CLIENT, asks()), (SERVER, answers(&[6; 32], 0xc02f))],
                (Opened, Encrypted, Evidence::Handshake, false),
            ),
            (
                "full, with data",
                with(full(0xc02f), vec![data(CLIENT)]),
                (Completed, Encrypted, Evidence::Handshake, false),
            ),
            ("full, never used", full(0xc02f), (Unused, Encrypted, Evidence::Handshake, false)),
            (
                "full, never used as far as was captured",
                with(full(0xc02f), vec![(CLIENT, Ends), (SERVER, Ends)]),
                (Completed, Encrypted, Evidence::Handshake, false),
            ),
            ("NULL suite", with(full(0x003b), vec![data(CLIENT)]), (Completed, Plaintext, Evidence::Handshake, false)),
            (
                "resumed",
                vec![
                    (CLIENT, asks()),
                    (SERVER, answers(&SESSION, 0xc02f)),
                    (SERVER, ChangesCipher),
                    (CLIENT, ChangesCipher),
                    data(CLIENT),
                ],
                (Completed, Encrypted, Evidence::Handshake, true),
            ),
            (
                "refused",
                vec![(CLIENT, asks()), (SERVER, Alerts(FATAL, REFUSED))],
                (Failed, Encrypted, Evidence::Handshake, false),
            ),
            (
                "a warning, and nothing more",
                vec![(CLIENT, asks()), (SERVER, Alerts(1, 112))],
                (Opened, Encrypted, Evidence::Handshake, false),
            ),
            (
                "closed in the middle",
                vec![(CLIENT, asks()), (SERVER, answers(&[6; 32], 0xc02f)), (CLIENT, Alerts(1, CLOSE))],
                (Failed, Encrypted, Evidence::Handshake, false),
            ),
            (
                "answered by another protocol",
                vec![(CLIENT, asks()), (SERVER, SpeaksOtherwise)],
                (OneSided, Unknown, Evidence::None, false),
            ),
            (
                "version 1.3",
                vec![(CLIENT, asks()), (SERVER, answers13()), (CLIENT, Sends(APPLICATION_DATA, 53))],
                (Completed, Encrypted, Evidence::Handshake, false),
            ),
            (
                "version 1.3, with a record too short for the end of a handshake",
                vec![(CLIENT, asks()), (SERVER, answers13()), (CLIENT, Sends(APPLICATION_DATA, 19))],
                (Opened, Encrypted, Evidence::Handshake, false),
            ),
            (
                "asked for another hello, and never heard again",
                vec![(CLIENT, asks()), (SERVER, Says(SERVER_HELLO, hello_retry()))],
                (Opened, Encrypted, Evidence::Handshake, false),
            ),
            (
                "a hello that cannot be true",
                vec![(CLIENT, asks()), (SERVER, Says(SERVER_HELLO, vec![3, 3, 1]))],
                (Opened, Encrypted, Evidence::OneSided, false),
            ),
        ];
        for (name, events, want) in cases {
            assert_eq!(after(&events), want, "{name}");
        }
    }

    /// The sides are fed one after the other where their heads were kept: the order changes nothing.
    #[test]
    fn the_order_of_the_sides_does_not_matter() {
        let client = || vec![(CLIENT, asks()), (CLIENT, ChangesCipher), (CLIENT, Sends(APPLICATION_DATA, 100))];
        let server = || {
            vec![
                (SERVER, answers(&[6; 32], 0xc02f)),
                (SERVER, Says(SERVER_HELLO_DONE, vec![])),
                (SERVER, ChangesCipher),
            ]
        };
        let join = |mut one: Vec<(bool, Event)>, two: Vec<(bool, Event)>| {
            one.extend(two);
            after(&one)
        };
        assert_eq!(join(client(), server()), join(server(), client()));
        assert_eq!(join(client(), server()).0, Handshake::Completed);
    }
}
