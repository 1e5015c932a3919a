//! Keys of QUIC Initial packets, and opening such packets. The keys are public: they follow from a connection ID that
//! is in the packet, so that an opened packet proves QUIC (its tag is checked) and hides nothing.
//!
//! Sources: RFC 9001 sections 5.2 to 5.4, RFC 9369 section 3.3, RFC 8446 section 7.1 (HKDF-Expand-Label).

use aes::Aes128Enc;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes_gcm::AesGcm;
use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::consts::U12;

use super::hmac::Hmac;
use super::packet::Long;
use super::version::Secrets;

/// Keys of the Initial packets that one side of a connection sends: key, IV and header protection key.
///
/// The ciphers are set up anew for each packet. A side sends few of these packets, and ciphers that are ready to use take
/// 1,500 bytes, which each open connection would hold.
#[derive(Clone, Copy, serde::Serialize, serde::Deserialize)]
pub struct InitialKeys {
    key: [u8; 16],
    iv: [u8; 12],
    mask: [u8; 16],
}

/// AES-128-GCM; of AES, GCM needs no more than how to encrypt.
type Seal = AesGcm<Aes128Enc, U12>;

/// What the keys of both sides of a connection are derived from.
#[derive(Clone, Copy, serde::Serialize, serde::Deserialize)]
pub(super) struct InitialSecret {
    secrets: Secrets,
    secret: Hmac,
}

impl InitialSecret {
    /// The secret of a connection whose client chose `destination` as the server's first connection ID; `None` when that is
    /// longer than any version allows.
    pub(super) fn new(secrets: Secrets, destination: &[u8]) -> Option<Self> {
        Some(Self { secrets, secret: Hmac::new(&Hmac::new(secrets.salt)?.of(&[destination])?)? })
    }

    /// The keys of `sender`.
    pub(super) fn keys(&self, sender: Sender) -> Option<InitialKeys> {
        let [key, iv, mask] = self.secrets.labels;
        let label = match sender {
            Sender::Client => "client in",
            Sender::Server => "server in",
        };
        let secret = Hmac::new(&expand_label::<32>(&self.secret, label)?)?;
        Some(InitialKeys {
            key: expand_label(&secret, key)?,
            iv: expand_label(&secret, iv)?,
            mask: expand_label(&secret, mask)?,
        })
    }
}

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The client.
    Client,
    /// The server.
    Server,
}

impl InitialKeys {
    /// The keys of `sender` in a connection whose client chose `destination` as the server's first connection ID.
    ///
    /// `None` when `destination` is longer than any version allows.
    #[must_use]
    pub fn derive(secrets: &Secrets, destination: &[u8], sender: Sender) -> Option<Self> {
        InitialSecret::new(*secrets, destination)?.keys(sender)
    }

    /// Opens a packet: removes header protection, checks the tag, leaves the frames in `plain`.
    ///
    /// `plain` is scratch room, overwritten. `None` when the packet is cut short or its tag is not right: it was not
    /// made with these keys.
    #[must_use]
    pub fn open<'p>(&self, packet: &Long<'_>, plain: &'p mut Vec<u8>) -> Option<&'p [u8]> {
        if !packet.whole {
            return None;
        }
        let number_at = packet.number_at;
        let sample_at = number_at.checked_add(4)?;
        let mut block: [u8; 16] = *packet.bytes.get(sample_at..)?.first_chunk()?;
        Aes128Enc::new(&self.mask.into()).encrypt_block((&mut block).into());
        let [flag_mask, number_mask @ ..] = block;

        plain.clear();
        plain.extend_from_slice(packet.bytes);
        let flags = plain.first_mut()?;
        *flags ^= flag_mask & 0x0f;
        let number_len = usize::from(*flags & 3) + 1;
        let mut number = 0_u32;
        let body_at = number_at.checked_add(number_len)?;
        for (byte, mask) in plain.get_mut(number_at..body_at)?.iter_mut().zip(number_mask) {
            *byte ^= mask;
            number = number << 8 | u32::from(*byte);
        }
        // Initial packets are few: the truncated number is the whole number.
        let mut nonce = self.iv;
        let [.., a, b, c, d] = &mut nonce;
        for (byte, part) in [a, b, c, d].into_iter().zip(number.to_be_bytes()) {
            *byte ^= part;
        }
        let tag_at = plain.len().checked_sub(16).filter(|&at| at >= body_at)?;
        let (rest, tag) = plain.split_at_mut(tag_at);
        let tag: [u8; 16] = (*tag).try_into().ok()?;
        let (header, body) = rest.split_at_mut(body_at);
        Seal::new(&self.key.into())
            .decrypt_inout_detached(&nonce.into(), header, (&mut *body).into(), &tag.into())
            .ok()?;
        plain.get(body_at..tag_at)
    }

    /// An Initial packet with these frames: `header` goes up to and includes the token, `number` is the packet number.
    /// For tests and fuzzing, which have to get past the tag. Empty when the frames are too long or too short for one.
    #[doc(hidden)]
    #[must_use]
    pub fn seal(&self, header: Vec<u8>, number: u8, frames: &[u8]) -> Vec<u8> {
        let mut packet = header;
        packet.extend((0x4000 | (frames.len() + 17) as u16 & 0x3fff).to_be_bytes());
        let number_at = packet.len();
        packet.push(number);
        let mut nonce = self.iv;
        let [.., last] = &mut nonce;
        *last ^= number;
        let mut body = frames.to_vec();
        let sealed =
            Seal::new(&self.key.into()).encrypt_inout_detached(&nonce.into(), &packet, body.as_mut_slice().into());
        let Ok(tag) = sealed else { return Vec::new() };
        packet.extend(body);
        packet.extend(tag.as_slice());
        let Some(mut block) = packet.get(number_at + 4..).and_then(|sample| sample.first_chunk::<16>()).copied() else {
            return Vec::new();
        };
        Aes128Enc::new(&self.mask.into()).encrypt_block((&mut block).into());
        let [flags, masked, ..] = block;
        if let Some(first) = packet.first_mut() {
            *first ^= flags & 0x0f;
        }
        if let Some(place) = packet.get_mut(number_at) {
            *place ^= masked;
        }
        packet
    }
}

