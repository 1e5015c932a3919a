//! Names and properties of code points: cipher suites, named groups, versions, signature schemes.
//!
//! Sources: IANA "TLS Cipher Suites" and "TLS Supported Groups" of January 2026 (all 356 suites, all groups), with the
//! D marks that RFC 10015 (July 2026) adds in a column of their own; IANA "TLS SignatureScheme". The tables are the
//! CSV files in `data/`. Suites that were in use without ever being registered stand in `unofficial_suites.csv`, so
//! that they have a name; nothing is recommended about them.
//!
//! Effective key lengths are those of RFC 9325 section 4.1: 3DES counts as 112 bits.

use std::sync::LazyLock;

/// Date of the registry that the tables were made from.
pub const REGISTRY_DATE: &str = "2026-01";

/// A cipher suite and its parts, all in lower case.
#[derive(Debug, PartialEq, Eq)]
pub struct Suite {
    /// Code point.
    pub code: u16,
    /// IANA name, or the name in use for an unregistered suite.
    pub name: &'static str,
    /// Key exchange: `rsa`, `dh`, `dhe`, `ecdh`, `ecdhe`, `psk`, `krb5`, `srp`, `eccpwd`, `gost`; `tls13` where the
    /// suite leaves it open; `null`; `none` for a signalling value.
    pub kex: &'static str,
    /// Authentication: `rsa`, `dss`, `ecdsa`, `psk`, `anon` ...; `tls13` where the suite leaves it open.
    pub auth: &'static str,
    /// Cipher: `aes`, `chacha20`, `3des`, `rc4`, `null` ...
    pub cipher: &'static str,
    /// Mode: `gcm`, `ccm`, `ccm_8`, `cbc`, `stream`, `poly1305` ...; `none` without encryption.
    pub mode: &'static str,
    /// Effective key length of the cipher. Unit: bits.
    pub bits: u16,
    /// The hash that the name ends in: of the MAC, or for AEAD suites of the key derivation.
    pub hash: &'static str,
    /// What protects integrity: `aead`, or the hash of the HMAC.
    pub mac: &'static str,
    /// Encryption and integrity in one algorithm.
    pub aead: bool,
    /// Weakened by design for the export rules of the 1990s.
    pub export: bool,
    /// A key that leaks later does not open recorded traffic. For `tls13` this holds unless `psk_ke` is negotiated.
    pub forward_secrecy: bool,
    /// The registry's "Recommended" column (RFC 9847): `Y`, `N`, `D`; `-` for an unregistered suite.
    pub recommended: &'static str,
    /// RFC 10015 says MUST NOT in (D)TLS 1.2 and marks it D.
    pub rfc10015: bool,
    /// Whether IANA registered it.
    pub registered: bool,
    /// Defining documents.
    pub reference: &'static str,
}

impl Suite {
    /// Whether it is a signalling value (SCSV) rather than a suite: it can be offered and never negotiated.
    #[must_use]
    pub fn is_signal(&self) -> bool {
        self.kex == "none"
    }

    /// Whether it belongs to TLS 1.3, which alone can negotiate it.
    #[must_use]
    pub fn is_tls13(&self) -> bool {
        self.kex == "tls13"
    }
}

/// A named group for key exchange.
#[derive(Debug, PartialEq, Eq)]
pub struct Group {
    /// Code point.
    pub code: u16,
    /// Name in lower case: `x25519`, `secp256r1`, `x25519mlkem768` ...
    pub name: &'static str,
    /// `prime`, `binary`, `montgomery`, `gost`, `ffdhe`, `kem` (post-quantum alone), `hybrid` (post-quantum and
    /// classical), `explicit` (parameters sent in the handshake).
    pub family: &'static str,
    /// Size of the field; of a hybrid its classical part, of a KEM its parameter set; 0 when not fixed. Unit: bits.
    pub bits: u16,
    /// The registry's "Recommended" column: `Y`, `N`, `D`.
    pub recommended: &'static str,
}

