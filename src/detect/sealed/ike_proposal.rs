//! What the two sides of IKE agreed on: the proposal that the responder sends back.
//!
//! Sources: RFC 7296 section 3.3 (version 2), RFC 2408 sections 3.4 to 3.6 and RFC 2409 appendix A (version 1), IANA
//! "Internet Key Exchange Version 2 (IKEv2) Parameters", RFC 9370 (additional key exchanges).
//! It protects IKE itself. What ESP uses is agreed behind it, encrypted, and is not seen.

use super::{u16_at, u32_at};
use crate::model::Algorithms;

/// The algorithms in a responder's message; `None` when it holds no proposal. `message` begins with the IKE header.
pub(super) fn chosen(message: &[u8]) -> Option<Algorithms> {
    if is_offer(message)? {
        return None;
    }
    let (proposal, version) = proposals(message)?;
    read_proposal(proposal, version)
}

/// Whether this is the initiator's offer and one of its proposals has ML-KEM in it (RFC 9370, draft-ietf-ipsecme-ikev2-mlkem).
pub(super) fn offers_post_quantum(message: &[u8]) -> bool {
    is_offer(message) == Some(true) && ml_kem_in_offer(message) == Some(true)
}

fn ml_kem_in_offer(message: &[u8]) -> Option<bool> {
    let (mut rest, _) = proposals(message).filter(|(_, version)| *version == 2)?;
    for _ in 0..MOST_PAYLOADS {
        let len = usize::from(u16_at(rest, 2)?);
        let proposal = rest.get(..len)?;
        let mut transforms = proposal.get(8 + usize::from(*proposal.get(6)?)..)?;
        while let (Some(len), Some(&kind), Some(id)) = (u16_at(transforms, 2), transforms.get(4), u16_at(transforms, 6))
        {
            if matches!(kind, 4 | 6..=12) && ML_KEM.contains(&id) {
                return Some(true);
            }
            transforms = transforms.get(usize::from(len).max(8)..).unwrap_or_default();
        }
        if *rest.first()? == 0 {
            break;
        }
        rest = rest.get(len.max(8)..)?;
    }
    Some(false)
}

/// Whether a message comes before any answer: the responder has no SPI yet.
fn is_offer(message: &[u8]) -> Option<bool> {
    Some(u32_at(message, 8)? == 0 && u32_at(message, 12)? == 0)
}

/// The proposals of a message that opens an exchange, and the version of IKE.
fn proposals(message: &[u8]) -> Option<(&[u8], u8)> {
    let (&first, version) = (message.get(16)?, message.get(17)? >> 4);
    let wanted = match (version, message.get(18)?) {
        (2, 34) => 33,
        (1, 2 | 4) => 1,
        _ => return None,
    };
    let mut kind = first;
    let mut rest = message.get(28..)?;
    for _ in 0..MOST_PAYLOADS {
        let len = usize::from(u16_at(rest, 2)?);
        let body = rest.get(4..len)?;
        if kind == wanted {
            // Version 1 puts domain and situation first.
            return Some((if version == 1 { body.get(8..)? } else { body }, version));
        }
        kind = *rest.first()?;
        rest = rest.get(len..)?;
        if kind == 0 {
            break;
        }
    }
    None
}

/// Key exchange numbers of ML-KEM.
const ML_KEM: std::ops::RangeInclusive<u16> = 35..=37;
const MOST_PAYLOADS: usize = 32;
const MOST_TRANSFORMS: usize = 32;

fn read_proposal(proposal: &[u8], version: u8) -> Option<Algorithms> {
    let spi_len = usize::from(*proposal.get(6)?);
    let count = usize::from(*proposal.get(7)?).min(MOST_TRANSFORMS);
    let mut rest = proposal.get(8 + spi_len..)?;
    let mut found = Algorithms::default();
    for _ in 0..count {
        let len = usize::from(u16_at(rest, 2)?);
        let transform = rest.get(..len).filter(|transform| transform.len() >= 8)?;
        let attributes = transform.get(8..).unwrap_or_default();
        if version == 2 {
            take_transform(&mut found, *transform.get(4)?, u16_at(transform, 6)?, attribute(attributes, 14));
        } else {
            let cipher = attribute(attributes, 1).map(|id| named(&CIPHERS_1, id, attribute(attributes, 14)));
            found.cipher = found.cipher.or(cipher);
            found.mac = found.mac.or(attribute(attributes, 2).map(|id| named(&HASHES_1, id, None)));
            found.kex = found.kex.or(attribute(attributes, 4).map(|id| named(&GROUPS, id, None)));
        }
        rest = rest.get(len..)?;
    }
    (found != Algorithms::default()).then_some(found)
}

