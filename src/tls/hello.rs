//! ClientHello and ServerHello: the facts that both sides show in clear, over TLS, DTLS and QUIC alike.
//!
//! Sources: RFC 8446 section 4.1 and 4.2, RFC 5246 section 7.4.1, RFC 6347 section 4.2.1 (cookie), RFC 9147, the TLS 1.3
//! drafts 18 to 28, RFC 8701 (GREASE), RFC 9849 (ECH); the IANA TLS registries for code points.
//! Evidence: none of its own; a hello is believed when its fixed part is well-formed and possible.
//! Extensions are walked one by one: a malformed one is skipped, and hides no other.
//! Not handled: what TLS 1.3 encrypts (EncryptedExtensions, Certificate), and the ClientHello inside ECH.

use sha2::{Digest, Sha256};

use super::read::{Reader, numbers};
use super::{fingerprint, offer, suite};
use crate::model::TlsFacts;

/// What carries the handshake messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Carrier {
    /// A byte stream (RFC 8446).
    Tls,
    /// Datagrams (RFC 6347, RFC 9147); the hello has a cookie.
    Dtls,
    /// CRYPTO frames of QUIC (RFC 9001).
    Quic,
}

/// Reads a ClientHello (`body`: the message without its header of 4 or 12 bytes) into `facts`.
///
/// The first ClientHello of a flow counts: one that follows a HelloRetryRequest changes nothing.
/// Returns whether the message is a ClientHello; if not, `facts` is left as it was.
pub fn client_hello(body: &[u8], facts: &mut TlsFacts, carrier: Carrier) -> bool {
    let Some(hello) = ClientHello::parse(body, carrier) else { return false };
    if facts.offer.ja3.is_none() {
        read_client(&hello, carrier, facts);
    }
    true
}

/// Reads the first ClientHello of a flow into `facts`.
pub(super) fn read_client(hello: &ClientHello<'_>, carrier: Carrier, facts: &mut TlsFacts) -> offer::Asked {
    let asked = offer::read(hello, carrier, facts);
    for (kind, content) in hello.extensions() {
        if kind == SERVER_NAME
            && let Some(name) = server_name(content)
        {
            facts.server_name = Some(name);
        }
    }
    asked
}

/// Reads a ServerHello (`body` as for [`client_hello`]) into `facts`.
///
/// A HelloRetryRequest sets `hello_retry` and nothing else. A hello that cannot be true (impossible version, a suite
/// that neither the client offered nor any registry knows) is not believed. For TLS 1.2 and earlier `resumed` needs the
/// ClientHello's session ID and is not set here.
/// Returns whether the message is a ServerHello and believed; if not, `facts` is left as it was.
pub fn server_hello(body: &[u8], facts: &mut TlsFacts, carrier: Carrier) -> bool {
    ServerHello::parse(body, carrier).is_some_and(|hello| read_server(&hello, carrier, facts))
}

/// [`server_hello`] of a message that was taken apart.
pub(super) fn read_server(hello: &ServerHello<'_>, carrier: Carrier, facts: &mut TlsFacts) -> bool {
    if hello.random == HELLO_RETRY_RANDOM {
        facts.hello_retry = true;
        return true;
    }
    if !suite::is_known(hello.cipher) && !facts.offer.ciphers.contains(&hello.cipher) {
        return false;
    }
    let Some((version, draft)) = negotiated(hello, carrier) else { return false };
    facts.version = Some(version);
    facts.draft = draft;
    facts.cipher = Some(hello.cipher);
    facts.compression = hello.compression;
    facts.ja3s = Some(fingerprint::ja3s(hello));
    facts.server_random = hello.random.first_chunk().map(|head| u64::from_be_bytes(*head));
    facts.downgrade_sentinel =
        hello.random.starts_with_at(24, b"DOWNGRD") && hello.random.last().is_some_and(|&last| last <= 1);
    let mut psk = false;
    for (kind, content) in hello.extensions() {
        psk |= kind == PRE_SHARED_KEY;
        let _ = server_extension(kind, content, facts);
    }
    if is_tls13(version) {
        facts.resumed = psk;
        facts.psk_only = psk && facts.group.is_none();
    }
    true
}

