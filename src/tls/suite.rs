//! What the record and handshake layers must know of a cipher suite: is there a ServerKeyExchange, and does it encrypt?
//!
//! Sources: tls-parser's table (IANA registry of 2024), and the suites it lacks. Names and grades are elsewhere.

use std::collections::HashMap;
use std::sync::LazyLock;

use foldhash::fast::FixedState;
use tls_parser::{CIPHERS, TlsCipherAu, TlsCipherEnc, TlsCipherKx, TlsCipherSuite};

/// The layout of a ServerKeyExchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exchange {
    /// Elliptic curves (RFC 8422 section 5.4) rather than finite fields (RFC 5246 section 7.4.3).
    pub(super) elliptic: bool,
    /// A PSK identity hint goes first (RFC 4279, RFC 5489).
    pub(super) hint: bool,
    /// A signature follows the parameters.
    pub(super) signed: bool,
}

/// The ServerKeyExchange of `suite`; `None` when it has none, or one that says nothing about groups (SRP, RSA export).
pub(super) fn exchange(suite: u16) -> Option<Exchange> {
    use TlsCipherKx::{Aecdh, Dh, Dhe, Ecdh, Ecdhe};
    if matches!(suite, 0xcc13..=0xcc15) {
        return Some(Exchange { elliptic: suite != 0xcc15, hint: false, signed: true });
    }
    let found = listed(suite)?;
    let anonymous = found.au == TlsCipherAu::Null;
    let elliptic = match found.kx {
        Ecdhe | Aecdh => true,
        Dhe => false,
        // Static Diffie-Hellman has no ServerKeyExchange; the anonymous suites have one.
        Ecdh if anonymous => true,
        Dh if anonymous => false,
        _ => return None,
    };
    let hint = found.au == TlsCipherAu::Psk;
    Some(Exchange { elliptic, hint, signed: !anonymous && !hint })
}

/// The suite in tls-parser's table, whose own hash takes longer than all else that is asked here.
fn listed(suite: u16) -> Option<&'static TlsCipherSuite> {
    static LISTED: LazyLock<HashMap<u16, &TlsCipherSuite, FixedState>> =
        LazyLock::new(|| CIPHERS.values().map(|suite| (suite.id.0, suite)).collect());
    LISTED.get(&suite).copied()
}

/// Whether `suite` leaves the content readable: NULL encryption, or integrity only (RFC 9150).
pub(super) fn is_readable(suite: u16) -> bool {
    match suite {
        // Signalling values are no suites, whatever the table says of them.
        0x00ff | 0x5600 => false,
        0x001c | 0x0082 | 0x0083 | 0xc0b4 | 0xc0b5 => true,
        _ => listed(suite).is_some_and(|found| found.enc == TlsCipherEnc::Null),
    }
}

/// Whether `suite` is registered or was once deployed.
pub(super) fn is_known(suite: u16) -> bool {
    listed(suite).is_some() || is_unlisted(suite)
}

/// Suites that tls-parser's table lacks: SSL 3 FORTEZZA, export 1024 and OpenPGP experiments, GOST (RFC 9189, RFC 9367
/// and before), CECPQ1, ChaCha20 as first deployed, and the FIPS numbers of NSS.
fn is_unlisted(suite: u16) -> bool {
    matches!(
        suite,
        0x001c..=0x001e
            | 0x0060..=0x0066
            | 0x0072..=0x0083
            | 0x16b7..=0x16ba
            | 0xc100..=0xc106
            | 0xcc13..=0xcc15
            | 0xd001..=0xd005
            | 0xfefe
            | 0xfeff
            | 0xff80..=0xff83
            | 0xff85
            | 0xff87
            | 0xffe0
            | 0xffe1
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_exchanges() {
        let layout = |elliptic, hint, signed| Some(Exchange { elliptic, hint, signed });
        for (name, suite, want) in [
            ("ECDHE_RSA", 0xc02f, layout(true, false, true)),
            ("DHE_RSA", 0x0033, layout(false, false, true)),
            ("DH_anon", 0x0034, layout(false, false, false)),
            ("ECDH_anon", 0xc018, layout(true, false, false)),
            ("DHE_PSK", 0x00aa, layout(false, true, false)),
            ("ECDHE_PSK", 0xc035, layout(true, true, false)),
            ("ChaCha20 as first deployed", 0xcc13, layout(true, false, true)),
            ("RSA", 0x002f, None),
            ("DH_RSA, static", 0x0031, None),
            ("ECDH_RSA, static", 0xc00e, None),
            ("PSK", 0x008c, None),
            ("TLS 1.3", 0x1301, None),
        ] {
            assert_eq!(exchange(suite), want, "{name}");
        }
    }

    #[test]
    fn readable_and_known_suites() {
        for (name, suite, readable, known) in [
            ("NULL_WITH_NULL_NULL", 0x0000, true, true),
            ("RSA_WITH_NULL_SHA256", 0x003b, true, true),
            ("ECDHE_RSA_WITH_NULL_SHA", 0xc010, true, true),
            ("SHA256_SHA256", 0xc0b4, true, true),
            ("SHA384_SHA384", 0xc0b5, true, true),
            ("GOST with NULL", 0x0083, true, true),
            ("ChaCha20", 0xcca8, false, true),
            ("RC4", 0x0005, false, true),
            ("renegotiation signal", 0x00ff, false, true),
            ("fallback signal", 0x5600, false, true),
            ("GOST", 0xc102, false, true),
            ("never assigned", 0x4b4b, false, false),
        ] {
            assert_eq!((is_readable(suite), is_known(suite)), (readable, known), "{name}");
        }
    }
}
