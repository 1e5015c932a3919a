//! The server's leaf certificate: key, signature, validity, and whether it names the server that was asked for.
//!
//! Sources: RFC 5280; RFC 6125 section 6.4 (names and wildcards); RFC 3279, 4055, 5480, 5758, 8410 and 9881 (object
//! identifiers). Visible in TLS 1.2 and earlier only. No name leaves this file.
//! Not handled: the chain, revocation, and raw public keys (RFC 7250).

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::signature_algorithm::RsaSsaPssParams;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

use super::memo::Memo;
use crate::model::CertificateFacts;

/// Facts of a certificate in DER; `None` when it cannot be read.
///
/// A server shows the same certificate to all who ask, so what the latest ones say is remembered.
pub(super) fn facts(der: &[u8], server_name: Option<&str>) -> Option<CertificateFacts> {
    thread_local! {
        static KNOWN: RefCell<Memo<Option<Rc<Leaf>>>> = RefCell::new(Memo::new(MEMO_BYTES));
    }
    let read = || {
        let leaf = Leaf::read(der).map(Rc::new);
        let bytes = leaf.as_deref().map_or(0, Leaf::memory);
        (leaf, bytes)
    };
    let leaf = KNOWN.with_borrow_mut(|known| known.recall(der, read))?;
    Some(CertificateFacts { name_matches: server_name.map(|name| leaf.is_for(name)), ..leaf.facts.clone() })
}

/// What a certificate says, whoever asked for it.
struct Leaf {
    /// All but whether it names the server that was asked for.
    facts: CertificateFacts,
    names: Vec<Name>,
}

/// Whom a certificate names.
enum Name {
    /// A subject alternative name, which stands for names that are no addresses.
    Alternative(Box<str>),
    /// A common name, where there are no alternative names at all.
    Common(Box<str>),
    /// An address.
    Address(IpAddr),
}

impl Leaf {
    fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let validity = certificate.validity();
        let facts = CertificateFacts {
            key: key_name(certificate.public_key()).into(),
            signature: signature_name(&certificate.signature_algorithm).into(),
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
            self_signed: certificate.issuer().as_raw() == certificate.subject().as_raw(),
            name_matches: None,
        };
        Some(Self { facts, names: names(&certificate) })
    }

    /// Heap bytes held, roughly.
    fn memory(&self) -> usize {
        let text = |name: &Name| match name {
            Name::Alternative(text) | Name::Common(text) => text.len() + 16,
            Name::Address(_) => 0,
        };
        size_of::<Self>() + 64 + self.names.iter().map(|name| size_of::<Name>() + text(name)).sum::<usize>()
    }

    /// Whether it stands for `name`.
    fn is_for(&self, name: &str) -> bool {
        let address: Option<IpAddr> = name.parse().ok();
        self.names.iter().any(|known| match known {
            Name::Alternative(pattern) => address.is_none() && matches(pattern, name),
            Name::Common(pattern) => matches(pattern, name),
            Name::Address(known) => address == Some(*known),
        })
    }
}

/// The subject alternative names, or where there are none the common names.
fn names(certificate: &X509Certificate<'_>) -> Vec<Name> {
    let Some(alternatives) = certificate.subject_alternative_name().ok().flatten() else {
        let common = certificate.subject().iter_common_name();
        return common.filter_map(|name| Some(Name::Common(name.as_str().ok()?.into()))).collect();
    };
    let names = alternatives.value.general_names.iter().filter_map(|general| match general {
        GeneralName::DNSName(pattern) => Some(Name::Alternative((*pattern).into())),
        GeneralName::IPAddress(octets) => match octets.len() {
            4 => <[u8; 4]>::try_from(*octets).ok().map(|octets| Name::Address(octets.into())),
            16 => <[u8; 16]>::try_from(*octets).ok().map(|octets| Name::Address(octets.into())),
            _ => None,
        },
        _ => None,
    });
    names.collect()
}

