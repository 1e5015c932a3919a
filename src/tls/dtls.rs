//! DTLS over datagrams: 1.0, 1.2 and 1.3, and what OpenSSL spoke before the standard (0x0100).
//!
//! Sources: RFC 4347, RFC 6347, RFC 9147, RFC 9146 (connection IDs), RFC 5764 (DTLS-SRTP), RFC 7983 (what shares the
//! ports with DTLS).
//! Evidence: datagrams that records fill exactly; a ClientHello and the server's answer (handshake), one of them
//! (one-sided), or in mid-stream three datagrams with the same version and epoch and nearby numbers (framing).
//! Not handled: DTLS 1.3 in mid-stream; its header says too little. STUN beside DTLS is skipped.

use super::conversation::Conversation;
use super::datagram::{
    ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, Fragment, HANDSHAKE, Joiner, Record, UNIFIED, WITH_CONNECTION_ID,
    fragments, is_stun, records,
};
use super::hello::{Carrier, ClientHello, ServerHello};
use super::record::{CLIENT_HELLO, HELLO_VERIFY_REQUEST, SERVER_HELLO};
use super::session;
use crate::detect::{Datagram, Dissector, Found, Heads, Moment, Openings, Outcome, Session, Step};
use crate::model::{Evidence, Facts, Protocol, Transport};

/// DTLS over UDP.
pub(crate) struct Dtls;

impl Dissector for Dtls {
    fn protocol(&self) -> Protocol {
        Protocol::DTLS
    }

    fn transport(&self) -> Transport {
        Transport::UDP
    }

    fn openings(&self) -> Openings {
        // Content types, unified headers, and STUN beside them (RFC 9443).
        const OPENINGS: Openings = Openings::of(&[0..=0x3f]);
        OPENINGS
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let mut seen = Seen::default();
        for datagram in heads.datagrams {
            if !seen.take(datagram) {
                return Outcome::No;
            }
        }
        seen.outcome()
    }

    fn session(&self, found: Found) -> Option<Box<dyn Session>> {
        Some(if found.evidence == Evidence::Framing { session::without_handshake() } else { datagrams() })
    }
}

/// Whether a datagram opens a DTLS handshake: a hello, or a request to verify one, and records fill the datagram.
///
/// For flows that begin as something else on the same ports (STUN, RFC 7983).
#[must_use]
pub fn opens_handshake(bytes: &[u8], wire_len: usize) -> bool {
    records(bytes, wire_len).is_some_and(|records| records.first().is_some_and(|record| hello_sender(record).is_some()))
}

/// Whether the sender of this record is the client, if it is a readable hello.
fn hello_sender(record: &Record<'_>) -> Option<bool> {
    (record.kind == HANDSHAKE && record.epoch == 0).then_some(())?;
    match fragments(record.content).next()?.kind {
        CLIENT_HELLO => Some(true),
        SERVER_HELLO | HELLO_VERIFY_REQUEST => Some(false),
        _ => None,
    }
}

/// What reads on where DTLS begins. Which side is the DTLS client is learnt from the hellos.
#[must_use]
pub fn datagrams() -> Box<dyn Session> {
    Box::new(DtlsSession {
        conversation: Conversation::new(Carrier::Dtls),
        joiners: Default::default(),
        reversed: None,
        shared: false,
        bytes: 0,
    })
}

/// What the datagrams of a flow amount to.
#[derive(Default)]
struct Seen {
    client_hello: bool,
    server_answer: bool,
    server_hello: bool,
    /// Of each side, the latest protected record and how many agreed with the one before.
    protected: [Option<(u16, u16, u64, usize)>; 2],
}

impl Seen {
    /// Whether `datagram` can be part of a DTLS flow in which the presumed client is the client.
    fn take(&mut self, datagram: &Datagram<'_>) -> bool {
        let Datagram { from_client, bytes, wire_len } = *datagram;
        if is_stun(bytes, wire_len) {
            return true;
        }
        let begun = self.client_hello || self.server_hello;
        let Some(records) = records(bytes, wire_len) else {
            // Media and channel data beside DTLS; before a hello they prove the flow to be something else.
            return begun && matches!(bytes.first(), Some(0..=3 | 16..=19 | 64..=79 | 128..=191));
        };
        records.iter().all(|record| self.take_record(from_client, record, begun))
    }

