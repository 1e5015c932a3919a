//! QUIC versions: their numbers, and the public secrets of their Initial packets.
//!
//! Sources: RFC 9001 section 5.2 (salt of version 1), RFC 9369 section 3.3 (version 2), draft-ietf-quic-tls-23 to -34
//! section 5.2, draft-ietf-quic-v2-00 (provisional version 2), mvfst `QuicConstants.h` (Facebook's numbers), QUICHE
//! `crypto_utils.cc` (Google's Q050, T050 and T051), registry "QUIC Versions" (IANA).

/// Version number as in a long header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Version(pub u32);

/// What the keys of Initial packets are made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Secrets {
    /// Salt of HKDF-Extract.
    pub salt: &'static [u8; 20],
    /// Labels of key, IV and header protection key.
    pub labels: [&'static str; 3],
}

impl serde::Serialize for Secrets {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.salt, self.labels[0]).serialize(serializer)
    }
}

impl<'de> serde::Deserialize<'de> for Secrets {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (salt, label) = <([u8; 20], String)>::deserialize(deserializer)?;
        let mut all = SALTS.iter().flat_map(|salt| [LABELS_V1, LABELS_V2].map(|labels| Self { salt, labels }));
        let known = all.find(|known| *known.salt == salt && known.labels[0] == label);
        known.ok_or_else(|| serde::de::Error::custom("secrets of no known version"))
    }
}

impl Version {
    /// The number that marks a version negotiation packet (RFC 9000 section 17.2.1).
    pub const NEGOTIATION: Self = Self(0);

    /// What the Initial keys of this version are made from; empty when it is not known.
    ///
    /// A client that forces version negotiation has to seal its packet with the salt of some version it knows: for the
    /// reserved numbers there are several to try.
    #[must_use]
    pub fn secrets(self) -> &'static [Secrets] {
        match self.0 {
            0x6b33_43cf => &V2,
            0x709a_50c4 => &V2_DRAFT,
            // The last drafts before RFC 9001 have its salt.
            0x0000_0001 | 0xff00_0021 | 0xff00_0022 => &V1,
            0xff00_001d..=0xff00_0020 => &DRAFT_29,
            0xff00_0017..=0xff00_001c => &DRAFT_23,
            0xff00_0015 | 0xff00_0016 | 0xface_b001 => &DRAFT_21,
            // Facebook's numbers stay while its drafts change; 27 is what all of them were seen with.
            0xface_b000 | 0xface_b002..=0xface_b013 => &DRAFT_23,
            0x5130_3530 => &Q050,
            0x5430_3530 => &T050,
            0x5430_3531 => &T051,
            _ if self.is_reserved() => &RESERVED,
            _ => &[],
        }
    }

    /// Packets of this version can be taken apart: it has the header of RFC 9000.
    #[must_use]
    pub fn is_known(self) -> bool {
        !self.secrets().is_empty()
    }

    /// A number reserved to force version negotiation (RFC 9000 section 15: `0x?a?a?a?a`).
    #[must_use]
    pub fn is_reserved(self) -> bool {
        self.0 & 0x0f0f_0f0f == 0x0a0a_0a0a
    }

    /// Google's framing inside the packets: CRYPTO frames have type 8.
    #[must_use]
    pub(super) fn is_google(self) -> bool {
        matches!(self.0, 0x5130_3530 | 0x5430_3530 | 0x5430_3531)
    }

    /// Google's own handshake in place of TLS.
    #[must_use]
    pub(super) fn has_google_crypto(self) -> bool {
        self.0 == 0x5130_3530
    }

    /// Packet types are numbered as in version 2 (RFC 9369 section 3.2).
    #[must_use]
    pub(super) fn rotates_types(self) -> bool {
        matches!(self.0, 0x6b33_43cf | 0x709a_50c4)
    }
}

const fn with(salt: &'static [u8; 20]) -> Secrets {
    Secrets { salt, labels: LABELS_V1 }
}

static V1: [Secrets; 1] = [with(&SALT_V1)];
static V2: [Secrets; 1] = [Secrets { salt: &SALT_V2, labels: LABELS_V2 }];
static V2_DRAFT: [Secrets; 1] = [Secrets { salt: &SALT_V2_DRAFT, labels: LABELS_V2 }];
static DRAFT_29: [Secrets; 1] = [with(&SALT_DRAFT_29)];
static DRAFT_23: [Secrets; 1] = [with(&SALT_DRAFT_23)];
static DRAFT_21: [Secrets; 1] = [with(&SALT_DRAFT_21)];
static Q050: [Secrets; 1] = [with(&SALT_Q050)];
static T050: [Secrets; 1] = [with(&SALT_T050)];
static T051: [Secrets; 1] = [with(&SALT_T051)];
static RESERVED: [Secrets; 3] = [with(&SALT_V1), with(&SALT_DRAFT_29), with(&SALT_DRAFT_23)];