/// `rsa-2048`, `ec-p256`, `ed25519` ...; the object identifier where there is no name.
fn key_name(key: &SubjectPublicKeyInfo<'_>) -> String {
    let oid = key.algorithm.algorithm.to_id_string();
    match oid.as_str() {
        "1.2.840.113549.1.1.1" | "1.2.840.113549.1.1.10" => match key.parsed() {
            Ok(PublicKey::RSA(rsa)) => format!("rsa-{}", bits(rsa.modulus)),
            _ => "rsa".into(),
        },
        "1.2.840.10040.4.1" => match key.algorithm.parameters.as_ref().and_then(|any| dsa_prime(any.data)) {
            Some(prime) => format!("dsa-{}", bits(prime)),
            None => "dsa".into(),
        },
        "1.2.840.10045.2.1" => {
            let curve = key.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
            match curve.map(|curve| curve.to_id_string()) {
                Some(curve) => format!("ec-{}", curve_name(&curve)),
                None => "ec-explicit".into(),
            }
        }
        "1.3.101.112" => "ed25519".into(),
        "1.3.101.113" => "ed448".into(),
        "2.16.840.1.101.3.4.3.17" => "ml-dsa-44".into(),
        "2.16.840.1.101.3.4.3.18" => "ml-dsa-65".into(),
        "2.16.840.1.101.3.4.3.19" => "ml-dsa-87".into(),
        "1.2.643.2.2.19" => "gost-2001".into(),
        "1.2.643.7.1.1.1.1" => "gost-2012-256".into(),
        "1.2.643.7.1.1.1.2" => "gost-2012-512".into(),
        _ => oid,
    }
}

fn curve_name(oid: &str) -> &str {
    match oid {
        "1.2.840.10045.3.1.1" => "p192",
        "1.3.132.0.33" => "p224",
        "1.2.840.10045.3.1.7" => "p256",
        "1.3.132.0.34" => "p384",
        "1.3.132.0.35" => "p521",
        "1.3.132.0.10" => "secp256k1",
        "1.3.36.3.3.2.8.1.1.7" => "brainpoolp256r1",
        "1.3.36.3.3.2.8.1.1.11" => "brainpoolp384r1",
        "1.3.36.3.3.2.8.1.1.13" => "brainpoolp512r1",
        "1.2.156.10197.1.301" => "sm2",
        other => other,
    }
}

/// `rsa-sha256`, `ecdsa-sha384`, `rsa-pss-sha256`, `ed25519` ...; the object identifier where there is no name.
fn signature_name(algorithm: &AlgorithmIdentifier<'_>) -> String {
    let oid = algorithm.algorithm.to_id_string();
    let name = match oid.as_str() {
        "1.2.840.113549.1.1.2" => "rsa-md2",
        "1.2.840.113549.1.1.4" => "rsa-md5",
        "1.2.840.113549.1.1.5" | "1.3.14.3.2.29" => "rsa-sha1",
        "1.2.840.113549.1.1.14" => "rsa-sha224",
        "1.2.840.113549.1.1.11" => "rsa-sha256",
        "1.2.840.113549.1.1.12" => "rsa-sha384",
        "1.2.840.113549.1.1.13" => "rsa-sha512",
        "1.2.840.113549.1.1.10" => match pss_hash(algorithm).as_deref() {
            Some("1.3.14.3.2.26") => "rsa-pss-sha1",
            Some("2.16.840.1.101.3.4.2.1") => "rsa-pss-sha256",
            Some("2.16.840.1.101.3.4.2.2") => "rsa-pss-sha384",
            Some("2.16.840.1.101.3.4.2.3") => "rsa-pss-sha512",
            _ => "rsa-pss",
        },
        "1.2.840.10040.4.3" => "dsa-sha1",
        "2.16.840.1.101.3.4.3.1" => "dsa-sha224",
        "2.16.840.1.101.3.4.3.2" => "dsa-sha256",
        "1.2.840.10045.4.1" => "ecdsa-sha1",
        "1.2.840.10045.4.3.1" => "ecdsa-sha224",
        "1.2.840.10045.4.3.2" => "ecdsa-sha256",
        "1.2.840.10045.4.3.3" => "ecdsa-sha384",
        "1.2.840.10045.4.3.4" => "ecdsa-sha512",
        "1.3.101.112" => "ed25519",
        "1.3.101.113" => "ed448",
        "2.16.840.1.101.3.4.3.17" => "ml-dsa-44",
        "2.16.840.1.101.3.4.3.18" => "ml-dsa-65",
        "2.16.840.1.101.3.4.3.19" => "ml-dsa-87",
        "1.2.156.10197.1.501" => "sm2-sm3",
        "1.2.643.2.2.3" => "gost-2001",
        "1.2.643.7.1.1.3.2" => "gost-2012-256",
        "1.2.643.7.1.1.3.3" => "gost-2012-512",
        _ => return oid,
    };
    name.into()
}