    fn take_record(&mut self, from_client: bool, record: &Record<'_>, begun: bool) -> bool {
        if record.kind == UNIFIED {
            return begun;
        }
        if record.epoch > 0 {
            return self.take_protected(usize::from(!from_client), record);
        }
        match record.kind {
            HANDSHAKE => match fragments(record.content).next() {
                Some(fragment) => self.take_message(from_client, &fragment),
                None => record.content.len() < record.len,
            },
            ALERT => {
                self.server_answer |= !from_client && record.len == 2 && self.client_hello;
                record.len == 2
            }
            CHANGE_CIPHER_SPEC => matches!(record.len, 1 | 3),
            WITH_CONNECTION_ID => false,
            _ => record.kind != APPLICATION_DATA,
        }
    }

    fn take_message(&mut self, from_client: bool, fragment: &Fragment<'_>) -> bool {
        let whole = fragment.is_whole();
        match (from_client, fragment.kind) {
            (true, CLIENT_HELLO) if !whole || ClientHello::parse(fragment.bytes, Carrier::Dtls).is_some() => {
                self.client_hello = true;
            }
            (false, SERVER_HELLO) if !whole || ServerHello::parse(fragment.bytes, Carrier::Dtls).is_some() => {
                self.server_answer = true;
                self.server_hello = true;
            }
            (false, HELLO_VERIFY_REQUEST) => self.server_answer = true,
            // Reflected, or both ends of a call took the active role (RFC 5763 section 5).
            (false, CLIENT_HELLO) => return self.client_hello,
            (_, CLIENT_HELLO | SERVER_HELLO | HELLO_VERIFY_REQUEST) => return false,
            _ => {}
        }
        true
    }

    fn take_protected(&mut self, side: usize, record: &Record<'_>) -> bool {
        let Record { version, epoch, sequence, .. } = *record;
        let now = match self.protected[side] {
            None => (version, epoch, sequence, 1),
            Some((v, e, s, count)) if (v, e) == (version, epoch) && s.abs_diff(sequence) < NEARBY => {
                (version, epoch, sequence, count + usize::from(s != sequence))
            }
            // A new epoch follows a renegotiation.
            Some((v, e, _, count)) if v == version && e.abs_diff(epoch) == 1 => (version, epoch, sequence, count),
            Some(_) => return false,
        };
        self.protected[side] = Some(now);
        epoch < MAX_EPOCH && record.len > 8
    }