/// The parts of a ClientHello, none of them interpreted.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientHello<'a> {
    /// `legacy_version`.
    pub(super) version: u16,
    /// `legacy_session_id`.
    pub(super) session_id: &'a [u8],
    /// Cipher suites, two bytes each.
    pub(super) ciphers: &'a [u8],
    extensions: &'a [u8],
}

impl<'a> ClientHello<'a> {
    /// `None` when the part before the extensions is malformed or the version impossible.
    pub(super) fn parse(body: &'a [u8], carrier: Carrier) -> Option<Self> {
        let mut reader = Reader(body);
        let version = reader.u16().filter(|&version| is_legacy_version(version, carrier))?;
        reader.take(RANDOM_LEN)?;
        let session_id = reader.vector8().filter(|id| id.len() <= 32)?;
        if carrier == Carrier::Dtls {
            reader.vector8()?; // cookie
        }
        let ciphers = reader.vector16().filter(|suites| suites.len() >= 2 && suites.len() % 2 == 0)?;
        reader.vector8().filter(|methods| !methods.is_empty())?;
        Some(Self { version, session_id, ciphers, extensions: extension_block(reader) })
    }

    /// Type and content of each extension, up to the first that runs over the end.
    pub(super) fn extensions(&self) -> impl Iterator<Item = (u16, &'a [u8])> {
        extensions(self.extensions)
    }

    /// The content of the extension `kind`, if it was sent.
    pub(super) fn extension(&self, kind: u16) -> Option<&'a [u8]> {
        self.extensions().find_map(|(found, content)| (found == kind).then_some(content))
    }
}

/// The parts of a ServerHello, none of them interpreted.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerHello<'a> {
    /// `legacy_version`.
    pub(super) version: u16,
    random: &'a [u8],
    /// `legacy_session_id_echo`; empty in the drafts before 22, which have none.
    pub(super) session_id: &'a [u8],
    /// Selected suite.
    pub(super) cipher: u16,
    compression: Option<u8>,
    extensions: &'a [u8],
}

impl<'a> ServerHello<'a> {
    /// `None` when the part before the extensions is malformed or the version impossible.
    pub(super) fn parse(body: &'a [u8], carrier: Carrier) -> Option<Self> {
        let mut reader = Reader(body);
        let version = reader.u16().filter(|&version| is_legacy_version(version, carrier))?;
        let random = reader.take(RANDOM_LEN)?;
        // Until draft 21 the TLS 1.3 ServerHello had neither session ID nor compression method, and said its version here.
        let early_draft = version == 0x0304 || is_draft(version);
        let session_id = if early_draft { &[] } else { reader.vector8().filter(|id| id.len() <= 32)? };
        let cipher = reader.u16()?;
        let compression = if early_draft { None } else { Some(reader.u8()?) };
        Some(Self { version, random, session_id, cipher, compression, extensions: extension_block(reader) })
    }

    /// Type and content of each extension, up to the first that runs over the end.
    pub(super) fn extensions(&self) -> impl Iterator<Item = (u16, &'a [u8])> {
        extensions(self.extensions)
    }

    /// Whether this is a HelloRetryRequest (RFC 8446 section 4.1.3).
    pub(super) fn is_retry(&self) -> bool {
        self.random == HELLO_RETRY_RANDOM
    }
}

/// Whether `value` is one of the sixteen reserved two-byte values of RFC 8701.
pub(super) fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

/// Whether `version` (as in [`TlsFacts::version`]) is TLS 1.3 or DTLS 1.3.
pub(super) fn is_tls13(version: u16) -> bool {
    matches!(version, 0x0304 | 0xfefc)
}

/// The first eight bytes of the SHA-256 of a public value, as a number: the same in every run.
pub(super) fn share_digest(value: &[u8]) -> u64 {
    Sha256::digest(value).first_chunk().map_or(0, |head| u64::from_be_bytes(*head))
}

