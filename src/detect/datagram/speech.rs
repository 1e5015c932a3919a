//! Speech in RTP whose own heads prove that it is not encrypted: AMR and AMR-WB, what mobile telephony speaks.
//!
//! Sources: RFC 4867 sections 4.3 (bandwidth-efficient) and 4.4 (octet-aligned), 3GPP TS 26.101 table 1a and TS 26.201 table
//! 1a (bits of a frame of each type).
//! Evidence: each payload begins with a mode request and a list of frame types; the types give the length of the payload to
//! the bit, and the bits that fill its last byte are zero. Ciphertext has random bits there, and SRTP encrypts all of them.
//! Not handled: interleaving and checksums within the payload, which are agreed on outside and hardly used; EVS.

/// Bits from which the payloads of a flow are certain to be speech in clear. One packet of usual speech proves 7 to 14.
const ENOUGH: u32 = 48;

/// Bits of a speech frame by its type; `None` where the type has no meaning.
type Frames = [Option<u16>; 16];

/// TS 26.101 table 1a: eight rates, comfort noise, and nothing to send.
const AMR: Frames = {
    let mut frames = [None; 16];
    let rates = [95, 103, 118, 134, 148, 159, 204, 244, 39];
    let mut index = 0;
    while index < rates.len() {
        frames[index] = Some(rates[index]);
        index += 1;
    }
    frames[15] = Some(0);
    frames
};

/// TS 26.201 table 1a: nine rates, comfort noise, a lost frame, and nothing to send.
const AMR_WB: Frames = {
    let mut frames = [None; 16];
    let rates = [132, 177, 253, 285, 317, 365, 397, 461, 477, 40];
    let mut index = 0;
    while index < rates.len() {
        frames[index] = Some(rates[index]);
        index += 1;
    }
    frames[14] = Some(0);
    frames[15] = Some(0);
    frames
};

/// Whether `payloads`, of one payload type and without repeats, prove to be speech in clear.
pub(super) fn is_speech<'a>(payloads: impl Iterator<Item = &'a [u8]> + Clone) -> bool {
    [(&AMR, false), (&AMR_WB, false), (&AMR, true), (&AMR_WB, true)].into_iter().any(|(frames, aligned)| {
        let bits = payloads.clone().try_fold(0u32, |sum, payload| Some(sum + checked_bits(payload, frames, aligned)?));
        bits.is_some_and(|bits| bits >= ENOUGH)
    })
}

/// How many bits of the payload had to be as they are; `None` when it is none of these.
fn checked_bits(payload: &[u8], frames: &Frames, aligned: bool) -> Option<u32> {
    /// Frames of one packet: 240 ms, more than any sender packs together.
    const MOST_FRAMES: u32 = 12;
    let mut reader = Bits { bytes: payload, at: 0 };
    let request = reader.take(4)?;
    let mut checked = u32::from(request == 15 || frames.get(usize::from(request)).copied().flatten()? > 0);
    if aligned {
        checked += reader.zeros(4)?;
    }
    let (mut speech, mut count) = (0usize, 0u32);
    loop {
        let follows = reader.take(1)? == 1;
        let kind = reader.take(4)?;
        let whole = reader.take(1)? == 1;
        let size = usize::from(frames.get(usize::from(kind)).copied().flatten()?);
        speech += if aligned { size.next_multiple_of(8) } else { size };
        // The last type has to fit the length; those before it only have to exist.
        checked += if follows { 1 } else { 5 } + u32::from(whole);
        if aligned {
            checked += reader.zeros(2)?;
        }
        count += 1;
        if !follows {
            break;
        }
        if count == MOST_FRAMES {
            return None;
        }
    }
    let end = reader.at.checked_add(speech)?;
    if end.div_ceil(8) != payload.len() {
        return None;
    }
    if !aligned {
        reader.at = end;
        let filling = u32::try_from(payload.len() * 8 - end).ok()?;
        checked += reader.zeros(filling)?;
    }
    Some(checked)
}

/// Reads bits, most significant first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    /// The next `count` bits, at most eight.
    fn take(&mut self, count: u32) -> Option<u8> {
        (0..count).try_fold(0u8, |value, _| {
            let byte = self.bytes.get(self.at / 8)?;
            let bit = byte >> (7 - self.at % 8) & 1;
            self.at += 1;
            Some(value << 1 | bit)
        })
    }

    /// The number of bits passed over when all of them are zero.
    fn zeros(&mut self, count: u32) -> Option<u32> {
        (self.take(count)? == 0).then_some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::tests::noise;

    /// Packets of `len` bytes: `head` on noise, with the last `filling` bits zero.
    fn packets(head: &[u8], len: usize, filling: u32) -> Vec<Vec<u8>> {
        let packet = |seed: u8| {
            let mut bytes = noise(seed, len);
            // The bits behind the head belong to the speech.
            let (last, fixed) = head.split_last().unwrap();
            bytes[..fixed.len()].copy_from_slice(fixed);
            bytes[fixed.len()] = last | bytes[fixed.len()] & 0x3f;
            let end = bytes.len() - 1;
            bytes[end] &= u8::MAX << filling;
            bytes
        };
        (0..8).map(packet).collect()
    }

    #[test]
    fn speech() {
        let cases: &[(&str, Vec<Vec<u8>>, bool)] = &[
            ("AMR 12.2, no request", packets(&[0xf3, 0xc0], 32, 2), true),
            ("AMR 12.2, request for 12.2", packets(&[0x73, 0xc0], 32, 2), true),
            ("AMR-WB 12.65", packets(&[0xf1, 0x40], 33, 1), true),
            ("another length", packets(&[0xf3, 0xc0], 33, 2), false),
            ("filled with ones", packets(&[0xf3, 0xc0], 32, 0), false),
            ("a type without meaning", packets(&[0xf6, 0x40], 32, 2), false),
            ("ciphertext of that length", (0..8).map(|seed| noise(seed, 32)).collect(), false),
            ("few packets", packets(&[0xf3, 0xc0], 32, 2)[..3].to_vec(), false),
            ("nothing", vec![], false),
            ("empty payloads", vec![vec![]; 8], false),
        ];
        for (name, packets, want) in cases {
            assert_eq!(is_speech(packets.iter().map(Vec::as_slice)), *want, "{name}");
        }
    }

    /// Octet-aligned: the head and the list take whole bytes, and the speech begins at the next one.
    #[test]
    fn aligned() {
        let packet = |seed: u8, head: &[u8], speech: usize| [head, &noise(seed, speech)[..]].concat();
        let cases: &[(&str, &[u8], usize, bool)] = &[
            ("AMR 12.2", &[0xf0, 0x3c], 31, true),
            ("AMR 12.2, two frames", &[0xf0, 0xbc, 0x3c], 62, true),
            ("a reserved bit", &[0xf1, 0x3c], 31, false),
            ("a byte too long", &[0xf0, 0x3c], 32, false),
        ];
        for (name, head, speech, want) in cases {
            let packets: Vec<_> = (0..8).map(|seed| packet(seed, head, *speech)).collect();
            assert_eq!(is_speech(packets.iter().map(Vec::as_slice)), *want, "{name}");
        }
    }

    /// What a cipher puts out passes for speech in no length that speech has.
    #[test]
    fn no_ciphertext_is_speech() {
        for len in 1..80 {
            for seed in 0..=255u8 {
                let packets: Vec<_> =
                    (0..8).map(|index| noise(seed.wrapping_mul(8).wrapping_add(index), len)).collect();
                assert!(!is_speech(packets.iter().map(Vec::as_slice)), "{len} bytes, {seed}");
            }
        }
    }
}