impl Group {
    /// Whether a quantum computer alone does not open it: ML-KEM (or its draft Kyber), alone or in a hybrid.
    #[must_use]
    pub fn is_post_quantum(&self) -> bool {
        matches!(self.family, "kem" | "hybrid")
    }
}

/// All suites in order of their code points.
#[must_use]
pub fn suites() -> &'static [Suite] {
    &TABLES.suites
}

/// All groups in order of their code points.
#[must_use]
pub fn groups() -> &'static [Group] {
    &TABLES.groups
}

/// The suite of a code point; `None` when it has no name here.
#[must_use]
pub fn suite(code: u16) -> Option<&'static Suite> {
    suite_index(code).map(|index| &suites()[index])
}

/// Position of a code point in [`suites`].
pub(super) fn suite_index(code: u16) -> Option<usize> {
    suites().binary_search_by_key(&code, |suite| suite.code).ok()
}

/// The suite of an IANA name, an OpenSSL name or a code point in hex (`0x1301`, `1301`, `13,01`), in any case.
#[must_use]
pub fn suite_by_name(text: &str) -> Option<&'static Suite> {
    let text = text.trim();
    if let Some(found) = suites().iter().find(|suite| suite.name.eq_ignore_ascii_case(text)) {
        return Some(found);
    }
    let openssl = TABLES.openssl.iter().find(|(_, name)| name.eq_ignore_ascii_case(text));
    openssl.map(|(code, _)| *code).or_else(|| parse_code(text)).and_then(suite)
}

/// A code point written in hex: `0x1301`, `1301`, `0x13,0x01`.
#[must_use]
pub fn parse_code(text: &str) -> Option<u16> {
    let digits: String =
        text.split(',').map(|part| part.trim().trim_start_matches("0x").trim_start_matches("0X")).collect();
    (digits.len() == 4).then(|| u16::from_str_radix(&digits, 16).ok()).flatten()
}

/// The suite name that differs least from `text`, for a hint.
#[must_use]
pub fn nearest_suite(text: &str) -> Option<&'static str> {
    let openssl = TABLES.openssl.iter().map(|(_, name)| *name);
    nearest(text, suites().iter().map(|suite| suite.name).chain(openssl))
}

/// OpenSSL's name of a suite; `None` when it has none.
#[must_use]
pub fn openssl_name(code: u16) -> Option<&'static str> {
    TABLES.openssl.iter().find(|(number, _)| *number == code).map(|(_, name)| *name)
}

/// The group of a code point; `None` when it has no name here.
#[must_use]
pub fn group(code: u16) -> Option<&'static Group> {
    groups().binary_search_by_key(&code, |group| group.code).ok().map(|index| &groups()[index])
}

/// The group of a name, in any case.
#[must_use]
pub fn group_by_name(name: &str) -> Option<&'static Group> {
    groups().iter().find(|group| group.name.eq_ignore_ascii_case(name))
}

/// IANA name of a suite; `None` when it has none here.
#[must_use]
pub fn suite_name(code: u16) -> Option<&'static str> {
    suite(code).map(|suite| suite.name)
}

/// Name of a group in lower case; `None` when it has none here.
#[must_use]
pub fn group_name(code: u16) -> Option<&'static str> {
    group(code).map(|group| group.name)
}

/// `1.3` to `1.0` for TLS and DTLS alike, `ssl3`, `ssl2`; `None` for anything else.
///
/// Source: RFC 8446 section 4.2.1, RFC 9147 section 5.3, RFC 6347; SSL 2 is written 0x0002 in its own handshake.
#[must_use]
pub const fn version_name(code: u16) -> Option<&'static str> {
    Some(match code {
        0x0002 => "ssl2",
        0x0300 => "ssl3",
        0x0301 | 0xfeff => "1.0",
        // DTLS1_BAD_VER: what OpenSSL spoke before RFC 4347, and Cisco AnyConnect still does.
        0x0100 => "1.0-openssl",
        0x0302 => "1.1",
        0x0303 | 0xfefd => "1.2",
        0x0304 | 0xfefc => "1.3",
        _ => return None,
    })
}

