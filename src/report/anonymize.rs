//! Crypto-PAn: addresses that keep their prefixes and nothing else.
//!
//! Two addresses that share their first k bits share the first k bits of what they become, so networks stay visible and
//! hosts do not. It is a one-to-one mapping under a secret key, and no more than that: whoever knows one pair of addresses
//! knows the common prefix of its neighbours too (the authors say so), so anonymised records are not public data.
//!
//! Source: J. Xu, J. Fan, M. Ammar, S. Moon, "Prefix-Preserving IP Address Anonymization", ICNP 2002, and their
//! `panonymizer`; IPv6 in the same way over 128 bits.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};

use crate::error::{Error, Result};

/// A secret mapping of addresses.
pub struct Anonymizer {
    cipher: Aes128,
    pad: u128,
}

impl Anonymizer {
    /// The mapping of a 32-byte key: 16 bytes for the cipher, 16 for the pad.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        let halves = key.split_at(16);
        let [secret, pad] = [halves.0, halves.1].map(|half| <[u8; 16]>::try_from(half).unwrap_or_default());
        let cipher = Aes128::new(&secret.into());
        let pad = encrypt(&cipher, u128::from_be_bytes(pad));
        Self { cipher, pad }
    }

    /// The mapping of the key in the file `path`: 32 bytes, or 64 hexadecimal digits.
    ///
    /// # Errors
    /// When the file cannot be read or holds something else.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|error| Error::file(path, format!("cannot read this key: {error}")))?;
        let key = <[u8; 32]>::try_from(bytes.as_slice()).ok().or_else(|| from_hex(&bytes));
        let key = key.ok_or_else(|| Error::file(path, "expected a key of 32 bytes, or 64 hexadecimal digits"))?;
        Ok(Self::new(key))
    }

    /// What `address` becomes.
    #[must_use]
    pub fn map(&self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(v4) => {
                let bits = u128::from(v4.to_bits()) << 96;
                IpAddr::V4(Ipv4Addr::from_bits((self.map_bits(bits, 32) >> 96) as u32))
            }
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(self.map_bits(v6.to_bits(), 128))),
        }
    }

    /// Maps the first `len` bits: each is flipped or not, as a keyed function of the bits before it decides.
    fn map_bits(&self, bits: u128, len: u32) -> u128 {
        (0..len).fold(bits, |mapped, place| {
            let mask = u128::MAX.checked_shl(128 - place).unwrap_or(0);
            let input = bits & mask | self.pad & !mask;
            mapped ^ (encrypt(&self.cipher, input) >> 127) << (127 - place)
        })
    }
}

fn encrypt(cipher: &Aes128, block: u128) -> u128 {
    let mut block = block.to_be_bytes().into();
    cipher.encrypt_block(&mut block);
    u128::from_be_bytes(block.into())
}

fn from_hex(bytes: &[u8]) -> Option<[u8; 32]> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut key = [0; 32];
    for (byte, digits) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(key)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    /// The key and the trace that the authors published with their program.
    const KEY: [u8; 32] = [
        21, 34, 23, 141, 51, 164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16, 216, 152, 143, 131, 121, 121, 101, 39,
        98, 87, 76, 45, 42, 132, 34, 2,
    ];

    #[test]
    fn published_vectors() {
        let cases = [
            ("128.11.68.132", "135.242.180.132"),
            ("129.118.74.4", "134.136.186.123"),
            ("130.132.252.244", "133.68.164.234"),
            ("141.223.7.43", "141.167.8.160"),
            ("141.233.145.108", "141.129.237.235"),
            ("152.163.225.39", "151.140.114.167"),
            ("156.29.3.236", "147.225.12.42"),
            ("165.247.96.84", "162.9.99.234"),
            ("166.107.77.190", "160.132.178.185"),
            ("192.102.249.13", "252.138.62.131"),
            ("192.215.32.125", "252.43.47.189"),
            ("192.233.80.103", "252.25.108.8"),
            ("192.41.57.43", "252.222.221.184"),
            ("193.150.244.223", "253.169.52.216"),
            ("195.205.63.100", "255.186.223.5"),
            ("198.200.171.101", "249.199.68.213"),
        ];
        let anonymizer = Anonymizer::new(KEY);
        for (address, want) in cases {
            let mapped = anonymizer.map(address.parse().unwrap());
            assert_eq!(mapped, want.parse::<IpAddr>().unwrap(), "{address}");
        }
    }

    #[test]
    fn common_prefixes_stay_common_and_end_where_they_did() {
        let anonymizer = Anonymizer::new(KEY);
        let cases = [
            ("10.0.0.1", "10.0.0.2"),
            ("10.0.0.1", "10.128.0.1"),
            ("1.2.3.4", "129.2.3.4"),
            ("2001:db8::1", "2001:db8::2"),
            ("2001:db8::1", "2001:db8:8000::1"),
            ("fe80::1", "2001:db8::1"),
        ];
        let bits = |address: IpAddr| match address {
            IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
            IpAddr::V6(v6) => v6.to_bits(),
        };
        for (one, other) in cases {
            let [one, other] = [one, other].map(|text| text.parse::<IpAddr>().unwrap());
            let common = |a, b| (bits(a) ^ bits(b)).leading_zeros();
            assert_eq!(common(anonymizer.map(one), anonymizer.map(other)), common(one, other), "{one} {other}");
        }
    }

    #[test]
    fn keys_are_bytes_or_digits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let address: IpAddr = "128.11.68.132".parse().unwrap();
        let digits: String = KEY.iter().map(|byte| format!("{byte:02x}")).collect();
        for content in [KEY.to_vec(), format!("{digits}\n").into_bytes()] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(Anonymizer::load(&path).unwrap().map(address).to_string(), "135.242.180.132");
        }
        for content in [&b"short"[..], &[b'x'; 64], &[0; 33]] {
            std::fs::write(&path, content).unwrap();
            let error = Anonymizer::load(&path).err().unwrap().to_string();
            assert!(error.contains("expected a key of 32 bytes"), "{error}");
        }
    }
}
