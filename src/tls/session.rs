//! Reads a TLS stream on: from the first hello to the point where everything is encrypted.
//!
//! Bounded: one handshake message a side (see `record`), and [`MAX_BYTES`] of a side at most.

use super::conversation::Conversation;
use super::hello::Carrier;
use super::record::{Event, Stream};
use crate::detect::{Found, Moment, Session, Step};
use crate::model::Facts;

/// What reads on where TLS begins on a stream: at its start, or after an upgrade.
///
/// If what is fed turns out not to be TLS, the class becomes unknown.
#[must_use]
pub fn stream() -> Box<dyn Session> {
    Box::new(TlsSession::new(false))
}

/// The same where the presumed client is the TLS server: the end that opens a connection need not send the ClientHello
/// (FTP data connections in active mode).
#[must_use]
pub fn reversed_stream() -> Box<dyn Session> {
    Box::new(TlsSession::new(true))
}

/// What ends at once, with facts that say that no handshake was seen: for streams recognised in their middle.
pub(super) fn without_handshake() -> Box<dyn Session> {
    Box::new(NoHandshake)
}

#[derive(serde::Serialize, serde::Deserialize)]
struct TlsSession {
    conversation: Conversation,
    sides: [Stream; 2],
    bytes: [usize; 2],
    /// The presumed client is the TLS server.
    reversed: bool,
}

impl TlsSession {
    fn new(reversed: bool) -> Self {
        let conversation = Conversation::new(Carrier::Tls);
        Self { conversation, sides: Default::default(), bytes: [0; 2], reversed }
    }
}

#[typetag::serde(name = "tls/session/TlsSession")]
impl Session for TlsSession {
    fn feed(&mut self, from_client: bool, bytes: &[u8], _moment: Moment) -> Step {
        let from_client = from_client != self.reversed;
        let index = usize::from(!from_client);
        let conversation = &mut self.conversation;
        self.sides[index].feed(bytes, &mut |event| match event {
            Event::Handshake { kind, body } => conversation.handshake(from_client, kind, body),
            Event::Ssl2Hello { kind, body } => conversation.ssl2_hello(from_client, kind, body),
            Event::Ssl2Data => conversation.ssl2_data(from_client),
            Event::ChangeCipherSpec => conversation.change_cipher_spec(from_client),
            Event::Alert { level, description } => conversation.alert(from_client, level, description),
            Event::Protected { kind, len } => conversation.protected(from_client, kind, len),
            Event::NotTls => conversation.not_tls(from_client),
        });
        self.bytes[index] = self.bytes[index].saturating_add(bytes.len());
        let enough = self.bytes.iter().any(|&bytes| bytes > MAX_BYTES);
        if enough || self.conversation.is_settled() { Step::Done } else { Step::Continue }
    }

    fn gap(&mut self, from_client: bool) -> bool {
        let from_client = from_client != self.reversed;
        self.sides[usize::from(!from_client)].end();
        self.conversation.end(from_client);
        !self.conversation.has_ended() && !self.conversation.is_settled()
    }

    fn finish(self: Box<Self>, found: &mut Found, facts: &mut Facts) {
        if self.bytes != [0; 2] {
            self.conversation.finish(found, facts);
        }
    }

    fn memory(&self) -> usize {
        size_of::<Self>() + self.conversation.memory() + self.sides.iter().map(Stream::memory).sum::<usize>()
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct NoHandshake;

#[typetag::serde(name = "tls/session/NoHandshake")]
impl Session for NoHandshake {
    fn feed(&mut self, _from_client: bool, _bytes: &[u8], _moment: Moment) -> Step {
        Step::Done
    }

    fn finish(self: Box<Self>, _found: &mut Found, facts: &mut Facts) {
        facts.tls = Some(Box::default());
    }

    fn memory(&self) -> usize {
        0
    }
}

/// A handshake that takes more than this of one side is not waited for.
const MAX_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::super::testing::{
        client12, client13, extension, handshake, hello_retry, join, message, record, server_hello, server12, server13,
    };
    use super::*;
    use crate::model::{Class, Evidence, Handshake, Protocol, TlsFacts};

    /// One side's bytes.
    type Piece<'a> = (bool, &'a [u8]);