/// The host name in a server_name extension (RFC 6066 section 3).
fn server_name(content: &[u8]) -> Option<Box<str>> {
    let mut names = Reader(Reader(content).vector16()?);
    while names.u8()? != 0 {
        names.vector16()?;
    }
    let name = names.vector16()?;
    Some(String::from_utf8_lossy(name.get(..MAX_NAME).unwrap_or(name)).into())
}

fn server_extension(kind: u16, content: &[u8], facts: &mut TlsFacts) -> Option<()> {
    let mut reader = Reader(content);
    match kind {
        KEY_SHARE | KEY_SHARE_DRAFT => {
            let (group, share) = (reader.u16()?, reader.vector16()?);
            facts.group = Some(group);
            facts.server_share_digest = Some(share_digest(share));
        }
        ALPN => facts.next_protocol = protocols(reader.vector16()?).next().map(Into::into),
        ENCRYPT_THEN_MAC => facts.encrypt_then_mac = true,
        EXTENDED_MASTER_SECRET => facts.extended_master_secret = true,
        RENEGOTIATION_INFO => facts.secure_renegotiation = true,
        TRUNCATED_HMAC => facts.truncated_hmac = true,
        HEARTBEAT => facts.heartbeat = true,
        USE_SRTP => facts.srtp_profile = numbers(reader.vector16()?).next(),
        _ => {}
    }
    Some(())
}

/// The version that a ServerHello stands for, and the draft number if it is a draft of TLS 1.3.
fn negotiated(hello: &ServerHello<'_>, carrier: Carrier) -> Option<(u16, Option<u8>)> {
    let selected = hello
        .extensions()
        .find_map(|(kind, content)| (kind == SUPPORTED_VERSIONS).then(|| Reader(content).u16()))
        .flatten()
        .unwrap_or(hello.version);
    let [high, low] = selected.to_be_bytes();
    match (high, carrier) {
        (0x7f, Carrier::Tls | Carrier::Quic) => Some((0x0304, Some(low))),
        // Facebook's versions of drafts 23 and 26.
        (0xfb, Carrier::Tls | Carrier::Quic) => Some((0x0304, Some(low))),
        // Google's experiments, which became draft 22.
        (0x7e, Carrier::Tls | Carrier::Quic) => Some((0x0304, Some(22))),
        (0x03, Carrier::Tls) if low <= 4 => Some((selected, None)),
        (0x03, Carrier::Quic) if low == 4 => Some((selected, None)),
        (0xfe, Carrier::Dtls) if matches!(low, 0xff | 0xfd | 0xfc) => Some((selected, None)),
        (0x01, Carrier::Dtls) if low == 0 => Some((selected, None)),
        _ => None,
    }
}

/// Whether a hello may carry `version` as its legacy version.
fn is_legacy_version(version: u16, carrier: Carrier) -> bool {
    match carrier {
        Carrier::Tls | Carrier::Quic => matches!(version, 0x0300..=0x0304) || is_draft(version),
        // 0x0100 is what OpenSSL spoke before DTLS 1.0 was a standard, and Cisco AnyConnect still does.
        Carrier::Dtls => matches!(version, 0xfeff | 0xfefd | 0xfefc | 0x0100),
    }
}

fn is_draft(version: u16) -> bool {
    matches!(version, 0x7f01..=0x7f1c)
}

/// The block of extensions at the end of a hello: empty when there is none, and what there is of one that was cut.
fn extension_block(mut reader: Reader<'_>) -> &[u8] {
    let len = reader.u16().unwrap_or(0);
    reader.0.get(..len.into()).unwrap_or(reader.0)
}

fn extensions(block: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut reader = Reader(block);
    std::iter::from_fn(move || Some((reader.u16()?, reader.vector16()?)))
}