/// One transform of version 2. Additional key exchanges are joined to the first by `+`.
fn take_transform(found: &mut Algorithms, kind: u8, id: u16, key_bits: Option<u16>) {
    match kind {
        1 => found.cipher = Some(named(&CIPHERS, id, key_bits)),
        3 => found.mac = Some(named(&MACS, id, None)),
        4 => found.kex = Some(named(&GROUPS, id, None)),
        6..=12 if id != 0 => {
            let first = found.kex.take().map(|first| first + "+").unwrap_or_default();
            found.kex = Some(first + &named(&GROUPS, id, None));
        }
        _ => {}
    }
}

/// The value of a short attribute (the first bit of its type is set).
fn attribute(mut attributes: &[u8], kind: u16) -> Option<u16> {
    for _ in 0..MOST_TRANSFORMS {
        let (found, value) = (u16_at(attributes, 0)?, u16_at(attributes, 2)?);
        let len = if found & 0x8000 == 0 { usize::from(value) } else { 0 };
        if found == kind | 0x8000 {
            return Some(value);
        }
        attributes = attributes.get(4 + len..)?;
    }
    None
}

/// The name of a number, with the key length where there is one; the number itself where it has no name here.
fn named(names: &[(u16, &str)], id: u16, key_bits: Option<u16>) -> String {
    let name = names.iter().find(|(known, _)| *known == id).map(|(_, name)| *name);
    let name = name.map_or_else(|| id.to_string(), str::to_owned);
    key_bits.map_or_else(|| name.clone(), |bits| format!("{name}-{bits}"))
}

