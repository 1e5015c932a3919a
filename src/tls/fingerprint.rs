//! Fingerprints of hellos: JA3 and JA3S (MD5) and JA4 (client).
//!
//! Sources: Salesforce "JA3" (2017; fields joined by commas, values by dashes, GREASE left out of JA3); FoxIO "JA4: TLS
//! Client Fingerprinting" technical details. JA3 takes the legacy version fields, JA4 the supported versions.
//! Not handled: JA4S and the other members of the family; SSL 2 hellos have no fingerprint.

use std::fmt::Write as _;

use md5::Md5;
use sha2::{Digest, Sha256};

use super::hello::{
    ALPN, Carrier, ClientHello, EC_POINT_FORMATS, SERVER_NAME, SIGNATURE_ALGORITHMS, SUPPORTED_GROUPS,
    SUPPORTED_VERSIONS, ServerHello, is_grease,
};
use super::read::{Reader, numbers};

/// JA3: MD5 of `version,ciphers,extensions,groups,point formats`, 32 hex digits.
pub(super) fn ja3(hello: &ClientHello<'_>) -> String {
    let lists = [
        joined(without_grease(numbers(hello.ciphers))),
        joined(without_grease(hello.extensions().map(|(kind, _)| kind))),
        joined(without_grease(numbers(list16(hello, SUPPORTED_GROUPS)))),
        joined(hello.extension(EC_POINT_FORMATS).and_then(|c| Reader(c).vector8()).unwrap_or(&[]).iter().copied()),
    ];
    md5_hex(&format!("{},{}", hello.version, lists.join(",")))
}

/// JA3S: MD5 of `version,cipher,extensions`, 32 hex digits.
pub(super) fn ja3s(hello: &ServerHello<'_>) -> String {
    let extensions = joined(hello.extensions().map(|(kind, _)| kind));
    md5_hex(&format!("{},{},{extensions}", hello.version, hello.cipher))
}

/// JA4: `t13d1516h2_8daaf6152771_e5627efa2ab1`.
pub(super) fn ja4(hello: &ClientHello<'_>, carrier: Carrier) -> String {
    let mut ciphers: Vec<u16> = without_grease(numbers(hello.ciphers)).collect();
    let all: Vec<u16> = without_grease(hello.extensions().map(|(kind, _)| kind)).collect();
    let transport = match carrier {
        Carrier::Tls => 't',
        Carrier::Dtls => 'd',
        Carrier::Quic => 'q',
    };
    let name = if all.contains(&SERVER_NAME) { 'd' } else { 'i' };
    let (cipher_count, extension_count) = (ciphers.len().min(99), all.len().min(99));
    let mut extensions: Vec<u16> = all.into_iter().filter(|kind| ![SERVER_NAME, ALPN].contains(kind)).collect();
    ciphers.sort_unstable();
    extensions.sort_unstable();
    let signatures = hex_list(without_grease(numbers(list16(hello, SIGNATURE_ALGORITHMS))));
    let mut hashed = hex_list(extensions.iter().copied());
    if !signatures.is_empty() && !hashed.is_empty() {
        hashed.push('_');
        hashed.push_str(&signatures);
    }
    format!(
        "{transport}{}{name}{cipher_count:02}{extension_count:02}{}_{}_{}",
        version_word(hello, carrier),
        protocol_word(hello),
        short_hash(&hex_list(ciphers.into_iter())),
        short_hash(&hashed)
    )
}

/// The two characters for the highest version that the client supports.
fn version_word(hello: &ClientHello<'_>, carrier: Carrier) -> &'static str {
    let supported = hello.extension(SUPPORTED_VERSIONS).and_then(|content| Reader(content).vector8()).unwrap_or(&[]);
    let supported = without_grease(numbers(supported));
    // DTLS versions count downwards.
    let highest = if carrier == Carrier::Dtls { supported.min() } else { supported.max() };
    match highest.unwrap_or(hello.version) {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        0xfeff => "d1",
        0xfefd => "d2",
        0xfefc => "d3",
        _ => "00",
    }
}

/// First and last character of the first ALPN name; of its hex digits if either is not alphanumeric; `00` without ALPN.
fn protocol_word(hello: &ClientHello<'_>) -> String {
    let first = Reader(list16(hello, ALPN)).vector8().unwrap_or(&[]);
    let (Some(&start), Some(&end)) = (first.first(), first.last()) else { return "00".into() };
    if start.is_ascii_alphanumeric() && end.is_ascii_alphanumeric() {
        format!("{}{}", char::from(start), char::from(end))
    } else {
        format!("{:x}{:x}", start >> 4, end & 0x0f)
    }
}

/// The list with a length of two bytes that is the content of extension `kind`; empty when absent or malformed.
fn list16<'a>(hello: &ClientHello<'a>, kind: u16) -> &'a [u8] {
    hello.extension(kind).and_then(|content| Reader(content).vector16()).unwrap_or(&[])
}

fn without_grease(values: impl Iterator<Item = u16>) -> impl Iterator<Item = u16> {
    values.filter(|&value| !is_grease(value))
}

fn joined<T: std::fmt::Display>(values: impl Iterator<Item = T>) -> String {
    let mut text = String::new();
    for value in values {
        let dash = if text.is_empty() { "" } else { "-" };
        let _ = write!(text, "{dash}{value}");
    }
    text
}

fn hex_list(values: impl Iterator<Item = u16>) -> String {
    let mut text = String::new();
    for value in values {
        let comma = if text.is_empty() { "" } else { "," };
        let _ = write!(text, "{comma}{value:04x}");
    }
    text
}

/// The first twelve hex digits of SHA-256; zeros for an empty list.
fn short_hash(list: &str) -> String {
    if list.is_empty() { "000000000000".into() } else { hex(&Sha256::digest(list)[..6]) }
}

fn md5_hex(text: &str) -> String {
    hex(&Md5::digest(text))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