    fn outcome(&self) -> Outcome {
        let found = |evidence| Found::encrypted(Protocol::DTLS, evidence);
        let [client, server] = self.protected.map(|latest| latest.map_or(0, |(_, _, _, count)| count));
        if self.client_hello && self.server_answer {
            Outcome::Found(found(Evidence::Handshake).from_client())
        } else if self.client_hello || self.server_hello {
            Outcome::Likely(found(Evidence::OneSided).from_client())
        } else if client + server >= 3 {
            Outcome::Found(found(Evidence::Framing))
        } else {
            Outcome::NeedMore
        }
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct DtlsSession {
    conversation: Conversation,
    joiners: [Joiner; 2],
    /// The presumed client is the DTLS server; `None` before the first hello.
    reversed: Option<bool>,
    /// STUN was seen: the flow is shared (RFC 7983) and its readable datagrams must be told apart to its end.
    shared: bool,
    bytes: usize,
}

#[typetag::serde(name = "tls/dtls/DtlsSession")]
impl Session for DtlsSession {
    fn feed(&mut self, from_client: bool, bytes: &[u8], moment: Moment) -> Step {
        self.bytes = self.bytes.saturating_add(bytes.len());
        if is_stun(bytes, moment.wire_len) {
            self.shared = true;
            return Step::Readable;
        }
        match bytes.first() {
            Some(20..=63) => self.read(from_client, bytes, moment.wire_len),
            // RTP without SRTP, or with a NULL profile of it, is in clear, whatever runs beside it.
            Some(128..=191) if !self.conversation.may_have_srtp() || self.conversation.has_null_srtp() => {
                return Step::Readable;
            }
            _ => {}
        }
        let media = self.shared || self.conversation.may_have_srtp();
        let enough = self.bytes > MAX_BYTES || self.conversation.is_settled();
        if enough && !media { Step::Done } else { Step::Continue }
    }

    fn gap(&mut self, _from_client: bool) -> bool {
        true
    }

    fn finish(self: Box<Self>, found: &mut Found, facts: &mut Facts) {
        self.conversation.finish(found, facts);
    }

    fn memory(&self) -> usize {
        size_of::<Self>() + self.conversation.memory() + self.joiners.iter().map(Joiner::memory).sum::<usize>()
    }
}

impl DtlsSession {
    fn read(&mut self, from_client: bool, bytes: &[u8], wire_len: usize) {
        if self.conversation.is_settled() {
            return;
        }
        for record in records(bytes, wire_len).unwrap_or_default() {
            if let (None, Some(client)) = (self.reversed, hello_sender(&record)) {
                self.reversed = Some(client != from_client);
            }
            self.read_record(from_client != self.reversed.unwrap_or(false), &record);
        }
    }

    fn read_record(&mut self, from_client: bool, record: &Record<'_>) {
        let Self { conversation, joiners, .. } = self;
        match (record.kind, record.epoch, record.content) {
            // Epoch 1 of DTLS 1.3 is early data, sent before the server's answer.
            (UNIFIED, 1, _) => {}
            (UNIFIED, ..) => conversation.protected(from_client, APPLICATION_DATA, record.len),
            (HANDSHAKE, 0, content) => {
                for fragment in fragments(content) {
                    joiners[usize::from(!from_client)]
                        .feed(fragment, &mut |kind, body| conversation.handshake(from_client, kind, body));
                }
            }
            (CHANGE_CIPHER_SPEC, 0, _) => conversation.change_cipher_spec(from_client),
            (ALERT, 0, &[level, description]) => conversation.alert(from_client, level, description),
            (_, 0, _) => {}
            (kind, ..) => conversation.protected(from_client, kind, record.len),
        }
    }
}

/// A flow renegotiates seldom; a larger epoch is something else.
const MAX_EPOCH: u16 = 256;
/// Records lost between two that were seen.
const NEARBY: u64 = 1 << 16;
/// A handshake that takes more than this is not waited for.
const MAX_BYTES: usize = 1 << 20;

#[cfg(test)]
pub(super) mod tests {
    use super::super::testing::{client_hello, extension, join, server_hello};
    use super::*;
    use crate::detect::tests::ask;
    use crate::model::{Class, Handshake, TlsFacts};

    /// A record of DTLS 1.2.
    fn record(kind: u8, epoch: u8, sequence: u8, content: &[u8]) -> Vec<u8> {
        let len = (content.len() as u16).to_be_bytes();
        join(&[&[kind, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, sequence], &len, content])
    }

    /// A part of a handshake message.
    fn piece(kind: u8, len: usize, offset: usize, bytes: &[u8]) -> Vec<u8> {
        let three = |number: usize| (number as u32).to_be_bytes()[1..].to_vec();
        join(&[&[kind], &three(len), &[0, 0], &three(offset), &three(bytes.len()), bytes])
    }

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        record(22, 0, 0, &piece(kind, body.len(), 0, body))
    }

    fn client_body(extensions: &[Vec<u8>]) -> Vec<u8> {
        let mut body = client_hello(0xfefd, &[], &[0xc02b, 0x1301], extensions);
        body.insert(35, 0); // no cookie
        body
    }

    fn stun() -> Vec<u8> {
        join(&[&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42], &[7; 12]])
    }

    fn probe(datagrams: &[(bool, Vec<u8>)]) -> Outcome {
        let datagrams: Vec<Datagram<'_>> = datagrams
            .iter()
            .map(|(from_client, bytes)| Datagram { from_client: *from_client, bytes, wire_len: bytes.len() })
            .collect();
        ask(&Dtls, Heads { datagrams: &datagrams, from_start: true, ..Heads::default() })
    }

