//! Fingerprints of hellos: JA3 and JA3S (MD5) and JA4 (client).
//!
//! Sources: Salesforce "JA3" (2017; fields joined by commas, values by dashes, GREASE left out of JA3); FoxIO "JA4: TLS
//! Client Fingerprinting" technical details. JA3 takes the legacy version fields, JA4 the supported versions.
//! Not handled: JA4S and the other members of the family; SSL 2 hellos have no fingerprint.

use std::cell::RefCell;

use md5::Md5;
use sha2::{Digest, Sha256};

use super::hello::{
    ALPN, Carrier, ClientHello, EC_POINT_FORMATS, SERVER_NAME, SIGNATURE_ALGORITHMS, SUPPORTED_GROUPS,
    SUPPORTED_VERSIONS, ServerHello, is_grease,
};
use super::memo::{Memo, Question, Room};
use super::read::{Reader, numbers};
use crate::model::{Fingerprint, hex_digit};

/// JA3 and JA4 of a ClientHello.
///
/// JA3: MD5 of `version,ciphers,extensions,groups,point formats`, 32 hex digits. JA4: `t13d1516h2_8daaf6152771_e5627efa2ab1`.
pub(super) fn of_client(hello: &ClientHello<'_>, carrier: Carrier) -> (Fingerprint, Fingerprint) {
    let parts = Parts::of(hello, carrier);
    (parts.ja3(), parts.ja4())
}

/// JA3S: MD5 of `version,cipher,extensions`, 32 hex digits.
pub(super) fn ja3s(hello: &ServerHello<'_>) -> Fingerprint {
    thread_local! {
        static KNOWN: RefCell<Memo<Fingerprint>> = RefCell::new(Memo::new(MEMO_BYTES));
    }
    let make = || {
        let mut text = Text::<Md5>::new();
        text.number(hello.version);
        text.byte(b',');
        text.number(hello.cipher);
        text.byte(b',');
        text.numbers(hello.extensions().map(|(kind, _)| kind));
        text.fingerprint()
    };
    let mut room = Room::default();
    let mut question = Question::new(&mut room);
    [hello.version, hello.cipher].into_iter().for_each(|number| question.add(&number.to_be_bytes()));
    hello.extensions().for_each(|(kind, _)| question.add(&kind.to_be_bytes()));
    match question.done() {
        Some(question) => KNOWN.with_borrow_mut(|known| known.recall(question, || (make(), 0))),
        None => make(),
    }
}

/// What the fingerprints of a ClientHello are made from. A list is empty when it is absent or malformed; of an extension
/// that was sent twice, the first counts.
struct Parts<'a> {
    hello: ClientHello<'a>,
    carrier: Carrier,
    groups: &'a [u8],
    formats: &'a [u8],
    signatures: &'a [u8],
    versions: &'a [u8],
    /// The first application protocol.
    protocol: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(hello: &ClientHello<'a>, carrier: Carrier) -> Self {
        let [mut groups, mut formats, mut signatures, mut versions, mut protocols] = [None; 5];
        for (kind, content) in hello.extensions() {
            let place = match kind {
                SUPPORTED_GROUPS => &mut groups,
                EC_POINT_FORMATS => &mut formats,
                SIGNATURE_ALGORITHMS => &mut signatures,
                SUPPORTED_VERSIONS => &mut versions,
                ALPN => &mut protocols,
                _ => continue,
            };
            place.get_or_insert(content);
        }
        let list8 = |content: Option<&'a [u8]>| content.and_then(|content| Reader(content).vector8()).unwrap_or(&[]);
        let list16 = |content: Option<&'a [u8]>| content.and_then(|content| Reader(content).vector16()).unwrap_or(&[]);
        Self {
            hello: *hello,
            carrier,
            groups: list16(groups),
            formats: list8(formats),
            signatures: list16(signatures),
            versions: list8(versions),
            protocol: list8(Some(list16(protocols))),
        }
    }

    fn ja3(&self) -> Fingerprint {
        let mut text = Text::<Md5>::new();
        text.number(self.hello.version);
        text.byte(b',');
        text.numbers(without_grease(numbers(self.hello.ciphers)));
        text.byte(b',');
        text.numbers(without_grease(self.kinds()));
        text.byte(b',');
        text.numbers(without_grease(numbers(self.groups)));
        text.byte(b',');
        text.numbers(self.formats.iter().copied().map(u16::from));
        text.fingerprint()
    }

    fn ja4(&self) -> Fingerprint {
        let mut ciphers: Vec<u16> = without_grease(numbers(self.hello.ciphers)).collect();
        let mut extensions: Vec<u16> = without_grease(self.kinds()).collect();
        let transport = match self.carrier {
            Carrier::Tls => b't',
            Carrier::Dtls => b'd',
            Carrier::Quic => b'q',
        };
        let name = if extensions.contains(&SERVER_NAME) { b'd' } else { b'i' };
        let (cipher_count, extension_count) = (two_digits(ciphers.len()), two_digits(extensions.len()));
        extensions.retain(|kind| ![SERVER_NAME, ALPN].contains(kind));
        ciphers.sort_unstable();
        extensions.sort_unstable();

        let mut ciphers_text = Text::<Sha256>::new();
        ciphers_text.hex_numbers(ciphers.into_iter());
        let mut rest_text = Text::<Sha256>::new();
        let mut signatures = without_grease(numbers(self.signatures)).peekable();
        let both = !extensions.is_empty() && signatures.peek().is_some();
        rest_text.hex_numbers(extensions.into_iter());
        if both {
            rest_text.byte(b'_');
            rest_text.hex_numbers(signatures);
        }

        let mut out = Fingerprint::default();
        out.push(&[transport]);
        out.push(self.version_word());
        out.push(&[name]);
        out.push(&cipher_count);
        out.push(&extension_count);
        out.push(&self.protocol_word());
        for text in [ciphers_text, rest_text] {
            out.push(b"_");
            // Zeros for an empty list.
            match text.is_empty() {
                true => out.push_hex(&[0; 6]),
                false => out.push_hex(text.digest().as_ref().get(..6).unwrap_or_default()),
            }
        }
        out
    }

    fn kinds(&self) -> impl Iterator<Item = u16> {
        self.hello.extensions().map(|(kind, _)| kind)
    }

    /// The two characters for the highest version that the client supports.
    fn version_word(&self) -> &'static [u8] {
        let supported = without_grease(numbers(self.versions));
        // DTLS versions count downwards.
        let highest = if self.carrier == Carrier::Dtls { supported.min() } else { supported.max() };
        match highest.unwrap_or(self.hello.version) {
            0x0304 => b"13",
            0x0303 => b"12",
            0x0302 => b"11",
            0x0301 => b"10",
            0x0300 => b"s3",
            0x0002 => b"s2",
            0xfeff => b"d1",
            0xfefd => b"d2",
            0xfefc => b"d3",
            _ => b"00",
        }
    }

    /// First and last character of the first ALPN name; of its hex digits if either is not alphanumeric; `00` without ALPN.
    fn protocol_word(&self) -> [u8; 2] {
        let (Some(&start), Some(&end)) = (self.protocol.first(), self.protocol.last()) else { return *b"00" };
        if start.is_ascii_alphanumeric() && end.is_ascii_alphanumeric() {
            [start, end]
        } else {
            [hex_digit(start >> 4), hex_digit(end & 0x0f)]
        }
    }
}