fn pss_hash(algorithm: &AlgorithmIdentifier<'_>) -> Option<String> {
    let parameters = RsaSsaPssParams::try_from(algorithm.parameters.as_ref()?).ok()?;
    Some(parameters.hash_algorithm_oid().to_id_string())
}

/// The first INTEGER of the content of a DSA parameter sequence: the prime p (RFC 3279 section 2.3.2).
fn dsa_prime(content: &[u8]) -> Option<&[u8]> {
    let mut reader = super::read::Reader(content);
    (reader.u8()? == 0x02).then_some(())?;
    let len = match reader.u8()? {
        short @ 0..=0x7f => short.into(),
        0x81 => reader.u8()?.into(),
        0x82 => reader.u16()?.into(),
        _ => return None,
    };
    reader.take(len)
}

/// Bits of a big-endian number, leading zeros left out.
pub(super) fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|&&byte| byte == 0).count();
    let digits = number.get(zeros..).unwrap_or(&[]);
    digits.first().map_or(0, |first| digits.len() * 8 - first.leading_zeros() as usize)
}

/// Whether `pattern` stands for `name`: equal without regard to case, or with `*` as its whole first label.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.trim_end_matches('.'), name.trim_end_matches('.'));
    match (pattern.strip_prefix("*."), name.split_once('.')) {
        (Some(parent), Some((label, rest))) => !label.is_empty() && parent.eq_ignore_ascii_case(rest),
        _ => pattern.eq_ignore_ascii_case(name),
    }
}