    #[test]
    pub(crate) fn recognition() {
        let encrypted = |evidence| Found::encrypted(Protocol::DTLS, evidence);
        let handshake = Outcome::Found(encrypted(Evidence::Handshake).from_client());
        let one_sided = Outcome::Likely(encrypted(Evidence::OneSided).from_client());
        let framing = Outcome::Found(encrypted(Evidence::Framing));
        let client = message(1, &client_body(&[]));
        let server = message(2, &server_hello(0xfefd, &[], 0xc02b, &[]));
        let verify = message(3, &[0xfe, 0xff, 2, 1, 1]);
        let data = |sequence: u8| record(23, 1, sequence, &[0xa5; 30]);
        let mut half = piece(1, 200, 0, &client_body(&[])[..40]);
        half = record(22, 0, 0, &half);
        let rtp = join(&[&[0x80, 96], &[1; 40]]);
        let trailing = join(&[&client, &[0]]);
        let cases = [
            ("both hellos", vec![(true, client.clone()), (false, server.clone())], handshake),
            ("cookie asked for", vec![(true, client.clone()), (false, verify)], handshake),
            ("client only", vec![(true, client.clone())], one_sided),
            ("client hello in parts", vec![(true, half)], one_sided),
            ("server only", vec![(false, server.clone())], one_sided),
            ("after STUN", vec![(true, stun()), (true, client.clone())], one_sided),
            ("media beside it", vec![(true, client.clone()), (true, rtp.clone())], one_sided),
            ("hellos of both sides", vec![(true, client.clone()), (false, client.clone())], one_sided),
            ("sides exchanged", vec![(false, client.clone())], Outcome::No),
            ("STUN only", vec![(true, stun())], Outcome::NeedMore),
            ("media only", vec![(true, rtp)], Outcome::No),
            ("a byte too many", vec![(true, trailing)], Outcome::No),
            ("three of data", vec![(true, data(1)), (false, data(9)), (true, data(2))], framing),
            ("two of data", vec![(true, data(1)), (false, data(9))], Outcome::NeedMore),
            ("the same one three times", vec![(true, data(1)), (true, data(1)), (true, data(1))], Outcome::NeedMore),
            ("epoch leaps", vec![(true, data(1)), (true, record(23, 9, 2, &[0xa5; 30]))], Outcome::No),
            ("data before a handshake", vec![(true, record(23, 0, 1, &[0xa5; 30]))], Outcome::No),
            ("text", vec![(true, b"GET / HTTP/1.1\r\n".to_vec())], Outcome::No),
            ("nothing", vec![], Outcome::NeedMore),
        ];
        for (name, datagrams, want) in cases {
            assert_eq!(probe(&datagrams), want, "{name}");
        }
    }

    #[test]
    fn opens_a_handshake() {
        let client = message(1, &client_body(&[]));
        assert!(opens_handshake(&client, client.len()));
        let data = record(23, 1, 1, &[0xa5; 30]);
        assert!(!opens_handshake(&data, data.len()));
        assert!(!opens_handshake(&stun(), 20));
    }

    fn run(datagrams: &[(bool, Vec<u8>)]) -> (Vec<bool>, bool, Found, TlsFacts) {
        let mut session = datagrams_session();
        let (mut readable, mut done) = (Vec::new(), false);
        for (from_client, bytes) in datagrams {
            let step = session.feed(*from_client, bytes, Moment { time_ns: 0, wire_len: bytes.len() });
            readable.push(matches!(step, Step::Readable));
            done = matches!(step, Step::Done);
        }
        let mut found = Found::encrypted(Protocol::DTLS, Evidence::OneSided);
        let mut facts = Facts::default();
        session.finish(&mut found, &mut facts);
        (readable, done, found, *facts.tls.unwrap_or_default())
    }

    fn datagrams_session() -> Box<dyn Session> {
        super::datagrams()
    }

