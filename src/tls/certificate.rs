//! The server's leaf certificate: key, signature, validity, and whether it names the server that was asked for.
//!
//! Sources: RFC 5280; RFC 6125 section 6.4 (names and wildcards); RFC 3279, 4055, 5480, 5758, 8410 and 9881 (object
//! identifiers). Visible in TLS 1.2 and earlier only. No name leaves this file.
//! Not handled: the chain, revocation, and raw public keys (RFC 7250).

use std::net::IpAddr;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::signature_algorithm::RsaSsaPssParams;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

use crate::model::CertificateFacts;

/// Facts of a certificate in DER; `None` when it cannot be read.
pub(super) fn facts(der: &[u8], server_name: Option<&str>) -> Option<CertificateFacts> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let validity = certificate.validity();
    Some(CertificateFacts {
        key: key_name(certificate.public_key()),
        signature: signature_name(&certificate.signature_algorithm),
        not_before: validity.not_before.timestamp(),
        not_after: validity.not_after.timestamp(),
        self_signed: certificate.issuer().as_raw() == certificate.subject().as_raw(),
        name_matches: server_name.map(|name| is_for(&certificate, name)),
    })
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

/// Whether a subject alternative name, or where there is none the common name, stands for `name`.
fn is_for(certificate: &X509Certificate<'_>, name: &str) -> bool {
    let Some(alternatives) = certificate.subject_alternative_name().ok().flatten() else {
        let mut common = certificate.subject().iter_common_name();
        return common.any(|pattern| pattern.as_str().is_ok_and(|pattern| matches(pattern, name)));
    };
    let address: Option<IpAddr> = name.parse().ok();
    alternatives.value.general_names.iter().any(|general| match (general, address) {
        (GeneralName::DNSName(pattern), None) => matches(pattern, name),
        (GeneralName::IPAddress(octets), Some(IpAddr::V4(v4))) => *octets == v4.octets(),
        (GeneralName::IPAddress(octets), Some(IpAddr::V6(v6))) => *octets == v6.octets(),
        _ => false,
    })
}

/// Whether `pattern` stands for `name`: equal without regard to case, or with `*` as its whole first label.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.trim_end_matches('.'), name.trim_end_matches('.'));
    match (pattern.strip_prefix("*."), name.split_once('.')) {
        (Some(parent), Some((label, rest))) => !label.is_empty() && parent.eq_ignore_ascii_case(rest),
        _ => pattern.eq_ignore_ascii_case(name),
    }
}
