//! What a ClientHello offers, and its fingerprints: all that it says but the server's name, random numbers and keys.
//!
//! Sources: as in [`super::hello`]. Extensions are walked one by one: a malformed one is skipped, and hides no other.
//! Most hellos repeat what another one offered. So what came of the latest is remembered by exactly the bytes that decide
//! it ([`Memo`]), and the lists and digests are made once for each kind of client.

use std::cell::RefCell;

use super::fingerprint;
use super::hello::{
    ALPN, Carrier, ClientHello, EARLY_DATA, EC_POINT_FORMATS, ENCRYPTED_CLIENT_HELLO, KEY_SHARE, KEY_SHARE_DRAFT,
    SIGNATURE_ALGORITHMS, SUPPORTED_GROUPS, SUPPORTED_VERSIONS, USE_SRTP, is_grease, protocols,
};
use super::memo::{Memo, Question, Room};
use super::read::{Reader, numbers};
use crate::model::{Offer, SharedOffer, TlsFacts};

/// Reads what `hello` offers into `facts`.
pub(super) fn read(hello: &ClientHello<'_>, carrier: Carrier, facts: &mut TlsFacts) -> Asked {
    thread_local! {
        static KNOWN: RefCell<Memo<Said>> = RefCell::new(Memo::new(MEMO_BYTES));
    }
    let said = || {
        let said = Said::of(hello, carrier);
        let bytes = said.offer.memory();
        (said, bytes)
    };
    let mut room = Room::default();
    let known = match question(hello, carrier, &mut room) {
        Some(question) => KNOWN.with_borrow_mut(|known| known.recall(question, said)),
        None => said().0,
    };
    facts.offer = known.offer;
    facts.fallback_scsv = known.fallback_scsv;
    facts.ech_offered = known.ech_offered;
    known.asked
}

/// What a client asked for that matters to how the rest of its handshake is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// It may send data before the server's answer.
    pub(super) early_data: bool,
    /// It offered SRTP.
    pub(super) srtp: bool,
}

/// What was read of a hello.
#[derive(Clone)]
struct Said {
    offer: SharedOffer,
    fallback_scsv: bool,
    ech_offered: bool,
    asked: Asked,
}

impl Said {
    fn of(hello: &ClientHello<'_>, carrier: Carrier) -> Self {
        let (ja3, ja4) = fingerprint::of_client(hello, carrier);
        let mut offer = Offer {
            versions: vec![hello.version],
            ciphers: offered(hello.ciphers, MAX_SUITES),
            ja3: Some(ja3),
            ja4: Some(ja4),
            ..Offer::default()
        };
        for (kind, content) in hello.extensions() {
            // A malformed extension says nothing; the others still do.
            let _ = read_extension(kind, content, &mut offer);
        }
        Self {
            offer: offer.into(),
            fallback_scsv: numbers(hello.ciphers).any(|suite| suite == FALLBACK_SCSV),
            ech_offered: hello.extension(ENCRYPTED_CLIENT_HELLO).is_some(),
            asked: Asked {
                early_data: hello.extension(EARLY_DATA).is_some(),
                srtp: hello.extension(USE_SRTP).is_some(),
            },
        }
    }
}

fn read_extension(kind: u16, content: &[u8], offer: &mut Offer) -> Option<()> {
    let mut reader = Reader(content);
    match kind {
        SUPPORTED_GROUPS => offer.groups = offered(reader.vector16()?, MAX_LIST),
        SIGNATURE_ALGORITHMS => offer.signatures = offered(reader.vector16()?, MAX_LIST),
        ALPN => offer.protocols = protocols(reader.vector16()?).collect(),
        SUPPORTED_VERSIONS => {
            let versions = offered(reader.vector8()?, MAX_LIST);
            if !versions.is_empty() {
                offer.versions = versions;
            }
        }
        KEY_SHARE | KEY_SHARE_DRAFT => {
            let groups = share_groups(reader.vector16()?).filter(|group| !is_grease(*group)).take(MAX_LIST);
            // 40 was key_share until draft 22; anything else under that number must not wipe out the real one.
            if kind == KEY_SHARE || offer.key_shares.is_empty() {
                offer.key_shares = groups.collect();
            }
        }
        _ => {}
    }
    Some(())
}

/// The groups of key shares; their keys are skipped.
fn share_groups(shares: &[u8]) -> impl Iterator<Item = u16> {
    let mut shares = Reader(shares);
    std::iter::from_fn(move || {
        let group = shares.u16()?;
        shares.vector16()?;
        Some(group)
    })
}