/// At most [`MAX_LIST`] names of an ALPN list, GREASE left out.
pub(super) fn protocols(list: &[u8]) -> impl Iterator<Item = String> {
    let mut reader = Reader(list);
    std::iter::from_fn(move || reader.vector8())
        .filter(|name| !matches!(name, [a, b] if is_grease(u16::from_be_bytes([*a, *b]))))
        .take(MAX_LIST)
        .map(|name| String::from_utf8_lossy(name).into_owned())
}

/// Reading at a place inside a byte string.
trait StartsWithAt {
    /// Whether `part` stands at `offset`.
    fn starts_with_at(&self, offset: usize, part: &[u8]) -> bool;
}

impl StartsWithAt for [u8] {
    fn starts_with_at(&self, offset: usize, part: &[u8]) -> bool {
        self.get(offset..).is_some_and(|rest| rest.starts_with(part))
    }
}

const RANDOM_LEN: usize = 32;
/// Names kept of an ALPN list.
const MAX_LIST: usize = 128;
/// Bytes kept of a server name; a DNS name has at most 255.
const MAX_NAME: usize = 1024;

pub(super) const SERVER_NAME: u16 = 0;
const TRUNCATED_HMAC: u16 = 4;
pub(super) const SUPPORTED_GROUPS: u16 = 10;
pub(super) const EC_POINT_FORMATS: u16 = 11;
pub(super) const SIGNATURE_ALGORITHMS: u16 = 13;
pub(super) const USE_SRTP: u16 = 14;
const HEARTBEAT: u16 = 15;
pub(super) const ALPN: u16 = 16;
const ENCRYPT_THEN_MAC: u16 = 22;
const EXTENDED_MASTER_SECRET: u16 = 23;
pub(super) const KEY_SHARE_DRAFT: u16 = 40;
const PRE_SHARED_KEY: u16 = 41;
pub(super) const EARLY_DATA: u16 = 42;
pub(super) const SUPPORTED_VERSIONS: u16 = 43;
pub(super) const KEY_SHARE: u16 = 51;
pub(super) const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
const RENEGOTIATION_INFO: u16 = 0xff01;

/// SHA-256 of "HelloRetryRequest" (RFC 8446 section 4.1.3).
pub(super) const HELLO_RETRY_RANDOM: [u8; RANDOM_LEN] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11,
    0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

#[cfg(test)]
mod tests {
    use super::super::offer::FALLBACK_SCSV;
    use super::super::testing::{client_hello as client, extension, join, list, server_hello as server, vector16};
    use super::*;

    fn read_client(body: &[u8], carrier: Carrier) -> TlsFacts {
        let mut facts = TlsFacts::default();
        assert!(client_hello(body, &mut facts, carrier));
        facts
    }

    #[test]
    fn client_facts_without_grease() {
        let name = join(&[&[0], &vector16(b"a.example")]);
        let extensions = [
            extension(0x1a1a, &[]),
            extension(SERVER_NAME, &vector16(&name)),
            extension(SUPPORTED_GROUPS, &vector16(&list(&[0x2a2a, 0x11ec, 29]))),
            extension(SIGNATURE_ALGORITHMS, &vector16(&list(&[0x0403, 0x0804]))),
            extension(ALPN, &vector16(b"\x02\x3a\x3a\x02h2\x08http/1.1")),
            extension(SUPPORTED_VERSIONS, &join(&[&[6], &list(&[0x4a4a, 0x0304, 0x0303])])),
            extension(KEY_SHARE, &vector16(&join(&[&[0x2a, 0x2a, 0, 1, 0], &[0, 29, 0, 2, 1, 2]]))),
            extension(ENCRYPTED_CLIENT_HELLO, &[0]),
        ];
        let facts = read_client(&client(0x0303, &[], &[0x0a0a, 0x1301, FALLBACK_SCSV], &extensions), Carrier::Tls);
        assert_eq!(facts.offer.ciphers, [0x1301, FALLBACK_SCSV]);
        assert_eq!(facts.offer.versions, [0x0304, 0x0303]);
        assert_eq!(facts.offer.groups, [0x11ec, 29]);
        assert_eq!(facts.offer.signatures, [0x0403, 0x0804]);
        assert_eq!(facts.offer.key_shares, [29]);
        assert_eq!(facts.offer.protocols, ["h2", "http/1.1"]);
        assert_eq!(facts.server_name.as_deref(), Some("a.example"));
        assert!(facts.ech_offered && facts.fallback_scsv);
        assert_eq!((facts.version, facts.cipher), (None, None), "an offer is no negotiation");
    }