/// HKDF-Expand-Label with an empty context (RFC 8446 section 7.1), of at most 32 bytes: one block of HKDF-Expand (RFC 5869
/// section 2.3).
fn expand_label<const N: usize>(secret: &Hmac, label: &str) -> Option<[u8; N]> {
    let len = u16::try_from(N).ok()?.to_be_bytes();
    let label_len = u8::try_from("tls13 ".len() + label.len()).ok()?;
    let block = secret.of(&[&len, &[label_len], b"tls13 ", label.as_bytes(), &[0], &[1]])?;
    block.first_chunk().copied()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::quic::packet::{Kind, Packet, packets};
    use crate::quic::version::Version;

    /// Bytes from hexadecimal digits.
    pub(crate) fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
        digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect()
    }

    fn derive(version: Version, destination: &[u8], sender: Sender) -> InitialKeys {
        let secrets = version.secrets().first().expect("known version");
        InitialKeys::derive(secrets, destination, sender).expect("keys")
    }

    /// An Initial packet with these frames.
    pub(crate) fn sealed(
        version: Version,
        key_id: &[u8],
        sender: Sender,
        [to, from]: [&[u8]; 2],
        number: u8,
        frames: &[u8],
    ) -> Vec<u8> {
        let keys = derive(version, key_id, sender);
        let mut packet = vec![if version.rotates_types() { 0xd0 } else { 0xc0 }];
        packet.extend(version.0.to_be_bytes());
        for id in [to, from] {
            packet.push(id.len() as u8);
            packet.extend(id);
        }
        packet.push(0);
        keys.seal(packet, number, frames)
    }

    /// The server's Initial packets of RFC 9001 appendix A.3 and RFC 9369 appendix A.3.
    const SERVER_INITIALS: [(&str, &str); 2] = [
        (
            "version 1",
            "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a
             5816b6394100f37a1c69797554780bb38cc5a99f5ede4cf73c3ec2493a1839b3
             dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84
             022f8ef4cdd93795d77d06edbb7aaf2f58891850abbdca3d20398c276456cbc4
             2158407dd074ee",
        ),
        (
            "version 2",
            "dc6b3343cf0008f067a5502a4262b5004075d92faaf16f05d8a4398c47089698
             baeea26b91eb761d9b89237bbf87263017915358230035f7fd3945d88965cf17
             f9af6e16886c61bfc703106fbaf3cb4cfa52382dd16a393e42757507698075b2
             c984c707f0a0812d8cd5a6881eaf21ceda98f4bd23f6fe1a3e2c43edd9ce7ca8
             4bed8521e2e140",
        ),
    ];

    #[test]
    fn vectors_of_the_rfcs() {
        let plain = hex("02000000000600405a020000560303eefce7f7b37ba1d1632e96677825ddf73988cfc79825df566dc5430b9a04
             5a1200130100002e00330024001d00209d3c940d89690b84d08a60993c144eca684d1081287c834d5311bcf32bb9da1a002b00020304");
        let destination = hex("8394c8f03e515708");
        for (name, packet) in SERVER_INITIALS {
            let packet = hex(packet);
            let Some(Packet::Long(long)) = packets(&packet).next() else { panic!("{name}: not a long header") };
            assert_eq!(long.kind, Kind::Initial, "{name}");
            let mut buffer = Vec::new();
            let keys = derive(long.version, &destination, Sender::Server);
            assert_eq!(keys.open(&long, &mut buffer), Some(&plain[..]), "{name}");
            for (other, destination, sender) in [
                ("client", &destination[..], Sender::Client),
                ("other connection", b"\0\0\0\0\0\0\0\0", Sender::Server),
            ] {
                let keys = derive(long.version, destination, sender);
                assert_eq!(keys.open(&long, &mut buffer), None, "{name}, keys of the {other}");
            }
            for at in 0..packet.len() {
                let mut bent = packet.clone();
                bent[at] ^= 1;
                for bent in packets(&bent) {
                    if let Packet::Long(bent) = bent {
                        assert_eq!(keys.open(&bent, &mut buffer), None, "{name}, byte {at} bent");
                    }
                }
            }
        }
    }

    #[test]
    fn every_known_version_opens_its_own() {
        for number in
            [1, 0x6b33_43cf, 0x709a_50c4, 0xff00_0017, 0xff00_001d, 0xff00_0022, 0xface_b001, 0xface_b002, 0x5430_3531]
        {
            let version = Version(number);
            let packet = sealed(version, b"original", Sender::Client, [b"original", b"c"], 3, &[1; 40]);
            let Some(Packet::Long(long)) = packets(&packet).next() else { panic!("{number:x}: not a long header") };
            let keys = derive(version, b"original", Sender::Client);
            assert_eq!(keys.open(&long, &mut Vec::new()), Some(&[1; 40][..]), "{number:x}");
        }
        assert!(!Version(0x1234_5678).is_known());
    }
}