/// All that decides what [`Said::of`] gives, as one string of bytes; `None` when it is longer than is worth remembering.
fn question<'r>(hello: &ClientHello<'_>, carrier: Carrier, room: &'r mut Room) -> Option<&'r [u8]> {
    let mut question = Question::new(room);
    question.add(&[carrier as u8]);
    question.add(&hello.version.to_be_bytes());
    question.add_list(hello.ciphers);
    for (kind, content) in hello.extensions() {
        question.add(&kind.to_be_bytes());
        match kind {
            SUPPORTED_GROUPS | EC_POINT_FORMATS | SIGNATURE_ALGORITHMS | SUPPORTED_VERSIONS | ALPN => {
                question.add_list(content);
            }
            KEY_SHARE | KEY_SHARE_DRAFT => match Reader(content).vector16() {
                Some(shares) => {
                    question.add(&(share_groups(shares).count() as u32).to_be_bytes());
                    share_groups(shares).for_each(|group| question.add(&group.to_be_bytes()));
                }
                None => question.add(&u32::MAX.to_be_bytes()),
            },
            _ => {}
        }
    }
    question.done()
}

/// At most `limit` numbers of a list, GREASE left out.
fn offered(list: &[u8], limit: usize) -> Vec<u16> {
    let list: Box<[u16]> = numbers(list).filter(|&value| !is_grease(value)).take(limit).collect();
    list.into_vec()
}

/// The registry has some 360 suites; a longer list is cut here, not in the fingerprints.
const MAX_SUITES: usize = 512;
/// Entries kept of any other list.
const MAX_LIST: usize = 128;
pub(super) const FALLBACK_SCSV: u16 = 0x5600;
/// Memory of what is remembered: more than a thousand kinds of clients. Unit: bytes.
const MEMO_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::super::hello::{SERVER_NAME, client_hello};
    use super::super::testing::{client_hello as hello, extension, join, list, vector16};
    use super::*;

    /// What is read of a hello is a matter of the bytes that its question is made of, and of no others.
    #[test]
    fn what_a_client_makes_up_anew_does_not_count() {
        let share = |group: u16, key: &[u8]| {
            extension(KEY_SHARE, &vector16(&join(&[&group.to_be_bytes(), &vector16(key), &[0x2a, 0x2a, 0, 1, 0]])))
        };
        let groups = |groups: &[u16]| extension(SUPPORTED_GROUPS, &vector16(&list(groups)));
        let name = |name: &[u8]| extension(SERVER_NAME, &vector16(&join(&[&[0], &vector16(name)])));
        let first =
            hello(0x0303, &[1; 32], &[0x1301, 0x1302], &[name(b"a.example"), groups(&[29, 23]), share(29, &[7; 32])]);
        let of = |suites: &[u16], extensions: &[Vec<u8>]| hello(0x0303, &[2; 32], suites, extensions);
        let suites = [0x1301, 0x1302];
        let cases = [
            ("name, session and key", of(&suites, &[name(b"b.example"), groups(&[29, 23]), share(29, &[8; 32])]), true),
            ("length of the key", of(&suites, &[name(b"b.example"), groups(&[29, 23]), share(29, &[8; 65])]), true),
            ("no name", of(&suites, &[groups(&[29, 23]), share(29, &[7; 32])]), false),
            (
                "other suites",
                of(&[0x1301, 0x1303], &[name(b"a.example"), groups(&[29, 23]), share(29, &[7; 32])]),
                false,
            ),
            ("other groups", of(&suites, &[name(b"a.example"), groups(&[29, 24]), share(29, &[7; 32])]), false),
            ("another share", of(&suites, &[name(b"a.example"), groups(&[29, 23]), share(23, &[7; 32])]), false),
            ("another order", of(&suites, &[groups(&[29, 23]), name(b"a.example"), share(29, &[7; 32])]), false),
            (
                "a share that cannot be read",
                of(&suites, &[name(b"a.example"), groups(&[29, 23]), extension(KEY_SHARE, &[9])]),
                false,
            ),
        ];
        let asked = |body: &[u8]| {
            let mut room = Room::default();
            let hello = ClientHello::parse(body, Carrier::Tls);
            hello.and_then(|hello| question(&hello, Carrier::Tls, &mut room).map(<[u8]>::to_vec))
        };
        let read = |body: &[u8]| {
            let mut facts = TlsFacts::default();
            assert!(client_hello(body, &mut facts, Carrier::Tls));
            facts
        };
        let before = read(&first);
        for (name, body, same) in cases {
            assert_eq!(asked(&body) == asked(&first), same, "{name}");
            assert_eq!(read(&body).offer == before.offer, same, "{name}");
        }
        assert_eq!(read(&first), before, "when it is remembered");
    }

    #[test]
    fn a_hello_too_long_to_be_remembered_is_read_all_the_same() {
        let suites: Vec<u16> = (0..400).collect();
        let mut facts = TlsFacts::default();
        assert!(client_hello(&hello(0x0303, &[], &suites, &[]), &mut facts, Carrier::Tls));
        assert_eq!(facts.offer.ciphers, suites);
        assert!(facts.offer.ja3.is_some());
    }
}