/// Name of a signature scheme; the pairs of TLS 1.2 that TLS 1.3 dropped are named alike. `None` when it has none here.
#[must_use]
pub fn signature_name(code: u16) -> Option<&'static str> {
    signature(code).map(|(name, _)| name)
}

/// How a code point without a name is written: `0x1399`.
#[must_use]
pub fn hex(code: u16) -> String {
    format!("0x{code:04x}")
}

/// Name and hash of a signature scheme; the hash is `none` where the scheme has its own (`ed25519`).
#[must_use]
pub fn signature(code: u16) -> Option<(&'static str, &'static str)> {
    let found = TABLES.signatures.binary_search_by_key(&code, |row| row.0).ok()?;
    TABLES.signatures.get(found).map(|row| (row.1, row.2))
}

/// Name of a finite-field Diffie-Hellman prime that a standard gives to everyone, by its digest
/// ([`crate::model::TlsFacts::dh_prime_digest`]); `None` for any other.
///
/// Sources: RFC 2409 section 6, RFC 3526, RFC 5114 section 2, RFC 7919 appendix A.
#[must_use]
pub fn dh_prime(digest: u64) -> Option<&'static str> {
    TABLES.primes.iter().find(|(known, _)| *known == digest).map(|(_, name)| *name)
}

/// Whether an SSH key exchange has a post-quantum part: ML-KEM, or NTRU Prime before it.
///
/// Sources: draft-ietf-sshm-mlkem-hybrid-kex, draft-ietf-sshm-ntruprime-ssh.
#[must_use]
pub fn is_post_quantum_kex(name: &str) -> bool {
    name.starts_with("mlkem") || name.starts_with("sntrup")
}

/// Code point of a signature scheme, by its name.
pub(super) fn signature_by_name(name: &str) -> Option<u16> {
    TABLES.signatures.iter().find(|row| row.1 == name).map(|row| row.0)
}

/// Hashes that appear in the table of signature schemes.
pub(super) fn signature_hashes() -> impl Iterator<Item = &'static str> {
    TABLES.signatures.iter().map(|row| row.2)
}

/// The word among `words` that differs least from `text` (Levenshtein distance), if it is near enough to be meant.
pub(super) fn nearest<'a>(text: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let text: Vec<u8> = text.bytes().take(100).map(|byte| byte.to_ascii_uppercase()).collect();
    let (distance, word) =
        words.map(|word| (distance(&text, &word.to_ascii_uppercase()), word)).min_by_key(|near| near.0)?;
    (distance <= text.len().div_ceil(2)).then_some(word)
}

fn distance(text: &[u8], word: &str) -> usize {
    let mut row: Vec<usize> = (0..=word.len()).collect();
    for (line, letter) in text.iter().enumerate() {
        let mut corner = line;
        row[0] = line + 1;
        for (column, other) in word.bytes().enumerate() {
            let above = row[column + 1];
            row[column + 1] = (corner + usize::from(*letter != other)).min(above + 1).min(row[column] + 1);
            corner = above;
        }
    }
    row[word.len()]
}