    #[test]
    fn a_malformed_extension_hides_no_other() {
        let broken = [extension(SIGNATURE_ALGORITHMS, &[9, 9, 9]), extension(SERVER_NAME, &[1])];
        let versions = [extension(SUPPORTED_VERSIONS, &[2, 3, 4])];
        let facts = read_client(&client(0x0303, &[], &[0x1301], &[&broken[..], &versions].concat()), Carrier::Tls);
        assert_eq!((&facts.offer.versions, facts.server_name), (&vec![0x0304], None));
        let mut facts = TlsFacts::default();
        let broken = [extension(KEY_SHARE, &[0]), extension(SUPPORTED_VERSIONS, &[3, 4])];
        assert!(server_hello(&server(0x0303, &[], 0x1301, &broken), &mut facts, Carrier::Tls));
        assert_eq!((facts.version, facts.group), (Some(0x0304), None));
    }

    #[test]
    fn what_is_no_client_hello() {
        let whole = client(0x0303, &[], &[0x1301], &[]);
        let mut odd = whole.clone();
        odd[36] = 1;
        let mut long_id = whole.clone();
        long_id[34] = 33;
        for (name, body, carrier) in [
            ("empty", &[][..], Carrier::Tls),
            ("cut before the suites", &whole[..36], Carrier::Tls),
            ("odd length of suites", &odd, Carrier::Tls),
            ("long session ID", &long_id, Carrier::Tls),
            ("TLS version in DTLS", &whole, Carrier::Dtls),
            ("DTLS version in TLS", &client(0xfefd, &[], &[0x1301], &[]), Carrier::Tls),
        ] {
            let mut facts = TlsFacts::default();
            assert!(!client_hello(body, &mut facts, carrier), "{name}");
            assert_eq!(facts, TlsFacts::default(), "{name}");
        }
    }

    #[test]
    fn the_first_client_hello_counts() {
        let mut facts = read_client(&client(0x0303, &[], &[0x1301], &[]), Carrier::Quic);
        let before = facts.clone();
        assert!(client_hello(&client(0x0303, &[], &[0x1302], &[]), &mut facts, Carrier::Quic));
        assert_eq!(facts, before);
    }

    #[test]
    fn dtls_has_a_cookie() {
        let mut body = client(0xfefd, &[], &[0xc02b], &[]);
        body.splice(35..35, [2, 8, 8]);
        assert_eq!(read_client(&body, Carrier::Dtls).offer.ciphers, [0xc02b]);
    }