    /// Feeds pieces in chunks of `size`; returns class, evidence, facts, and whether the session was done.
    fn run_with(session: Box<dyn Session>, pieces: &[Piece<'_>], size: usize) -> (Found, TlsFacts, bool) {
        let mut session = session;
        let mut done = false;
        for (from_client, bytes) in pieces {
            for chunk in bytes.chunks(size) {
                let moment = Moment { time_ns: 0, wire_len: chunk.len() };
                done = done || matches!(session.feed(*from_client, chunk, moment), Step::Done);
                assert!(session.memory() < 1 << 20);
            }
        }
        let mut found = Found::encrypted(Protocol::TLS, Evidence::OneSided).from_client();
        let mut facts = Facts::default();
        session.finish(&mut found, &mut facts);
        (found, *facts.tls.unwrap_or_default(), done)
    }

    fn run(pieces: &[Piece<'_>]) -> (Found, TlsFacts, bool) {
        let whole = run_with(stream(), pieces, usize::MAX);
        let bytewise = run_with(stream(), pieces, 1);
        assert_eq!((&whole.0, &whole.1), (&bytewise.0, &bytewise.1), "the size of pieces changes nothing");
        whole
    }

    fn data(len: usize) -> Vec<u8> {
        record(23, &vec![0xa5; len])
    }

    fn change() -> Vec<u8> {
        record(20, &[1])
    }

    fn protected_finished() -> Vec<u8> {
        record(22, &[0xa5; 40])
    }

    /// ServerKeyExchange for x25519 with rsa_pss_rsae_sha256, and ServerHelloDone.
    fn server_rest() -> Vec<u8> {
        join(&[&handshake(12, &[3, 0, 29, 2, 7, 7, 8, 4, 0, 1, 9]), &handshake(14, &[])])
    }

    #[test]
    fn how_far_the_handshake_got() {
        use Handshake::{Completed, Failed, OneSided, Opened, Unused};
        let (c12, s12) = (client12(), join(&[&server12(&[1], 0xc02f), &server_rest()]));
        let (c13, s13) = (client13(), server13());
        let keys = join(&[&handshake(16, &[1, 2]), &change(), &protected_finished()]);
        let end = join(&[&change(), &protected_finished()]);
        let alert = record(21, &[2, 40]);
        let c13_end = join(&[&change(), &data(53)]);
        let c13_alert = join(&[&change(), &data(19)]);
        let both = Evidence::Handshake;
        let cases: &[(&str, &[Piece<'_>], Handshake, Evidence)] = &[
            ("1.2", &[(true, &c12), (false, &s12), (true, &keys), (false, &end), (true, &data(40))], Completed, both),
            ("1.2 without data", &[(true, &c12), (false, &s12), (true, &keys), (false, &end)], Unused, both),
            (
                "1.2, one side after the other",
                &[(true, &c12), (true, &keys), (false, &s12), (false, &end), (false, &data(40))],
                Completed,
                both,
            ),
            ("1.2, client only changed", &[(true, &c12), (false, &s12), (true, &keys)], Opened, both),
            ("1.2, data and no more", &[(true, &c12), (false, &s12), (true, &data(40))], Completed, both),
            ("1.2, refused", &[(true, &c12), (false, &s12), (true, &keys), (false, &alert)], Failed, both),
            ("alert for an answer", &[(true, &c12), (false, &alert)], Failed, both),
            ("warning before the hello", &[(true, &c12), (false, &record(21, &[1, 112])), (false, &s12)], Opened, both),
            ("1.3", &[(true, &c13), (false, &s13), (false, &data(900)), (true, &c13_end)], Completed, both),
            ("1.3, server's data only", &[(true, &c13), (false, &s13), (false, &data(900))], Opened, both),
            ("1.3, protected alert", &[(true, &c13), (false, &s13), (true, &c13_alert)], Opened, both),
            ("client only", &[(true, &c12)], OneSided, Evidence::OneSided),
            ("server only", &[(false, &s12), (false, &end)], OneSided, Evidence::OneSided),
        ];
        for (name, pieces, state, evidence) in cases {
            let (found, facts, _) = run(pieces);
            assert_eq!((facts.handshake, found.evidence), (*state, *evidence), "{name}");
            assert_eq!(found.class, Class::Encrypted, "{name}");
        }
    }

    #[test]
    fn done_when_all_that_is_readable_was_read() {
        let server = join(&[&server12(&[1], 0xc02f), &server_rest()]);
        let end = join(&[&change(), &protected_finished()]);
        let client = join(&[&client12(), &change(), &protected_finished(), &data(40)]);
        let (_, _, early) = run_with(stream(), &[(true, &client), (false, &server)], usize::MAX);
        assert!(!early, "the server's ChangeCipherSpec is missing");
        let (_, facts, done) = run_with(stream(), &[(true, &client), (false, &server), (false, &end)], usize::MAX);
        assert!(done);
        assert_eq!((facts.group, facts.signature), (Some(29), Some(0x0804)));
    }

    #[test]
    fn resumption_of_tls_1_2() {
        let end = join(&[&change(), &protected_finished()]);
        let full = join(&[&server12(&[1], 0xc02f), &server_rest()]);
        for (name, server, resumed) in [
            ("session ID given back", join(&[&server12(&[5; 32], 0xc02f), &end]), true),
            ("another ID, abbreviated (ticket)", join(&[&server12(&[1], 0xc02f), &end]), true),
            ("full", join(&[&full, &end]), false),
            ("ID given back, and yet full", join(&[&server12(&[5; 32], 0xc02f), &server_rest(), &end]), false),
        ] {
            let (_, facts, _) = run(&[(true, &client12()), (false, &server), (true, &end), (true, &data(40))]);
            assert_eq!((facts.resumed, facts.handshake), (resumed, Handshake::Completed), "{name}");
        }
    }

    #[test]
    fn the_hello_after_a_retry_counts() {
        let client = join(&[&client13(), &change(), &client13(), &data(53)]);
        let server = join(&[&handshake(2, &hello_retry()), &change(), &server13(), &data(900)]);
        let (_, facts, done) = run_with(stream(), &[(true, &client), (false, &server)], usize::MAX);
        assert!(done && facts.hello_retry);
        assert_eq!((facts.version, facts.cipher, facts.group), (Some(0x0304), Some(0x1301), Some(29)));
        let (_, facts, _) = run(&[(true, &client13()), (false, &handshake(2, &hello_retry()))]);
        assert_eq!((facts.version, facts.handshake), (None, Handshake::Opened), "a retry alone decides nothing");
    }

    #[test]
    fn ech_shows_what_it_is_behind_a_retry() {
        let hello = |ech: &[u8]| {
            let extensions = [extension(43, &[2, 3, 4]), extension(0xfe0d, ech)];
            handshake(1, &super::super::testing::client_hello(0x0303, &[], &[0x1301], &extensions))
        };
        let outer =
            |enc: &[u8], payload: u8| join(&[&[0, 0, 1, 0, 1, 9, 0, enc.len() as u8], enc, &[0, 2, payload, payload]]);
        let (first, real, other) = (outer(&[7; 32], 1), outer(&[], 2), outer(&[8; 32], 3));
        let retry = join(&[&handshake(2, &hello_retry()), &change(), &server13(), &data(900)]);
        let plain = join(&[&server13(), &data(900)]);
        for (name, second, server, want) in [
            ("repeated", &first, &retry, false),
            ("real", &real, &retry, true),
            ("another key", &other, &retry, false),
            ("no retry", &real, &plain, false),
        ] {
            let client = join(&[&hello(&first), &change(), &hello(second), &data(53)]);
            for order in [[(true, &client), (false, server)], [(false, server), (true, &client)]] {
                let pieces: Vec<Piece<'_>> = order.iter().map(|(side, bytes)| (*side, &bytes[..])).collect();
                let (_, facts, _) = run(&pieces);
                assert_eq!((facts.ech_offered, facts.ech_real), (true, want), "{name}");
            }
        }
    }

    #[test]
    fn classes_other_than_encrypted() {
        let end = join(&[&change(), &protected_finished()]);
        let null = server12(&[1], 0x003b);
        let integrity = [extension(43, &[3, 4]), extension(51, &[0, 29, 0, 1, 9])];
        let integrity = handshake(2, &server_hello(0x0303, &[], 0xc0b4, &integrity));
        let bogus = handshake(2, &server_hello(0x0303, &[1], 0x4b4b, &[]));
        let (c12, c13) = (client12(), client13());
        let cases: &[(&str, &[Piece<'_>], Class, Evidence)] = &[
            (
                "NULL",
                &[(true, &c12), (false, &null), (true, &end), (false, &end)],
                Class::Plaintext,
                Evidence::Handshake,
            ),
            ("integrity only", &[(true, &c13), (false, &integrity)], Class::Plaintext, Evidence::Handshake),
            (
                "NULL offered, not taken",
                &[(true, &c12), (false, &server12(&[1], 0xc02f))],
                Class::Encrypted,
                Evidence::Handshake,
            ),
            (
                "answer in clear",
                &[(true, &c12), (false, b"HTTP/1.1 400 Bad Request\r\n")],
                Class::Unknown,
                Evidence::None,
            ),
            ("no TLS at all", &[(true, b"EHLO example.org\r\n")], Class::Unknown, Evidence::None),
            (
                "bogus hello, then records",
                &[(true, &c12), (false, &bogus), (false, &data(60))],
                Class::Encrypted,
                Evidence::OneSided,
            ),
            (
                "bogus hello, then noise",
                &[(true, &c12), (false, &bogus), (false, &[0xa5; 60])],
                Class::Unknown,
                Evidence::None,
            ),
        ];
        for (name, pieces, class, evidence) in cases {
            let (found, facts, _) = run(pieces);
            assert_eq!((found.class, found.evidence), (*class, *evidence), "{name}");
            if name.starts_with("bogus") {
                assert_eq!((facts.version, facts.cipher), (None, None), "{name}");
            }
        }
    }

    #[test]
    fn ssl2_alone() {
        let mut client = vec![0x80, 31, 1, 0, 2, 0, 6, 0, 0, 0, 16, 0, 0, 0x2f, 1, 0, 0x80];
        client.resize(33, 0xaa);
        client.extend([0x80, 20, 2]);
        client.extend([7; 19]);
        let mut server = vec![0x80, 31, 4, 0, 1, 0, 2, 0, 1, 0, 3, 0, 16, 0xcc, 1, 0, 0x80];
        server.resize(33, 5);
        server.extend([0x80, 17, 9, 9, 9, 9]);
        let (found, facts, _) = run(&[(true, &client), (false, &server)]);
        assert_eq!((found.class, found.evidence), (Class::Encrypted, Evidence::Handshake));
        assert_eq!((facts.version, facts.cipher, facts.handshake), (Some(2), None, Handshake::Completed));
        assert_eq!(facts.offer.ja3, None);
    }

    #[test]
    fn a_gap_stops_one_side_and_not_the_other() {
        let mut session = stream();
        let moment = Moment { time_ns: 0, wire_len: 0 };
        session.feed(true, &client12(), moment);
        session.feed(false, &server12(&[1], 0xc02f), moment);
        assert!(session.gap(false));
        // What follows a gap is the middle of something: it must not be read as messages.
        session.feed(false, &handshake(2, &server_hello(0x0303, &[], 0x002f, &[])), moment);
        assert!(matches!(session.feed(true, &data(40), moment), Step::Done));
        let mut found = Found::encrypted(Protocol::TLS, Evidence::Handshake);
        let mut facts = Facts::default();
        session.finish(&mut found, &mut facts);
        let facts = *facts.tls.unwrap_or_default();
        assert_eq!((facts.cipher, facts.handshake, facts.resumed), (Some(0xc02f), Handshake::Completed, false));
    }

    #[test]
    fn the_opener_may_be_the_server() {
        let (found, facts, _) = run_with(reversed_stream(), &[(true, &server13()), (false, &client13())], 7);
        assert_eq!((facts.version, found.evidence), (Some(0x0304), Evidence::Handshake));
    }

    #[test]
    fn hostile_bytes_end() {
        let mut seed = 1_u32;
        let seeds = [
            client12(),
            client13(),
            server13(),
            server12(&[1], 0xc02f),
            server_rest(),
            record(22, &message(11, &[0; 90])),
        ];
        for round in 0..4000 {
            let mut bytes = seeds.iter().skip(round % 3).flatten().copied().collect::<Vec<_>>();
            for _ in 0..3 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = (seed >> 8) as usize % bytes.len();
                bytes[at] = seed as u8;
            }
            let (found, _, _) = run_with(stream(), &[(round % 2 == 0, &bytes), (round % 2 == 1, &bytes)], 50);
            assert!(found.evidence <= Evidence::Handshake);
        }
    }
}
