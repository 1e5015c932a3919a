//! SSL 2: its hellos, alone or as the first message of a client that speaks TLS too.
//!
//! Sources: "The SSL Protocol" (Hickman, 1995), RFC 5246 appendix E.2, RFC 6176.
//! Evidence: a header whose length equals the sum of the lengths inside; version, type and list sizes possible.
//! Not handled: three-byte record headers (padding; what is in clear has none), and fingerprints.

use super::read::Reader;
use crate::model::TlsFacts;

/// SSL 2 in [`TlsFacts::version`].
pub(super) const VERSION: u16 = 0x0002;

/// Reads a ClientHello after its type. Returns whether it is one; if not, `facts` is left as it was.
pub(super) fn client_hello(body: &[u8], facts: &mut TlsFacts) -> bool {
    let Some((version, ciphers)) = client_parts(body) else { return false };
    facts.offer.versions = vec![version];
    facts.offer.ciphers = ciphers
        .chunks_exact(3)
        .filter_map(|cipher| match cipher {
            [0, high, low] => Some(u16::from_be_bytes([*high, *low])),
            _ => None,
        })
        .take(MAX_SUITES)
        .collect();
    facts.fallback_scsv = facts.offer.ciphers.contains(&0x5600);
    true
}

/// Reads a ServerHello after its type. Returns whether it is one; if not, `facts` is left as it was.
pub(super) fn server_hello(body: &[u8], facts: &mut TlsFacts) -> bool {
    let known = server_parts(body).is_some();
    if known {
        facts.version = Some(VERSION);
    }
    known
}

/// The cipher kind in a CLIENT-MASTER-KEY after its type; `None` when its lengths do not add up. The client picks it, of what
/// the server offered.
pub(super) fn master_key(body: &[u8]) -> Option<u32> {
    let mut reader = Reader(body);
    let (high, low) = (reader.u8()?, reader.u16()?);
    let [clear, sealed, argument] = [reader.u16()?, reader.u16()?, reader.u16()?].map(usize::from);
    for len in [clear, sealed, argument] {
        reader.take(len)?;
    }
    (reader.is_empty() && sealed > 0).then_some(u32::from(high) << 16 | u32::from(low))
}

/// Whether `head` opens with an SSL 2 hello of this type (1 client, 4 server); `None` while it is too short to tell.
pub(super) fn opens_with(head: &[u8], kind: u8) -> Option<bool> {
    let mut reader = Reader(head);
    let len = match reader.u16() {
        Some(len) if len & 0x8000 != 0 => usize::from(len & 0x7fff),
        Some(_) => return Some(false),
        None => return head.first().is_some_and(|first| first & 0x80 == 0).then_some(false),
    };
    if len > MAX_HELLO || reader.u8().is_some_and(|found| found != kind) {
        return Some(false);
    }
    // Only a whole message can be told from noise: its inner lengths must add up.
    let body = head.get(3..2 + len)?;
    Some(match kind {
        1 => client_parts(body).is_some(),
        _ => server_parts(body).is_some(),
    })
}

/// Version and cipher list of a ClientHello whose lengths add up.
fn client_parts(body: &[u8]) -> Option<(u16, &[u8])> {
    let mut reader = Reader(body);
    let version = reader.u16().filter(|&version| matches!(version, VERSION | 0x0300..=0x0304))?;
    let [ciphers, session_id, challenge] = [reader.u16()?, reader.u16()?, reader.u16()?].map(usize::from);
    let possible = ciphers > 0 && ciphers % 3 == 0 && matches!(session_id, 0 | 16) && (16..=32).contains(&challenge);
    let list = reader.take(ciphers)?;
    reader.take(session_id)?;
    reader.take(challenge)?;
    (possible && reader.is_empty()).then_some((version, list))
}

/// Checks a ServerHello whose lengths add up.
fn server_parts(body: &[u8]) -> Option<()> {
    let mut reader = Reader(body);
    let (hit, certificate_kind, version) = (reader.u8()?, reader.u8()?, reader.u16()?);
    let [certificate, ciphers, connection_id] = [reader.u16()?, reader.u16()?, reader.u16()?].map(usize::from);
    for len in [certificate, ciphers, connection_id] {
        reader.take(len)?;
    }
    let possible = hit <= 1 && certificate_kind <= 1 && version == VERSION && ciphers % 3 == 0;
    (possible && (16..=32).contains(&connection_id) && reader.is_empty()).then_some(())
}

/// Type of the message in which the client sends its key.
pub(super) const MASTER_KEY: u8 = 2;
/// Suites kept; see `hello::MAX_SUITES`.
const MAX_SUITES: usize = 512;
/// Longest hello: a certificate, or a long list of suites.
const MAX_HELLO: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// A ClientHello of `version` with two suites and a challenge of 16 bytes, record header included.
    fn client(version: u16) -> Vec<u8> {
        let [high, low] = version.to_be_bytes();
        let mut bytes = vec![0x80, 31, 1, high, low, 0, 6, 0, 0, 0, 16, 0, 0, 0x2f, 1, 0, 0x80];
        bytes.resize(33, 0xaa);
        bytes
    }

    #[test]
    fn recognises_client_hellos() {
        let mut odd = client(VERSION);
        odd[6] = 7;
        let mut wrong_len = client(VERSION);
        wrong_len[1] = 32;
        for (name, head, want) in [
            ("SSL 2", client(VERSION), Some(true)),
            ("TLS 1.0 behind it", client(0x0301), Some(true)),
            ("cut short", client(VERSION)[..20].to_vec(), None),
            ("version 2.1", client(0x0201), Some(false)),
            ("list length is no multiple of three", odd, Some(false)),
            ("lengths do not add up", [wrong_len, vec![0]].concat(), Some(false)),
            ("another type", [&[0x80, 31, 2], &client(VERSION)[3..]].concat(), Some(false)),
            ("nothing yet", vec![], None),
            ("text", b"GET / HTTP/1.1\r\n".to_vec(), Some(false)),
            ("first byte only", vec![0x80], None),
            ("first byte only, text", vec![b'G'], Some(false)),
        ] {
            assert_eq!(opens_with(&head, 1), want, "{name}");
        }
    }

    #[test]
    fn keeps_the_suites_that_tls_has() {
        let mut facts = TlsFacts::default();
        assert!(client_hello(&client(0x0301)[3..], &mut facts));
        assert_eq!((&facts.offer.versions[..], &facts.offer.ciphers[..]), (&[0x0301][..], &[0x002f][..]));
        assert_eq!(facts.offer.ja3, None);
    }

    #[test]
    fn reads_a_server_hello() {
        let mut body = vec![0, 1, 0, 2, 0, 1, 0, 3, 0, 16, 0xcc, 1, 0, 0x80];
        body.resize(14 + 16, 5);
        let mut facts = TlsFacts::default();
        assert!(server_hello(&body, &mut facts));
        assert_eq!(facts.version, Some(VERSION));
        body.push(0);
        assert!(!server_hello(&body, &mut facts), "a byte too many");
    }

    #[test]
    fn reads_the_cipher_that_the_client_picks() {
        let key = |sealed: u8| [&[7, 0, 0xc0, 0, 0, 0, sealed, 0, 8][..], &[5; 128 + 8]].concat();
        assert_eq!(master_key(&key(128)), Some(0x0700c0));
        assert_eq!(master_key(&key(127)), None, "lengths do not add up");
        assert_eq!(master_key(&[7, 0, 0xc0, 0, 0, 0, 0, 0, 0]), None, "no key");
        assert_eq!(master_key(&[7, 0]), None);
    }
}