struct Tables {
    suites: Vec<Suite>,
    groups: Vec<Group>,
    signatures: Vec<(u16, &'static str, &'static str)>,
    openssl: Vec<(u16, &'static str)>,
    primes: Vec<(u64, &'static str)>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let registered = rows(include_str!("data/cipher_suites.csv")).map(|row| read_suite(row, true));
    let unofficial = rows(include_str!("data/unofficial_suites.csv")).map(|row| read_suite(row, false));
    let mut suites: Vec<Suite> = registered.chain(unofficial).collect();
    suites.sort_by_key(|suite| suite.code);
    Tables {
        suites,
        groups: rows(include_str!("data/groups.csv")).map(read_group).collect(),
        signatures: rows(include_str!("data/signature_schemes.csv"))
            .map(|[code, name, hash]| (number(code), name, hash))
            .collect(),
        openssl: rows(include_str!("data/openssl_names.csv")).map(|[code, name]| (number(code), name)).collect(),
        primes: rows(include_str!("data/dh_primes.csv"))
            .filter_map(|[digest, _bits, name]| Some((u64::from_str_radix(digest, 16).ok()?, name)))
            .collect(),
    }
});

/// The lines of one of our own tables after its heading. None of their fields is quoted; a test holds them to that.
fn rows<const N: usize>(table: &'static str) -> impl Iterator<Item = [&'static str; N]> {
    table.lines().skip(1).map(|line| {
        let mut fields = line.split(',');
        std::array::from_fn(|_| fields.next().unwrap_or_default())
    })
}

fn number(code: &str) -> u16 {
    u16::from_str_radix(code.trim_start_matches("0x"), 16).unwrap_or_default()
}

fn read_suite(row: [&'static str; 15], registered: bool) -> Suite {
    let [
        code,
        name,
        kex,
        auth,
        cipher,
        mode,
        bits,
        hash,
        aead,
        export,
        secrecy,
        _dtls,
        recommended,
        rfc10015,
        reference,
    ] = row;
    Suite {
        code: number(code),
        name,
        kex,
        auth,
        cipher,
        mode,
        bits: bits.parse().unwrap_or_default(),
        hash,
        mac: if aead == "Y" { "aead" } else { hash },
        aead: aead == "Y",
        export: export == "Y",
        forward_secrecy: secrecy == "Y",
        recommended: if registered { recommended } else { "-" },
        rfc10015: rfc10015 == "D",
        registered,
        reference,
    }
}

fn read_group([code, name, family, bits, recommended, _reference]: [&'static str; 6]) -> Group {
    Group { code: number(code), name, family, bits: bits.parse().unwrap_or_default(), recommended }
}

/// Protection profiles of SRTP that DTLS negotiates, by code point.
///
/// Source: IANA "DTLS-SRTP Protection Profiles" (RFC 5764 section 4.1.2, RFC 7714, RFC 8269, RFC 8723).
pub const SRTP_PROFILES: &[(u16, &str)] = &[
    (0x0001, "SRTP_AES128_CM_HMAC_SHA1_80"),
    (0x0002, "SRTP_AES128_CM_HMAC_SHA1_32"),
    (0x0005, "SRTP_NULL_HMAC_SHA1_80"),
    (0x0006, "SRTP_NULL_HMAC_SHA1_32"),
    (0x0007, "SRTP_AEAD_AES_128_GCM"),
    (0x0008, "SRTP_AEAD_AES_256_GCM"),
    (0x0009, "DOUBLE_AEAD_AES_128_GCM_AEAD_AES_128_GCM"),
    (0x000a, "DOUBLE_AEAD_AES_256_GCM_AEAD_AES_256_GCM"),
    (0x000b, "SRTP_ARIA_128_CTR_HMAC_SHA1_80"),
    (0x000c, "SRTP_ARIA_128_CTR_HMAC_SHA1_32"),
    (0x000d, "SRTP_ARIA_256_CTR_HMAC_SHA1_80"),
    (0x000e, "SRTP_ARIA_256_CTR_HMAC_SHA1_32"),
    (0x000f, "SRTP_AEAD_ARIA_128_GCM"),
    (0x0010, "SRTP_AEAD_ARIA_256_GCM"),
];

/// Whether a profile of SRTP leaves the media in clear.
#[must_use]
pub fn is_null_srtp(profile: u16) -> bool {
    matches!(profile, 0x0005 | 0x0006)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    #[test]
    fn tables_are_whole_and_in_order() {
        let lines = include_str!("data/cipher_suites.csv").lines().skip(1);
        assert_eq!(lines.clone().count(), 356);
        assert!(lines.clone().all(|line| line.split(',').count() == 15 && !line.contains('"')));
        assert!(suites().windows(2).all(|pair| pair[0].code < pair[1].code), "suites sorted, no code twice");
        assert!(groups().windows(2).all(|pair| pair[0].code < pair[1].code), "groups sorted, no code twice");
        assert!(TABLES.signatures.windows(2).all(|pair| pair[0].0 < pair[1].0), "signatures sorted, no code twice");
        assert_eq!(suites().iter().filter(|suite| suite.registered).count(), 356);
        assert_eq!(suites().iter().filter(|suite| suite.rfc10015).count(), 62 + 69 + 52);
        assert_eq!(groups().len(), 56);
        assert_eq!(TABLES.primes.len(), 16);
        assert!(TABLES.openssl.iter().all(|(code, _)| suite(*code).is_some()));
    }

    #[test]
    fn parts() {
        type Case = (u16, &'static str, [&'static str; 5], u16, bool, bool);
        let cases: &[Case] = &[
            (0x1301, "TLS_AES_128_GCM_SHA256", ["tls13", "tls13", "aes", "gcm", "aead"], 128, true, true),
            (0xc02f, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", ["ecdhe", "rsa", "aes", "gcm", "aead"], 128, true, true),
            (0x000a, "TLS_RSA_WITH_3DES_EDE_CBC_SHA", ["rsa", "rsa", "3des", "cbc", "sha1"], 112, false, false),
            (0x0003, "TLS_RSA_EXPORT_WITH_RC4_40_MD5", ["rsa", "rsa", "rc4", "stream", "md5"], 40, false, false),
            (0xc0aa, "TLS_PSK_DHE_WITH_AES_128_CCM_8", ["dhe", "psk", "aes", "ccm_8", "aead"], 128, true, true),
            (0xc0b4, "TLS_SHA256_SHA256", ["tls13", "tls13", "null", "none", "sha256"], 0, false, true),
            (0x0000, "TLS_NULL_WITH_NULL_NULL", ["null", "null", "null", "none", "null"], 0, false, false),
            (0xc01b, "TLS_SRP_SHA_RSA_WITH_3DES_EDE_CBC_SHA", ["srp", "rsa", "3des", "cbc", "sha1"], 112, false, false),
        ];
        for (code, name, words, bits, aead, secrecy) in cases {
            let found = suite(*code).unwrap();
            assert_eq!(found.name, *name);
            assert_eq!([found.kex, found.auth, found.cipher, found.mode, found.mac], *words, "{name}");
            assert_eq!((found.bits, found.aead, found.forward_secrecy), (*bits, *aead, *secrecy), "{name}");
        }
        assert_eq!(suite(0x1399), None);
    }

    #[test]
    fn names() {
        assert_eq!(suite_by_name("ECDHE-RSA-AES128-GCM-SHA256").map(|suite| suite.code), Some(0xc02f));
        assert_eq!(suite_by_name("0xC02F").map(|suite| suite.code), Some(0xc02f));
        assert_eq!(suite_by_name("0x13,0x01").map(|suite| suite.code), Some(0x1301));
        assert_eq!(suite_by_name("tls_aes_128_gcm_sha256").map(|suite| suite.code), Some(0x1301));
        assert_eq!(suite_by_name("TLS_AES_128"), None);
        assert_eq!(nearest_suite("TLS_AES_128_GCM_SHA265"), Some("TLS_AES_128_GCM_SHA256"));
        assert_eq!(suite_name(0x1399), None);
        assert_eq!(group_name(4588), Some("x25519mlkem768"));
        assert_eq!((group_name(0xeaea), hex(0xeaea)), (None, "0xeaea".to_owned()));
        assert_eq!(signature_name(0x0804), Some("rsa_pss_rsae_sha256"));
        for (code, name) in [(0x0304, "1.3"), (0xfefd, "1.2"), (0xfeff, "1.0"), (0x0300, "ssl3")] {
            assert_eq!(version_name(code), Some(name));
        }
    }
}