fn without_grease(values: impl Iterator<Item = u16>) -> impl Iterator<Item = u16> {
    values.filter(|&value| !is_grease(value))
}

/// A count as JA4 writes it: two digits, 99 at most.
fn two_digits(count: usize) -> [u8; 2] {
    let count = count.min(99) as u8;
    [b'0' + count / 10, b'0' + count % 10]
}

/// A text on its way into a digest, through a small buffer: no hello, however long, makes it any larger.
struct Text<D> {
    digest: D,
    buffer: [u8; 256],
    len: usize,
    empty: bool,
}

impl<D: Digest> Text<D> {
    fn new() -> Self {
        Self { digest: D::new(), buffer: [0; 256], len: 0, empty: true }
    }

    fn is_empty(&self) -> bool {
        self.empty
    }

    fn byte(&mut self, byte: u8) {
        if self.len == self.buffer.len() {
            self.flush();
        }
        if let Some(place) = self.buffer.get_mut(self.len) {
            *place = byte;
            self.len += 1;
            self.empty = false;
        }
    }

    /// In decimal digits.
    fn number(&mut self, number: u16) {
        let mut divisor = 10_000;
        while divisor > 1 && number < divisor {
            divisor /= 10;
        }
        while divisor > 0 {
            self.byte(b'0' + (number / divisor % 10) as u8);
            divisor /= 10;
        }
    }

    /// Joined by dashes.
    fn numbers(&mut self, numbers: impl Iterator<Item = u16>) {
        for (place, number) in numbers.enumerate() {
            if place > 0 {
                self.byte(b'-');
            }
            self.number(number);
        }
    }

    /// Four hex digits each, joined by commas.
    fn hex_numbers(&mut self, numbers: impl Iterator<Item = u16>) {
        for (place, number) in numbers.enumerate() {
            if place > 0 {
                self.byte(b',');
            }
            [12, 8, 4, 0].into_iter().for_each(|shift| self.byte(hex_digit((number >> shift & 0x0f) as u8)));
        }
    }

    fn flush(&mut self) {
        self.digest.update(self.buffer.get(..self.len).unwrap_or_default());
        self.len = 0;
    }

    fn digest(mut self) -> impl AsRef<[u8]> {
        self.flush();
        self.digest.finalize()
    }

    /// The whole digest in hex.
    fn fingerprint(self) -> Fingerprint {
        let mut out = Fingerprint::default();
        out.push_hex(self.digest().as_ref());
        out
    }
}

/// Memory of what is remembered of server hellos: thousands of kinds. Unit: bytes.
const MEMO_BYTES: usize = 256 << 10;

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
            assert_eq!(hello.map(|hello| of_client(&hello, Carrier::Tls).0).as_deref(), Some(want), "{name}");
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
            assert_eq!(hello.map(|hello| of_client(&hello, carrier).1).as_deref(), Some(want), "{name}");
        }
    }

    #[test]
    fn ja4_of_a_bare_hello() {
        let body = client_hello(0x0301, &[], &[0x002f], &[]);
        let hello = ClientHello::parse(&body, Carrier::Tls);
        let ja4 = hello.map(|hello| of_client(&hello, Carrier::Tls).1).unwrap_or_default();
        assert!(ja4.starts_with("t10i010000_") && ja4.ends_with("_000000000000"), "{ja4}");
    }
}
