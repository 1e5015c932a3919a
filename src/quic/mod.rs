//! QUIC: Initial packets are opened with their public keys, and their tag is checked.
//!
//! Sources: RFC 8999, RFC 9000, RFC 9001, RFC 9369 (version 2), RFC 9368 (version negotiation), draft-ietf-quic-transport
//! and -tls 23 to 34, mvfst and QUICHE for the numbers of Facebook and Google. See [`version`], [`packet`], [`keys`],
//! [`frame`]; Google's older versions are in [`google`].
//! Evidence: an Initial packet of the client whose tag is right (verified). Without one, long headers of one version
//! whose connection IDs agree over several datagrams and both sides (framing).
//! Flows of short headers only are known by a connection ID that was learnt elsewhere in the capture, when it has been
//! read (association); or by packets of one side that keep to one such ID while all else varies ([`short`], framing).
//! Not handled: the rest of them, above all those whose ends chose short IDs or none. They stay unknown.

mod first;
pub mod frame;
mod google;
mod hmac;
pub mod keys;
pub mod packet;
mod session;
mod short;
pub mod version;

use self::packet::{Kind, Long, Packet, packets};
use crate::detect::{Datagram, Dissector, Found, Heads, Openings, Outcome, Session};
use crate::model::{Evidence, Protocol, Transport};

/// QUIC.
pub(crate) static DISSECTORS: &[&dyn Dissector] = &[&Quic, &google::GoogleQuic];

/// The tests that ask the dissectors of this group; the law of `detect` runs them.
#[cfg(test)]
pub(crate) static TESTS: &[fn()] = &[tests::probes, google::tests::probe];

struct Quic;

impl Dissector for Quic {
    fn protocol(&self) -> Protocol {
        Protocol::QUIC
    }

    fn transport(&self) -> Transport {
        Transport::UDP
    }

