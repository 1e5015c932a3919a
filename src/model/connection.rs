//! QUIC connection IDs: what ties packets to a connection whose start lies elsewhere in the capture.

/// A connection ID that is long and irregular enough to recognise a connection by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct ConnectionId {
    len: u8,
    bytes: [u8; Self::LONGEST],
}

/// The first bytes of a datagram that may be a QUIC packet with a short header: its flags, and room for the longest
/// connection ID. Zeros when there is none.
pub type Opening = [u8; 1 + ConnectionId::LONGEST];

impl ConnectionId {
    /// Shorter ones say too little: other protocols may have the same bytes there by chance.
    pub const SHORTEST: usize = 8;
    /// The longest that QUIC has (RFC 9000 section 17.2).
    pub const LONGEST: usize = 20;
    /// An endpoint may choose any bytes; counters, text of one letter and zeros are not taken as proof of anything.
    const FEWEST_VALUES: u32 = 5;

    /// `None` for an ID by which nothing can be recognised: too short, too long, or too regular.
    #[must_use]
    pub fn new(id: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::LONGEST];
        bytes.get_mut(..id.len()).filter(|kept| kept.len() >= Self::SHORTEST)?.copy_from_slice(id);
        let mut seen = [0_u64; 4];
        for &byte in id {
            seen[usize::from(byte >> 6)] |= 1 << (byte & 63);
        }
        let values: u32 = seen.iter().map(|part| part.count_ones()).sum();
        (values >= Self::FEWEST_VALUES).then_some(Self { len: id.len() as u8, bytes })
    }

    /// Its length. Unit: bytes.
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }
}

/// The opening of a datagram; `None` when it cannot be a QUIC packet with a short header whose connection ID is worth
/// keeping (RFC 9000 section 17.3). The fixed bit is not asked for: endpoints may agree to vary it (RFC 9287).
#[must_use]
pub fn opening(datagram: &[u8]) -> Option<Opening> {
    let mut opening = Opening::default();
    let (flags, _) = datagram.split_first()?;
    if flags & 0x80 != 0 || datagram.len() < SHORTEST_PACKET {
        return None;
    }
    let kept = datagram.get(..opening.len()).unwrap_or(datagram);
    opening.get_mut(..kept.len())?.copy_from_slice(kept);
    Some(opening)
}

/// Flags, the shortest ID, and what header protection takes its sample from (RFC 9001 section 5.4.2).
const SHORTEST_PACKET: usize = 1 + ConnectionId::SHORTEST + 4 + 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worth_recognising_by() {
        let cases: &[(&str, &[u8], bool)] = &[
            ("eight bytes", b"\x9f\x13\xa5\x77\x02\xee\x41\x08", true),
            ("twenty bytes", b"abcdefghijklmnopqrst", true),
            ("twenty-one bytes", b"abcdefghijklmnopqrstu", false),
            ("seven bytes", b"\x9f\x13\xa5\x77\x02\xee\x41", false),
            ("zeros", &[0; 8], false),
            ("a small number", &[0, 0, 0, 0, 0, 0, 0x12, 0x34], false),
            ("none", &[], false),
        ];
        for (name, id, want) in cases {
            assert_eq!(ConnectionId::new(id).is_some(), *want, "{name}");
        }
    }

    #[test]
    fn openings() {
        let cases: &[(&str, Vec<u8>, bool)] = &[
            ("short header", [&[0x45][..], &[7; 28]].concat(), true),
            ("fixed bit varied", [&[0x05][..], &[7; 28]].concat(), true),
            ("long header", [&[0xc5][..], &[7; 28]].concat(), false),
            ("one byte too short", [&[0x45][..], &[7; 27]].concat(), false),
            ("empty", vec![], false),
        ];
        for (name, datagram, want) in cases {
            assert_eq!(opening(datagram).is_some(), *want, "{name}");
        }
    }
}