const LABELS_V1: [&str; 3] = ["quic key", "quic iv", "quic hp"];
const LABELS_V2: [&str; 3] = ["quicv2 key", "quicv2 iv", "quicv2 hp"];

/// All salts, to find one again.
static SALTS: [&[u8; 20]; 9] = [
    &SALT_V1,
    &SALT_V2,
    &SALT_V2_DRAFT,
    &SALT_DRAFT_29,
    &SALT_DRAFT_23,
    &SALT_DRAFT_21,
    &SALT_Q050,
    &SALT_T050,
    &SALT_T051,
];

const SALT_V1: [u8; 20] = [
    0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f,
    0x0a,
];
const SALT_V2: [u8; 20] = [
    0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e,
    0xd9,
];
const SALT_V2_DRAFT: [u8; 20] = [
    0xa7, 0x07, 0xc2, 0x03, 0xa5, 0x9b, 0x47, 0x18, 0x4a, 0x1d, 0x62, 0xca, 0x57, 0x04, 0x06, 0xea, 0x7a, 0xe3, 0xe5,
    0xd3,
];
const SALT_DRAFT_29: [u8; 20] = [
    0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43, 0x90, 0xa8,
    0x99,
];
const SALT_DRAFT_23: [u8; 20] = [
    0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7, 0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe, 0xf9, 0xf5,
    0x02,
];
const SALT_DRAFT_21: [u8; 20] = [
    0x7f, 0xbc, 0xdb, 0x0e, 0x7c, 0x66, 0xbb, 0xe9, 0x19, 0x3a, 0x96, 0xcd, 0x21, 0x51, 0x9e, 0xbd, 0x7a, 0x02, 0x64,
    0x4a,
];
const SALT_Q050: [u8; 20] = [
    0x50, 0x45, 0x74, 0xef, 0xd0, 0x66, 0xfe, 0x2f, 0x9d, 0x94, 0x5c, 0xfc, 0xdb, 0xd3, 0xa7, 0xf0, 0xd3, 0xb5, 0x6b,
    0x45,
];
const SALT_T050: [u8; 20] = [
    0x7f, 0xf5, 0x79, 0xe5, 0xac, 0xd0, 0x72, 0x91, 0x55, 0x80, 0x30, 0x4c, 0x43, 0xa2, 0x36, 0x7c, 0x60, 0x48, 0x83,
    0x10,
];
const SALT_T051: [u8; 20] = [
    0x7a, 0x4e, 0xde, 0xf4, 0xe7, 0xcc, 0xee, 0x5f, 0xa4, 0x50, 0x6c, 0x19, 0x12, 0x4f, 0xc8, 0xcc, 0xda, 0x6e, 0x03,
    0x3d,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        // Version, known, reserved, Google's framing, Google's handshake, types of version 2.
        let cases: &[(&str, u32, [bool; 5])] = &[
            ("version 1", 1, [true, false, false, false, false]),
            ("version 2", 0x6b33_43cf, [true, false, false, false, true]),
            ("draft of version 2", 0x709a_50c4, [true, false, false, false, true]),
            ("draft 22", 0xff00_0016, [true, false, false, false, false]),
            ("draft 20", 0xff00_0014, [false, false, false, false, false]),
            ("draft 29", 0xff00_001d, [true, false, false, false, false]),
            ("draft 35", 0xff00_0023, [false, false, false, false, false]),
            ("mvfst", 0xface_b002, [true, false, false, false, false]),
            ("Q050", 0x5130_3530, [true, false, true, true, false]),
            ("T051", 0x5430_3531, [true, false, true, false, false]),
            ("Q043, read elsewhere", 0x5130_3433, [false, false, false, false, false]),
            ("reserved", 0x1a2a_3a4a, [true, true, false, false, false]),
            ("nearly reserved", 0x1a2a_3a4b, [false, false, false, false, false]),
            ("negotiation", 0, [false, false, false, false, false]),
        ];
        for (name, number, want) in cases {
            let version = Version(*number);
            let said = [
                version.is_known(),
                version.is_reserved(),
                version.is_google(),
                version.has_google_crypto(),
                version.rotates_types(),
            ];
            assert_eq!(said, *want, "{name}");
        }
    }

    #[test]
    fn secrets_come_back_from_a_state_file() {
        for number in [1, 0x6b33_43cf, 0x709a_50c4, 0xff00_001d, 0xff00_0017, 0xface_b001, 0x5130_3530, 0x5430_3530] {
            for secrets in Version(number).secrets() {
                let written = postcard::to_stdvec(secrets).unwrap();
                assert_eq!(postcard::from_bytes::<Secrets>(&written).unwrap(), *secrets, "{number:#x}");
            }
        }
    }
}
