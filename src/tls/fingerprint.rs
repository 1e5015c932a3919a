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

#[cfg(test)]
mod tests {
    use super::super::testing::{client_hello, extension, join, list, server_hello, vector16};
    use super::*;

    /// The two examples that JA3 was published with.
    #[test]
    fn published_ja3() {
        let suites = [47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4];
        let extensions = [extension(0, &[]), extension(10, &vector16(&list(&[23, 24, 25]))), extension(11, &[1, 0])];
        let no_extensions = client_hello(0x0301, &[], &[4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99], &[]);
        let greased = [&[extension(0x3a3a, &[])][..], &extensions].concat();
        for (name, body, want) in [
            ("with extensions", client_hello(0x0301, &[], &suites, &extensions), "ada70206e40642a3e4461f35503241d5"),
            ("without", no_extensions, "de350869b8c85de67a350c8d186f11e6"),
            ("GREASE", client_hello(0x0301, &[], &suites, &greased), "ada70206e40642a3e4461f35503241d5"),
        ] {
            let hello = ClientHello::parse(&body, Carrier::Tls);
            assert_eq!(hello.map(|hello| ja3(&hello)).as_deref(), Some(want), "{name}");
        }
    }

    /// MD5 of `769,47,65281-0-11-35-5-16`, worked out apart from this program.
    #[test]
    fn ja3s_of_a_hello() {
        let extensions = [65281, 0, 11, 35, 5, 16].map(|kind| extension(kind, &[]));
        let body = server_hello(0x0301, &[], 47, &extensions);
        let hello = ServerHello::parse(&body, Carrier::Tls);
        assert_eq!(hello.map(|hello| ja3s(&hello)).as_deref(), Some("836ce314215654b5b1f85f97c73e506f"));
    }

    /// The worked example of the JA4 technical details.
    fn ja4_example(alpn: &[u8]) -> Vec<u8> {
        let suites = [
            0x2a2a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c,
            0x009d, 0x002f, 0x0035,
        ];
        let signatures = list(&[0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601]);
        let kinds = [
            0x5a5a, 0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012, 0x002b,
            0xff01, 0x000b, 0x000a, 0x0015,
        ];
        let extensions = kinds.map(|kind| match kind {
            0x0010 => extension(kind, &vector16(&join(&[&[alpn.len() as u8], alpn]))),
            0x000d => extension(kind, &vector16(&signatures)),
            0x002b => extension(kind, &join(&[&[6], &list(&[0x6a6a, 0x0304, 0x0303])])),
            _ => extension(kind, &[]),
        });
        client_hello(0x0303, &[], &suites, &extensions)
    }

    #[test]
    fn published_ja4() {
        for (name, alpn, carrier, want) in [
            ("worked example", &b"h2"[..], Carrier::Tls, "t13d1516h2_8daaf6152771_e5627efa2ab1"),
            ("over QUIC", b"h3", Carrier::Quic, "q13d1516h3_8daaf6152771_e5627efa2ab1"),
            ("one character", b"h", Carrier::Tls, "t13d1516hh_8daaf6152771_e5627efa2ab1"),
            ("not alphanumeric: hex digits", b"\xabh\xcd", Carrier::Tls, "t13d1516ad_8daaf6152771_e5627efa2ab1"),
            ("only the last", b"0\xab", Carrier::Tls, "t13d15163b_8daaf6152771_e5627efa2ab1"),
        ] {
            let body = ja4_example(alpn);
            let hello = ClientHello::parse(&body, carrier);
            assert_eq!(hello.map(|hello| ja4(&hello, carrier)).as_deref(), Some(want), "{name}");
        }
    }

    #[test]
    fn ja4_of_a_bare_hello() {
        let body = client_hello(0x0301, &[], &[0x002f], &[]);
        let hello = ClientHello::parse(&body, Carrier::Tls);
        let ja4 = hello.map(|hello| ja4(&hello, Carrier::Tls)).unwrap_or_default();
        assert!(ja4.starts_with("t10i010000_") && ja4.ends_with("_000000000000"), "{ja4}");
    }
}