    #[test]
    fn a_handshake_in_fragments() {
        let body = client_body(&[]);
        let (first, second) = body.split_at(20);
        let change = |epoch_data: &[u8]| join(&[&record(20, 0, 3, &[1]), &record(22, 1, 0, epoch_data)]);
        let server = message(2, &server_hello(0xfefd, &[], 0xc02b, &[]));
        let exchange = message(12, &[3, 0, 23, 2, 7, 7, 4, 3, 0, 1, 9]);
        for reversed in [false, true] {
            let flight = [
                (true, record(22, 0, 0, &piece(1, body.len(), 20, second))),
                (true, record(22, 0, 1, &piece(1, body.len(), 0, first))),
                (false, join(&[&server, &exchange, &message(14, &[])])),
                (true, change(&[0xa5; 40])),
                (false, change(&[0xa5; 40])),
            ]
            .map(|(from_client, bytes)| (from_client != reversed, bytes));
            let (_, done, found, facts) = run(&flight);
            assert!(done);
            assert_eq!((found.class, found.evidence), (Class::Encrypted, Evidence::Handshake));
            assert_eq!((facts.version, facts.group, facts.signature), (Some(0xfefd), Some(23), Some(0x0403)));
            assert_eq!((facts.handshake, facts.resumed), (Handshake::Completed, false));
            assert!(facts.offer.ja4.is_some_and(|ja4| ja4.starts_with("dd2")));
        }
    }

    #[test]
    pub(crate) fn hostile_datagrams_end() {
        let srtp = extension(14, &[0, 2, 0, 1, 0]);
        let flight = [
            message(1, &client_body(&[srtp])),
            join(&[
                &message(2, &server_hello(0xfefd, &[], 0xc02b, &[])),
                &message(12, &[3, 0, 23, 2, 7, 7, 4, 3, 0, 1, 9]),
            ]),
            record(23, 1, 1, &[0xa5; 30]),
        ];
        for at in 0..flight.iter().map(Vec::len).max().unwrap_or(0) {
            for byte in [0, 1, 0x16, 0x2f, 0x80, 0xff] {
                let mut flow = flight.clone().map(|bytes| (byte % 2 == 0, bytes));
                for (_, bytes) in &mut flow {
                    if let Some(place) = bytes.get_mut(at) {
                        *place = byte;
                    }
                }
                let (_, _, found, _) = run(&flow);
                assert!(found.evidence <= Evidence::Handshake);
                if let Outcome::Found(found) = probe(&flow) {
                    assert_eq!(found.protocol, Protocol::DTLS);
                }
            }
        }
    }

    #[test]
    fn dtls_1_3() {
        let versions = extension(43, &[4, 0xfe, 0xfc, 0xfe, 0xfd]);
        let client = message(1, &client_body(&[versions]));
        let server =
            server_hello(0xfefd, &[], 0x1301, &[extension(43, &[0xfe, 0xfc]), extension(51, &[0, 29, 0, 1, 9])]);
        let unified = |epoch: u8| join(&[&[0x2c | epoch, 0, 1, 0, 60], &[0xa5; 60]]);
        let early = (true, unified(1));
        let base = [(true, client), early, (false, message(2, &server)), (false, unified(2))];
        let (_, done, _, facts) = run(&base);
        assert!(!done);
        assert_eq!((facts.version, facts.handshake), (Some(0xfefc), Handshake::Opened));
        let (_, done, _, facts) = run(&[&base[..], &[(true, unified(2))]].concat());
        assert!(done);
        assert_eq!((facts.handshake, facts.group), (Handshake::Completed, Some(29)));
    }

    #[test]
    fn what_shares_the_ports() {
        let srtp = extension(14, &[0, 2, 0, 1, 0]);
        let media = join(&[&[0x80, 96], &[0xa5; 40]]);
        for (name, extensions, want) in [
            ("SRTP negotiated", vec![srtp.clone()], [true, false, false, false]),
            ("RTP in clear beside DTLS", vec![], [true, false, false, true]),
        ] {
            let flow = [
                (true, stun()),
                (true, message(1, &client_body(&extensions))),
                (false, message(2, &server_hello(0xfefd, &[], 0xc02b, &extensions))),
                (true, media.clone()),
            ];
            let (readable, done, _, facts) = run(&flow);
            assert_eq!(readable, want, "{name}");
            assert!(!done, "{name}: STUN goes on to come");
            assert_eq!(facts.srtp_profile, extensions.first().map(|_| 1), "{name}");
        }
    }
}