/// Encryption of version 2.
const CIPHERS: [(u16, &str); 18] = [
    (2, "des"),
    (3, "3des"),
    (4, "rc5"),
    (5, "idea"),
    (6, "cast"),
    (7, "blowfish"),
    (11, "null"),
    (12, "aes-cbc"),
    (13, "aes-ctr"),
    (14, "aes-ccm-8"),
    (15, "aes-ccm-12"),
    (16, "aes-ccm-16"),
    (18, "aes-gcm-8"),
    (19, "aes-gcm-12"),
    (20, "aes-gcm-16"),
    (23, "camellia-cbc"),
    (24, "camellia-ctr"),
    (28, "chacha20-poly1305"),
];
/// Encryption of version 1.
const CIPHERS_1: [(u16, &str); 8] = [
    (1, "des"),
    (2, "idea"),
    (3, "blowfish"),
    (4, "rc5"),
    (5, "3des"),
    (6, "cast"),
    (7, "aes-cbc"),
    (8, "camellia-cbc"),
];
const MACS: [(u16, &str); 6] = [
    (1, "hmac-md5-96"),
    (2, "hmac-sha1-96"),
    (5, "aes-xcbc-96"),
    (12, "hmac-sha2-256-128"),
    (13, "hmac-sha2-384-192"),
    (14, "hmac-sha2-512-256"),
];
const HASHES_1: [(u16, &str); 5] = [(1, "md5"), (2, "sha1"), (4, "sha2-256"), (5, "sha2-384"), (6, "sha2-512")];
const GROUPS: [(u16, &str); 25] = [
    (1, "modp768"),
    (2, "modp1024"),
    (5, "modp1536"),
    (14, "modp2048"),
    (15, "modp3072"),
    (16, "modp4096"),
    (17, "modp6144"),
    (18, "modp8192"),
    (19, "ecp256"),
    (20, "ecp384"),
    (21, "ecp521"),
    (22, "modp1024s160"),
    (23, "modp2048s224"),
    (24, "modp2048s256"),
    (25, "ecp192"),
    (26, "ecp224"),
    (27, "brainpool224"),
    (28, "brainpool256"),
    (29, "brainpool384"),
    (30, "brainpool512"),
    (31, "curve25519"),
    (32, "curve448"),
    (35, "ml-kem-512"),
    (36, "ml-kem-768"),
    (37, "ml-kem-1024"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn message(version: u8, exchange: u8, responder: u8, first: u8, payloads: &[u8]) -> Vec<u8> {
        let head = [&[5; 8][..], &[responder; 8], &[first, version, exchange, 0x20], &[0; 8]].concat();
        [&head, payloads].concat()
    }

    fn payload(next: u8, body: &[u8]) -> Vec<u8> {
        [&[next, 0, 0, 4 + body.len() as u8][..], body].concat()
    }

    fn transform(kind: u8, id: u8, attributes: &[u8]) -> Vec<u8> {
        [&[3, 0, 0, 8 + attributes.len() as u8, kind, 0, 0, id][..], attributes].concat()
    }

    fn proposal(transforms: &[Vec<u8>]) -> Vec<u8> {
        let body = transforms.concat();
        [&[0, 0, 0, 8 + body.len() as u8, 1, 1, 0, transforms.len() as u8][..], &body].concat()
    }

    fn words(kex: &str, cipher: &str, mac: Option<&str>) -> Option<Algorithms> {
        let mac = mac.map(str::to_owned);
        Some(Algorithms { kex: Some(kex.to_owned()), cipher: Some(cipher.to_owned()), mac, ..Algorithms::default() })
    }

    #[test]
    fn post_quantum_in_the_offer() {
        let (hybrid, plain) = ([transform(4, 31, &[]), transform(6, 36, &[])], [transform(4, 31, &[])]);
        let mut first = proposal(&plain);
        first[0] = 2; // Another proposal follows.
        let second = [first, proposal(&hybrid)].concat();
        let cases = [
            ("offered", 0, proposal(&hybrid), true),
            ("in the second proposal", 0, second, true),
            ("not offered", 0, proposal(&plain), false),
            ("an answer", 9, proposal(&hybrid), false),
        ];
        for (name, responder, proposals, want) in cases {
            let message = message(0x20, 34, responder, 33, &payload(0, &proposals));
            assert_eq!(offers_post_quantum(&message), want, "{name}");
            for end in 0..message.len() {
                assert!(!offers_post_quantum(&message[..end]) || want, "{name}, {end} bytes");
            }
        }
    }

    #[test]
    fn what_the_responder_chose() {
        let key_256 = [0x80, 14, 1, 0];
        let second = proposal(&[transform(1, 20, &key_256), transform(2, 5, &[]), transform(4, 31, &[])]);
        let hybrid = proposal(&[transform(1, 20, &key_256), transform(4, 31, &[]), transform(6, 36, &[])]);
        let old = proposal(&[transform(1, 3, &[]), transform(3, 2, &[]), transform(4, 2, &[])]);
        let first = [0x80, 1, 0, 7, 0x80, 14, 0, 128, 0x80, 2, 0, 2, 0x80, 4, 0, 2, 0, 12, 0, 4, 0, 0, 0x70, 0x80];
        let first = [&[0, 0, 0, 1, 0, 0, 0, 1][..], &proposal(&[transform(1, 1, &first)])].concat();
        let behind = [payload(33, &[0; 6]), payload(0, &second)].concat();
        let cases: &[(&str, Vec<u8>, Option<Algorithms>)] = &[
            ("AEAD", message(0x20, 34, 9, 33, &payload(0, &second)), words("curve25519", "aes-gcm-16-256", None)),
            (
                "hybrid",
                message(0x20, 34, 9, 33, &payload(0, &hybrid)),
                words("curve25519+ml-kem-768", "aes-gcm-16-256", None),
            ),
            ("old", message(0x20, 34, 9, 33, &payload(0, &old)), words("modp1024", "3des", Some("hmac-sha1-96"))),
            ("behind another payload", message(0x20, 34, 9, 41, &behind), words("curve25519", "aes-gcm-16-256", None)),
            ("version 1", message(0x10, 2, 9, 1, &payload(0, &first)), words("modp1024", "aes-cbc-128", Some("sha1"))),
            ("the initiator's offer", message(0x20, 34, 0, 33, &payload(0, &second)), None),
            ("encrypted", message(0x20, 35, 9, 46, &payload(33, &second)), None),
            ("no proposal", message(0x20, 34, 9, 41, &payload(0, &[0; 8])), None),
        ];
        for (name, message, want) in cases {
            assert_eq!(chosen(message), *want, "{name}");
            for end in 0..message.len() {
                // Whatever is missing, nothing is invented.
                let part = chosen(&message[..end]);
                assert!(part.is_none(), "{name}, {end} bytes: {part:?}");
            }
        }
    }
}