    #[test]
    fn negotiated_versions() {
        use Carrier::{Dtls, Quic, Tls};
        let selected = |version: u16| vec![extension(SUPPORTED_VERSIONS, &version.to_be_bytes())];
        let old_draft = |version: u16| join(&[&version.to_be_bytes(), &[9; 32], &[0x13, 1], &[0, 0]]);
        // name, body, carrier, version and draft
        #[rustfmt::skip]
        let cases = [
            ("TLS 1.2", server(0x0303, &[], 0xc02f, &[]), Tls, Some((0x0303, None))),
            ("SSL 3", server(0x0300, &[], 0x000a, &[]), Tls, Some((0x0300, None))),
            ("TLS 1.3", server(0x0303, &[], 0x1301, &selected(0x0304)), Tls, Some((0x0304, None))),
            ("draft 28", server(0x0303, &[], 0x1301, &selected(0x7f1c)), Tls, Some((0x0304, Some(28)))),
            ("draft 18 without session ID", old_draft(0x7f12), Tls, Some((0x0304, Some(18)))),
            ("a draft before 16", old_draft(0x0304), Tls, Some((0x0304, None))),
            ("Facebook's draft 26", server(0x0303, &[], 0x1301, &selected(0xfb1a)), Tls, Some((0x0304, Some(26)))),
            ("Google's experiment", server(0x0303, &[], 0x1301, &selected(0x7e02)), Tls, Some((0x0304, Some(22)))),
            ("QUIC", server(0x0303, &[], 0x1301, &selected(0x0304)), Quic, Some((0x0304, None))),
            ("QUIC has no TLS 1.2", server(0x0303, &[], 0xc02f, &[]), Quic, None),
            ("DTLS 1.3", server(0xfefd, &[], 0x1301, &selected(0xfefc)), Dtls, Some((0xfefc, None))),
            ("DTLS before the standard", server(0x0100, &[], 0x0039, &[]), Dtls, Some((0x0100, None))),
            ("impossible version", server(0x2a03, &[], 0xc02f, &[]), Tls, None),
            ("impossible selected version", server(0x0303, &[], 0xc02f, &selected(0x0707)), Tls, None),
            ("unheard-of suite", server(0x0303, &[], 0x4b4b, &[]), Tls, None),
        ];
        for (name, body, carrier, want) in cases {
            let mut facts = TlsFacts::default();
            assert_eq!(server_hello(&body, &mut facts, carrier), want.is_some(), "{name}");
            assert_eq!(facts.version.map(|version| (version, facts.draft)), want, "{name}");
            assert_eq!(facts.cipher.is_some(), want.is_some(), "{name}");
        }
    }

    #[test]
    fn an_unheard_of_suite_that_was_offered_is_believed() {
        let mut facts = read_client(&client(0x0303, &[], &[0x4b4b], &[]), Carrier::Tls);
        assert!(server_hello(&server(0x0303, &[], 0x4b4b, &[]), &mut facts, Carrier::Tls));
        assert_eq!(facts.cipher, Some(0x4b4b));
    }

    #[test]
    fn a_retry_decides_nothing() {
        let mut facts = TlsFacts::default();
        assert!(server_hello(&super::super::testing::hello_retry(), &mut facts, Carrier::Tls));
        assert_eq!(facts, TlsFacts { hello_retry: true, ..TlsFacts::default() });
    }

    #[test]
    fn server_extensions() {
        let extensions = [
            extension(ALPN, &vector16(b"\x02h2")),
            extension(ENCRYPT_THEN_MAC, &[]),
            extension(EXTENDED_MASTER_SECRET, &[]),
            extension(RENEGOTIATION_INFO, &[0]),
            extension(USE_SRTP, &[0, 2, 0, 7, 0]),
        ];
        let mut body = server(0x0303, &[], 0xc013, &extensions);
        body.splice(26..34, *b"DOWNGRD\x01");
        let mut facts = TlsFacts::default();
        assert!(server_hello(&body, &mut facts, Carrier::Tls));
        assert!(facts.encrypt_then_mac && facts.extended_master_secret && facts.secure_renegotiation);
        assert!(facts.downgrade_sentinel && !facts.truncated_hmac && !facts.heartbeat);
        assert_eq!((facts.next_protocol.as_deref(), facts.srtp_profile), (Some("h2"), Some(7)));
    }

    #[test]
    fn psk_with_and_without_a_key_share() {
        let base = [extension(SUPPORTED_VERSIONS, &[3, 4]), extension(PRE_SHARED_KEY, &[0, 0])];
        let share = [extension(KEY_SHARE, &[0, 29, 0, 1, 9])];
        for (name, extensions, resumed, psk_only, group) in [
            ("psk_ke", base.to_vec(), true, true, None),
            ("psk_dhe_ke", [&base[..], &share].concat(), true, false, Some(29)),
            ("full", [&base[..1], &share].concat(), false, false, Some(29)),
        ] {
            let mut facts = TlsFacts::default();
            assert!(server_hello(&server(0x0303, &[], 0x1301, &extensions), &mut facts, Carrier::Tls));
            assert_eq!((facts.resumed, facts.psk_only, facts.group), (resumed, psk_only, group), "{name}");
        }
    }
}