    fn openings(&self) -> Openings {
        // A long header, or the fixed bit (RFC 9000 section 17).
        const OPENINGS: Openings = Openings::of(&[0x40..=0xff]);
        OPENINGS
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let firsts: Vec<(bool, Packet<'_>)> = heads
            .datagrams
            .iter()
            .filter_map(|datagram| Some((datagram.from_client, packets(datagram.bytes).next()?)))
            .collect();
        if !firsts.iter().any(|(_, packet)| is_long(packet)) {
            return match heads.datagrams.len() {
                0 => Outcome::No,
                1..PATIENCE if !firsts.is_empty() => Outcome::NeedMore,
                _ if short::keeps_an_id(heads.datagrams) => {
                    Outcome::Likely(Found::encrypted(Protocol::QUIC, Evidence::Framing))
                }
                1..crate::detect::MAX_DATAGRAMS if short::all_short(heads.datagrams) => Outcome::NeedMore,
                _ => Outcome::No,
            };
        }
        for datagram in heads.datagrams {
            if opens_as_client(datagram) {
                return if datagram.from_client {
                    Outcome::Found(Found::encrypted(Protocol::QUIC, Evidence::Verified).from_client())
                } else {
                    Outcome::No // Asked again with the sides exchanged.
                };
            }
        }
        match consistent(&firsts) {
            Some(found) => Outcome::Likely(found),
            None if heads.datagrams.len() >= crate::detect::MAX_DATAGRAMS => Outcome::No,
            None => Outcome::NeedMore,
        }
    }

    fn session(&self, _found: Found) -> Option<Box<dyn Session>> {
        Some(Box::new(session::QuicSession::default()))
    }
}

/// Whether the datagram has an Initial packet that opens with the keys of a client that made up its destination.
fn opens_as_client(datagram: &Datagram<'_>) -> bool {
    packets(datagram.bytes).take(MAX_TRIES).any(|packet| match packet {
        Packet::Long(long) => {
            long.kind == Kind::Initial && long.destination.len() >= MIN_DESTINATION && first::opens(&long)
        }
        _ => false,
    })
}

/// Whether long headers agree so well that they are QUIC although none could be opened: the start is missing, the
/// datagrams were cut short, or the version is unknown.
fn consistent(firsts: &[(bool, Packet<'_>)]) -> Option<Found> {
    let longs = || firsts.iter().filter_map(|(from_client, packet)| Some((*from_client, as_long(packet)?)));
    let framing = Found::encrypted(Protocol::QUIC, Evidence::Framing);
    let (_, one) = longs().find(|(from_client, _)| *from_client).or_else(|| longs().next())?;
    if !longs().all(|(_, long)| long.version == one.version) {
        return negotiated(firsts).then(|| framing.from_client());
    }
    let both_sides = longs().filter(|(from_client, _)| *from_client).any(|(_, client)| {
        longs().filter(|(from_client, _)| !*from_client).any(|(_, server)| {
            server.destination == client.source && (one.version.is_known() || client.source.len() >= 4)
        })
    });
    let count = longs().count();
    let one_side = longs()
        .all(|(from_client, long)| longs().all(|(from, other)| from != from_client || other.source == long.source));
    let agreed = if one.version.is_known() { both_sides || count >= 3 && one_side } else { both_sides && count >= 3 };
    if agreed {
        return Some(framing);
    }
    negotiated(firsts).then(|| framing.from_client())
}

/// Whether the server answered a long header of the client with a version negotiation that repeats both IDs.
fn negotiated(firsts: &[(bool, Packet<'_>)]) -> bool {
    firsts.iter().any(|(from_client, packet)| match packet {
        Packet::Negotiation(answer) if !from_client => firsts.iter().any(|(from_client, packet)| match packet {
            Packet::Long(asked) if *from_client => {
                asked.destination.len() >= MIN_DESTINATION
                    && (answer.destination, answer.source) == (asked.source, asked.destination)
            }
            _ => false,
        }),
        _ => false,
    })
}

fn as_long<'a>(packet: &Packet<'a>) -> Option<Long<'a>> {
    match packet {
        Packet::Long(long) => Some(*long),
        _ => None,
    }
}

/// Whether a packet may be one with a long header: unknown versions must at least keep to what all versions share.
fn is_long(packet: &Packet<'_>) -> bool {
    match packet {
        Packet::Long(long) => {
            long.version.is_known()
                || long.bytes.first().is_some_and(|flags| flags & 0x40 != 0)
                    && long.destination.len() <= 20
                    && long.source.len() <= 20
        }
        Packet::Negotiation(_) => true,
        Packet::Short(_) => false,
    }
}

/// Shortest destination that a client may make up (RFC 9000 section 7.2).
const MIN_DESTINATION: usize = 8;
/// Initial packets of one datagram that are tried.
const MAX_TRIES: usize = 4;
/// Datagrams among which a long header is waited for; after them all must be alike.
const PATIENCE: usize = 4;

#[cfg(test)]
pub(super) mod tests {
    use super::keys::Sender;
    use super::keys::tests::sealed;
    use super::version::Version;
    use super::*;
    use crate::detect::Moment;
    use crate::detect::tests::ask;
    use crate::model::{Facts, Handshake};

    const V1: Version = Version(1);

    fn probe(sent: &[(bool, &[u8])]) -> Outcome {
        let datagrams: Vec<_> =
            sent.iter().map(|&(from_client, bytes)| Datagram { from_client, bytes, wire_len: bytes.len() }).collect();
        ask(&Quic, Heads { datagrams: &datagrams, from_start: true, ..Heads::default() })
    }

    /// A CRYPTO frame at offset 0 with a hello: version, random, session ID, suites and compression, extensions.
    fn hello(kind: u8, suites: &[u8], extensions: &[u8]) -> Vec<u8> {
        let body = [&[3, 3][..], &[0x5a; 32], &[0], suites, &[0, extensions.len() as u8], extensions].concat();
        [&[6, 0, 0x40, (body.len() + 4) as u8, kind, 0, 0, body.len() as u8][..], &body].concat()
    }

    fn client_hello() -> Vec<u8> {
        hello(1, &[0, 2, 0x13, 0x01, 1, 0], &[0, 43, 0, 3, 2, 3, 4])
    }

    fn server_hello() -> Vec<u8> {
        hello(2, &[0x13, 0x01, 0], &[0, 43, 0, 2, 3, 4])
    }

    fn client_initial() -> Vec<u8> {
        sealed(V1, b"original", Sender::Client, [b"original", b"client"], 0, &client_hello())
    }

    fn server_initial() -> Vec<u8> {
        sealed(V1, b"original", Sender::Server, [b"client", b"server"], 0, &server_hello())
    }

    /// A 0-RTT packet of the same client (RFC 9000 section 17.2.3).
    fn early_data() -> Vec<u8> {
        [&[0xd0, 0, 0, 0, 1, 8][..], b"original", &[6], b"client", &[30], &[0x5e; 30]].concat()
    }

    #[test]
    pub(crate) fn probes() {
        let found = Outcome::Found(Found::encrypted(Protocol::QUIC, Evidence::Verified).from_client());
        let framing = Outcome::Likely(Found::encrypted(Protocol::QUIC, Evidence::Framing));
        let negotiated = Outcome::Likely(Found::encrypted(Protocol::QUIC, Evidence::Framing).from_client());
        let (client, server) = (client_initial(), server_initial());
        let cut = client.get(..40).unwrap_or_default();
        let reserved = [&[0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8][..], b"original", &[4], b"mine", &[9; 40]].concat();
        let refusal = [&[0x80, 0, 0, 0, 0, 4][..], b"mine", &[8], b"original", &[0, 0, 0, 1]].concat();
        let stranger = [&[0x80, 0, 0, 0, 0, 4][..], b"else", &[8], b"original", &[0, 0, 0, 1]].concat();
        let rtp = [&[0x80, 0x60, 0, 1][..], &[0; 160]].concat();
        let random = [&[0xd7, 0x91, 0x02, 0x44, 0x1b, 3][..], &[5; 60]].concat();
        let short = [&[0x41][..], &[7; 40]].concat();
        let cases: &[(&str, &[(bool, &[u8])], Outcome)] = &[
            ("client's Initial", &[(true, &client)], found),
            ("behind a lost start", &[(false, &server), (true, &client)], found),
            ("early data alone", &[(true, &early_data())], Outcome::NeedMore),
            ("early data that overtook", &[(true, &early_data()), (true, &client)], found),
            ("sides exchanged", &[(false, &client)], Outcome::No),
            ("server's Initial alone", &[(false, &server)], Outcome::NeedMore),
            ("cut short", &[(true, cut)], Outcome::NeedMore),
            ("cut short on both sides", &[(true, cut), (false, &server)], framing),
            ("three of one side", &[(false, &server), (false, &server), (false, &server)], framing),
            ("a reserved version", &[(true, &reserved)], Outcome::NeedMore),
            ("version negotiation", &[(true, &reserved), (false, &refusal)], negotiated),
            ("negotiation of another connection", &[(true, &reserved), (false, &stranger)], Outcome::NeedMore),
            ("RTP", &[(true, &rtp), (false, &rtp), (true, &rtp), (false, &rtp)], Outcome::No),
            ("random bytes", &[(true, &random[..]); 8], Outcome::No),
            ("short headers only", &[(true, &short), (false, &short)], Outcome::NeedMore),
            ("short headers for long", &[(true, &short[..]); 8], Outcome::No),
            ("DNS", &[(true, &[0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0])], Outcome::No),
            ("nothing", &[(true, &[])], Outcome::No),
        ];
        for (name, sent, want) in cases {
            assert_eq!(probe(sent), *want, "{name}");
        }
    }

    fn read(sent: &[(bool, &[u8])]) -> (Found, Facts) {
        let mut found = Found::encrypted(Protocol::QUIC, Evidence::Framing);
        let mut session = Quic.session(found).expect("QUIC reads on");
        for (from_client, bytes) in sent {
            session.feed(*from_client, bytes, Moment { time_ns: 0, wire_len: bytes.len() });
        }
        let mut facts = Facts::default();
        session.finish(&mut found, &mut facts);
        (found, facts)
    }

    #[test]
    fn reads_the_answer_to_an_initial_cut_short() {
        let (client, server) = (client_initial(), server_initial());
        let cut = client.get(..60).expect("longer");
        let other = sealed(V1, b"another1", Sender::Server, [b"client", b"server"], 0, &server_hello());
        let (found, facts) = read(&[(true, cut), (false, &server)]);
        assert_eq!(found.evidence, Evidence::Verified);
        assert_eq!(facts.tls.and_then(|tls| tls.version), Some(0x0304));
        let (found, facts) = read(&[(true, cut), (false, &other)]);
        assert_eq!(found.evidence, Evidence::Framing, "sealed for another connection");
        assert_eq!(facts.tls.and_then(|tls| tls.version), None);
    }

    #[test]
    fn handshakes() {
        let (client, server) = (client_initial(), server_initial());
        let retry = [&[0xf0, 0, 0, 0, 1, 6][..], b"client", &[5], b"retry", &[0; 40]].concat();
        let again = sealed(V1, b"retry again", Sender::Client, [b"retry again", b"client"], 1, &client_hello());
        let answer = server_hello();
        let after = sealed(V1, b"retry again", Sender::Server, [b"client", b"server"], 0, &answer);
        let other = sealed(Version(0x6b33_43cf), b"original", Sender::Server, [b"client", b"server"], 0, &answer);
        let close = sealed(V1, b"original", Sender::Server, [b"client", b"server"], 0, &[0x1c, 1, 0, 0, 0, 0]);
        let short = [&[0x41][..], &[7; 40]].concat();
        let early = early_data();
        let cases: &[(&str, &[(bool, &[u8])], Handshake, u32)] = &[
            ("client only", &[(true, &client)], Handshake::OneSided, 1),
            ("early data ahead of the answer", &[(true, &client), (true, &early)], Handshake::OneSided, 1),
            ("early data that overtook", &[(true, &early), (true, &client), (false, &server)], Handshake::Opened, 1),
            ("both hellos", &[(true, &client), (false, &server)], Handshake::Opened, 1),
            ("data follows", &[(true, &client), (false, &server), (true, &short)], Handshake::Completed, 1),
            ("data without a hello", &[(true, &client), (true, &short)], Handshake::OneSided, 1),
            (
                "after a Retry",
                &[(true, &client), (false, &retry), (true, &again), (false, &after)],
                Handshake::Opened,
                1,
            ),
            ("another version", &[(true, &client), (false, &other)], Handshake::Opened, 0x6b33_43cf),
            ("closed", &[(true, &client), (false, &close)], Handshake::Failed, 1),
        ];
        for (name, sent, want, version) in cases {
            let (found, facts) = read(sent);
            let tls = facts.tls.expect("TLS facts");
            assert_eq!(tls.handshake, *want, "{name}");
            assert_eq!(tls.offer.ciphers, [0x1301], "{name}");
            assert_eq!(
                tls.version.is_some(),
                sent.iter().any(|(_, bytes)| [&server[..], &after, &other].contains(bytes)),
                "{name}"
            );
            assert_eq!(facts.carrier_version, Some(*version), "{name}");
            assert_eq!(found.evidence, Evidence::Verified, "{name}");
        }
        let (found, facts) = read(&[(false, &server)]);
        assert_eq!((found.evidence, facts.carrier_version), (Evidence::Framing, Some(1)));
    }

    #[test]
    pub(crate) fn hostile_datagrams_end() {
        let initial = [&[0xc0, 0, 0, 0, 1, 8][..], b"original", &[0, 0, 21], &[5; 21]].concat();
        let flood: Vec<u8> = initial.iter().copied().cycle().take(65_000).collect();
        let sent = [(true, &flood[..]); 8];
        assert_eq!(probe(&sent), Outcome::Likely(Found::encrypted(Protocol::QUIC, Evidence::Framing)));
        let (found, _) = read(&sent);
        assert_eq!(found.evidence, Evidence::Framing);
    }
}