/// Memory of what is remembered: hundreds of certificates. Unit: bytes.
const MEMO_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn der(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
        digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    #[test]
    fn keys_signatures_and_names() {
        // file, server name, key, signature, name matches
        for (name, hex, server_name, key, signature, matches) in [
            ("wildcard", EC, Some("www.EXAMPLE.org"), "ec-p256", "ecdsa-sha256", Some(true)),
            ("wildcard is one label", EC, Some("a.b.example.org"), "ec-p256", "ecdsa-sha256", Some(false)),
            ("wildcard is not empty", EC, Some("example.org"), "ec-p256", "ecdsa-sha256", Some(false)),
            ("second name", EC, Some("example.net"), "ec-p256", "ecdsa-sha256", Some(true)),
            ("address", EC, Some("192.0.2.1"), "ec-p256", "ecdsa-sha256", Some(true)),
            ("common name beside alternatives", EC, Some("x"), "ec-p256", "ecdsa-sha256", Some(false)),
            ("common name alone", RSA, Some("rsa.test"), "rsa-1024", "rsa-sha1", Some(true)),
            ("no name asked for", RSA, None, "rsa-1024", "rsa-sha1", None),
            ("Ed25519", ED, Some("other"), "ed25519", "ed25519", Some(false)),
        ] {
            let facts = facts(&der(hex), server_name).unwrap_or_default();
            assert_eq!((&*facts.key, &*facts.signature), (key, signature), "{name}");
            assert_eq!(facts.name_matches, matches, "{name}");
            assert!(facts.self_signed, "{name}");
            assert_eq!(facts.not_after - facts.not_before, 365 * 86_400, "{name}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_seen() {
        let whole = der(EC);
        for len in 0..whole.len() {
            assert_eq!(facts(&whole[..len], Some("x")), None, "{len} bytes");
        }
    }

    #[test]
    fn hostile_certificates_end() {
        for certificate in [EC, RSA, ED].map(der) {
            for at in 0..certificate.len() {
                for byte in [0, 0x30, 0x7f, 0x84, 0xff] {
                    let mut changed = certificate.clone();
                    changed[at] = byte;
                    let facts = facts(&changed, Some("192.0.2.1"));
                    assert!(facts.is_none_or(|facts| !facts.key.is_empty()), "{byte:#x} at {at}");
                }
            }
        }
    }

    #[test]
    fn bits_of_a_number() {
        for (number, want) in [(&[][..], 0), (&[0, 0], 0), (&[1], 1), (&[0, 0x80, 0], 16), (&[0x7f, 0xff], 15)] {
            assert_eq!(bits(number), want, "{number:?}");
        }
    }

    /// Self-signed certificates made for these tests.
    const EC: &str = "3082019b30820141a00302010202147eddb9facd1ee2f9827ad1a4b46f8a451e586dc6300a06082a8648ce3d040302300c310a300806\
        035504030c0178301e170d3236313132323137333131335a170d3237313132323137333131335a300c310a300806035504030c017830\
        59301306072a8648ce3d020106082a8648ce3d03010703420004e2ea78200eae4b630aa9731c580773039b75b72f0900f46a01b5605e\
        41c44a63486fa1c9ecb24aab032043ea180571640263a7fc76ca6ac6261ba5880f780bcda38180307e301d0603551d0e04160414a740\
        fca8b4d1d085149790c1b320807fe2c77208301f0603551d23041830168014a740fca8b4d1d085149790c1b320807fe2c77208300f06\
        03551d130101ff040530030101ff302b0603551d1104243022820d2a2e6578616d706c652e6f7267820b6578616d706c652e6e657487\
        04c0000201300a06082a8648ce3d0403020348003045022028e50c89281e0fe25365c5339a48045aab4a475c8feda1a8b699e31406b9\
        421e0221009cae7893f1492f63321c645b885f2ef5e7fd49c625473ed80618633916f01f24";
    const RSA: &str = "308202023082016ba00302010202141f5b81f83725f05135e80e0c5ef37905086dccf6300d06092a864886f70d010105050030133111\
        300f06035504030c087273612e74657374301e170d3236313132323137333131335a170d3237313132323137333131335a3013311130\
        0f06035504030c087273612e7465737430819f300d06092a864886f70d010101050003818d0030818902818100cb203a15062a043697\
        9bb438301669d18366317709f3199181ecd8d290e4d2e3f7b6c2ba30cd495e5a96d968f18ab7c331d88e00c9c64644d861de60b42a94\
        643feb7d2100ecc05196ac0f86ec2cad2e24b44b19cf0866efdd87f3e0dd5d2e506ccbf2c42d58e5461f3829d2bcd7cf5cd5e1bfc508\
        6b5f3636521663c448dfbf0203010001a3533051301d0603551d0e04160414966bf27a25a19335e90ad55de185dac80dc187ed301f06\
        03551d23041830168014966bf27a25a19335e90ad55de185dac80dc187ed300f0603551d130101ff040530030101ff300d06092a8648\
        86f70d010105050003818100ac36f8c2edc4588cbbfc3b48a28284b3bd4c86e9c3a68dfacf9f8b46251309cfc8173b4cea590ca50b4b\
        b9bebb738b4c1785ecd497551615559ef90ace7df78d2294f7101df639a2b1ea9dc56aa8c5bf64026c17854f912245d40bf96bcd7648\
        3dc1314ac2f26e01d849a0a9e37bf6fd9132e1384dfea5c9ad36214741055ef1";
    const ED: &str = "3082012e3081e1a0030201020214560cd4d55ded81c163b015db482e9f465f580709300506032b6570300d310b300906035504030c02\
        6564301e170d3236313132323137333131335a170d3237313132323137333131335a300d310b300906035504030c026564302a300506\
        032b65700321009134e607dcd267a88c425be56ddeb76fc1c184e00c72f97590777a869c01aba3a3533051301d0603551d0e04160414\
        40dda3603d48ef38616cadf0b5515837178799bc301f0603551d2304183016801440dda3603d48ef38616cadf0b5515837178799bc30\
        0f0603551d130101ff040530030101ff300506032b6570034100dadd80b8b29f9b9fb0e00802b300310e40025ea97a322cabe64bc887\
        0faf8191eea47f8deb0970ca9af98ecbc2a79588963b2cf945e852f88a68f6473baf1b03";
}
