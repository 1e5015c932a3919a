//! The server's messages after its hello, as far as TLS 1.2 and earlier show them: Certificate and ServerKeyExchange.
//!
//! Sources: RFC 5246 section 7.4.2 and 7.4.3, RFC 8422 section 5.4, RFC 4279 and RFC 5489 (PSK identity hint).
//! Not handled: parameters of SRP, of RSA export and of ECC passwords; they name no group.

use super::read::Reader;
use super::{certificate, hello, suite};
use crate::model::TlsFacts;

/// Reads a Certificate message, or what was kept of its start.
pub(super) fn certificate(body: &[u8], facts: &mut TlsFacts) -> Option<()> {
    let mut reader = Reader(body);
    reader.u24()?;
    let len = reader.u24()?;
    let leaf = reader.take(len)?;
    facts.certificate = certificate::facts(leaf, facts.server_name.as_deref()).map(Box::new);
    Some(())
}

/// Reads a ServerKeyExchange; the suite in `facts` decides its layout.
pub(super) fn server_key_exchange(body: &[u8], facts: &mut TlsFacts) -> Option<()> {
    let layout = suite::exchange(facts.cipher?)?;
    let mut reader = Reader(body);
    if layout.hint {
        reader.vector16()?;
    }
    if layout.elliptic {
        match reader.u8()? {
            NAMED_CURVE => {
                let (group, share) = (reader.u16()?, reader.vector8().filter(|share| !share.is_empty())?);
                facts.group = Some(group);
                facts.server_share_digest = Some(hello::share_digest(share));
            }
            // The code points that clients offer for curves they have no number for.
            EXPLICIT_PRIME => return set_group(facts, 0xff01),
            EXPLICIT_CHAR2 => return set_group(facts, 0xff02),
            _ => return None,
        }
    } else {
        let prime = reader.vector16()?;
        let generator = reader.vector16()?;
        let share = reader.vector16()?;
        (!prime.is_empty() && !generator.is_empty() && !share.is_empty()).then_some(())?;
        facts.dh_bits = u16::try_from(certificate::bits(prime)).ok();
        let zeros = prime.iter().take_while(|&&byte| byte == 0).count();
        facts.dh_prime_digest = Some(hello::share_digest(prime.get(zeros..).unwrap_or_default()));
        facts.server_share_digest = Some(hello::share_digest(share));
    }
    // Before TLS 1.2 the signature does not say its scheme.
    if layout.signed && matches!(facts.version, Some(0x0303 | 0xfefd)) {
        facts.signature = Some(reader.u16()?);
    }
    Some(())
}

fn set_group(facts: &mut TlsFacts, group: u16) -> Option<()> {
    facts.group = Some(group);
    Some(())
}

const EXPLICIT_PRIME: u8 = 1;
const EXPLICIT_CHAR2: u8 = 2;
const NAMED_CURVE: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_exchange_layouts() {
        let curve = [3, 0, 29, 2, 7, 7, 8, 4, 0, 1, 9];
        let prime = [0, 2, 0x01, 0xff, 0, 1, 2, 0, 1, 5, 4, 1, 0, 1, 9];
        let hint = [0, 1, b'x', 3, 0, 23, 1, 9];
        // name, suite, version, body, group, bits, signature
        type Case<'a> = (&'a str, u16, u16, &'a [u8], Option<u16>, Option<u16>, Option<u16>);
        #[rustfmt::skip]
        let cases: &[Case<'_>] = &[
            ("named curve, 1.2", 0xc02f, 0x0303, &curve, Some(29), None, Some(0x0804)),
            ("named curve, 1.0: no scheme", 0xc013, 0x0301, &curve, Some(29), None, None),
            ("DHE, 1.2: leading zero bits do not count", 0x0033, 0x0303, &prime, None, Some(9), Some(0x0401)),
            ("anonymous: not signed", 0x0034, 0x0303, &prime, None, Some(9), None),
            ("PSK hint first", 0xc035, 0x0303, &hint, Some(23), None, None),
            ("explicit prime curve", 0xc02f, 0x0303, &[1, 9, 9], Some(0xff01), None, None),
            ("static RSA has none", 0x002f, 0x0303, &curve, None, None, None),
            ("cut short", 0xc02f, 0x0303, &curve[..4], None, None, None),
            ("curve type unknown", 0xc02f, 0x0303, &[9, 0, 29, 1, 1], None, None, None),
        ];
        for (name, cipher, version, body, group, dh_bits, signature) in cases {
            let mut facts = TlsFacts { cipher: Some(*cipher), version: Some(*version), ..TlsFacts::default() };
            let _ = server_key_exchange(body, &mut facts);
            assert_eq!((facts.group, facts.dh_bits, facts.signature), (*group, *dh_bits, *signature), "{name}");
        }
    }

    #[test]
    fn a_repeated_share_has_the_same_digest() {
        let digest = |share: u8| {
            let mut facts = TlsFacts { cipher: Some(0xc02f), version: Some(0x0303), ..TlsFacts::default() };
            let _ = server_key_exchange(&[3, 0, 29, 1, share, 8, 4, 0, 1, 9], &mut facts);
            facts.server_share_digest
        };
        assert!(digest(1).is_some());
        assert_eq!(digest(1), digest(1));
        assert_ne!(digest(1), digest(2));
    }
}
