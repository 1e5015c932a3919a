//! RTP and RTCP. Neither has a magic number, and the header of SRTP is the same as that of RTP.
//!
//! Sources: RFC 3550 sections 5.1 (RTP), 6.1 and 6.4 (compound RTCP), RFC 5761 section 4 (payload types that are never RTP
//! beside RTCP), RFC 3711 section 3 (SRTP keeps the header and encrypts the payload; SRTCP keeps eight bytes and appends at
//! least four), RFC 3551 (static payload types), RFC 2250 (MPEG-TS in RTP); for speech see `speech`.
//! Evidence: several packets of one side with one synchronisation source and rising sequence numbers. That tells RTP, not
//! whether it is encrypted: class `unknown`, until the payload proves that it is no ciphertext (its bytes are far from
//! evenly spread, or it is speech whose length is written in it), or RTCP in clear runs beside it, or another flow announced
//! the endpoint.
//! Not handled: codecs whose output is as even as ciphertext; they stay unknown unless announced.

use super::sdp::RTP;
use super::shape::{Check, ENOUGH, Reader, Stop, is_keepalive, judge, weigh};
use super::speech::is_speech;
use super::stun::is_message;
use crate::detect::{Datagram, Dissector, Found, Heads, MAX_DATAGRAMS, Openings, Outcome};
use crate::model::{Class, Protocol, Transport};

/// RTP, possibly with RTCP and STUN on the same ports.
pub(super) struct Rtp;

/// RTCP in clear, alone on its ports.
pub(super) struct Rtcp;

const RTCP: Protocol = Protocol(&"rtcp");

impl Dissector for Rtp {
    fn openings(&self) -> Openings {
        // STUN, RTP and RTCP.
        const OPENINGS: Openings = Openings::of(&[0..=0x3f, 0x80..=0xbf]);
        OPENINGS
    }

    fn protocol(&self) -> Protocol {
        RTP
    }

    fn transport(&self) -> Transport {
        Transport::UDP
    }

    fn has_sides(&self) -> bool {
        false
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let mut sides = [Stream::default(), Stream::default()];
        let (mut packets, mut clear_control) = (0usize, false);
        for datagram in heads.datagrams.iter().filter(|datagram| !is_keepalive(datagram.bytes)) {
            if is_message(*datagram) {
                continue;
            }
            if is_control(*datagram) {
                clear_control |= control_bits(*datagram) >= ENOUGH;
                continue;
            }
            let Some(header) = Header::read(*datagram) else {
                return Outcome::No;
            };
            if !sides[usize::from(datagram.from_client)].follows(&header) {
                return Outcome::No;
            }
            packets += 1;
        }
        if packets == 0 {
            return Outcome::NeedMore;
        }
        // Two packets of one side share 32 bits of source and continue a 16 bit sequence; three are certain.
        let longest = sides.iter().map(|side| side.packets).max().unwrap_or(0);
        let clear = clear_control || is_clear(heads.datagrams);
        let class = if clear { Class::Plaintext } else { Class::Unknown };
        let found = Found { class, ..Found::plaintext(RTP) };
        let full = heads.datagrams.len() >= MAX_DATAGRAMS;
        match longest {
            0..=1 => Outcome::NeedMore,
            2 => Outcome::Likely(Found { class: Class::Unknown, ..found }),
            _ if full || clear => Outcome::Found(found),
            _ => Outcome::Likely(found),
        }
    }
}

/// What one side has sent.
#[derive(Clone, Copy, Debug, Default)]
struct Stream {
    source: u32,
    sequence: u16,
    packets: usize,
    /// Changes of source: a sender may restart or mix two media.
    changes: usize,
}

impl Stream {
    fn follows(&mut self, header: &Header<'_>) -> bool {
        if self.packets > 0 && self.source != header.source {
            self.changes += 1;
            return self.changes <= 2;
        }
        // Forward by a little, or back by less: reordering and duplicates.
        let step = header.sequence.wrapping_sub(self.sequence) as i16;
        if self.packets > 0 && !(-16..=256).contains(&step) {
            return false;
        }
        self.source = header.source;
        self.sequence = header.sequence;
        self.packets += usize::from(self.packets == 0 || step != 0);
        true
    }
}

/// The fields of one RTP packet that are needed here.
struct Header<'a> {
    sequence: u16,
    source: u32,
    kind: u8,
    payload: &'a [u8],
}

impl<'a> Header<'a> {
    fn read(datagram: Datagram<'a>) -> Option<Self> {
        let [first, second, a, b, _, _, _, _, s0, s1, s2, s3, ..] = datagram.bytes else {
            return None;
        };
        let kind = second & 0x7f;
        if first >> 6 != 2 || (64..=95).contains(&kind) {
            return None;
        }
        let mut start = 12 + usize::from(first & 0xf) * 4;
        if first & 0x10 != 0 {
            let words = datagram.bytes.get(start + 2..start + 4)?;
            let words: [u8; 2] = words.try_into().ok()?;
            start += 4 + usize::from(u16::from_be_bytes(words)) * 4;
        }
        if start > datagram.wire_len {
            return None;
        }
        let payload = datagram.bytes.get(start..).unwrap_or_default();
        let source = u32::from_be_bytes([*s0, *s1, *s2, *s3]);
        (source != 0).then_some(Self { sequence: u16::from_be_bytes([*a, *b]), source, kind, payload })
    }
}

/// Whether a datagram has the form of RTP or RTCP, encrypted or not (RFC 7983 section 7: first byte 128 to 191).
pub(super) fn is_media(datagram: Datagram<'_>) -> bool {
    matches!(datagram.bytes, [0x80..=0xbf, 200..=213, ..]) || Header::read(datagram).is_some()
}

/// Whether the payloads cannot be the output of a cipher.
///
/// The high halves of the bytes are counted into 16 bins. Ciphertext fills them evenly: Pearson's statistic has 15
/// degrees of freedom then, and exceeds the bound about once in 10^40 flows. Speech in G.711 exceeds it many times over.
fn is_clear(datagrams: &[Datagram<'_>]) -> bool {
    const LEAST_BYTES: usize = 320;
    const BOUND: u64 = 240;
    let mut bins = [0u64; 16];
    let (mut bytes, mut streams) = (0usize, [None::<u16>; 2]);
    let (mut cells, mut sync) = (0usize, 0usize);
    for datagram in datagrams {
        if is_message(*datagram) || is_control(*datagram) {
            continue;
        }
        let Some(header) = Header::read(*datagram) else { continue };
        // A packet that repeats would count twice.
        let last = &mut streams[usize::from(datagram.from_client)];
        if last.is_some_and(|last| header.sequence.wrapping_sub(last) as i16 <= 0) {
            continue;
        }
        *last = Some(header.sequence);
        // The first bytes are the codec's own header, which some senders leave readable before encrypted content.
        for byte in header.payload.iter().skip(4) {
            bins[usize::from(byte >> 4)] += 1;
            bytes += 1;
        }
        if header.kind == 33 {
            let heads = header.payload.chunks_exact(188);
            cells += heads.len();
            sync += heads.filter(|cell| matches!(cell, [0x47, _, _, flags, ..] if flags & 0xc0 == 0)).count();
        }
    }
    if cells >= 5 && cells == sync {
        return true;
    }
    bytes >= LEAST_BYTES && chi_square(&bins) > BOUND || speaks(datagrams)
}

/// Whether the packets of one payload type prove to be speech in clear.
fn speaks(datagrams: &[Datagram<'_>]) -> bool {
    const PADDED: u8 = 0x20;
    let media = |datagram: &&Datagram<'_>| !is_message(**datagram) && !is_control(**datagram);
    let whole = |datagram: &&Datagram<'_>| {
        datagram.wire_len == datagram.bytes.len() && datagram.bytes.first().is_some_and(|first| first & PADDED == 0)
    };
    let mut headers: Vec<Header<'_>> =
        datagrams.iter().filter(media).filter(whole).filter_map(|datagram| Header::read(*datagram)).collect();
    // A packet that repeats would count twice.
    headers.sort_by_key(|header| (header.kind, header.payload));
    headers.dedup_by_key(|header| (header.kind, header.payload));
    headers.chunk_by(|one, other| one.kind == other.kind).any(|kin| is_speech(kin.iter().map(|header| header.payload)))
}

/// Pearson's statistic against an even spread, rounded down.
fn chi_square(bins: &[u64; 16]) -> u64 {
    let total: u64 = bins.iter().sum();
    let squares: u64 = bins.iter().map(|count| count * count).sum();
    (squares * 16).checked_div(total).map_or(0, |value| value.saturating_sub(total))
}

impl Dissector for Rtcp {
    fn protocol(&self) -> Protocol {
        RTCP
    }

    fn transport(&self) -> Transport {
        Transport::UDP
    }

    fn openings(&self) -> Openings {
        const OPENINGS: Openings = Openings::of(&[0x80..=0xbf]);
        OPENINGS
    }

    fn has_sides(&self) -> bool {
        false
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        judge(weigh(heads.datagrams, control), Found::plaintext(RTCP))
    }
}

fn is_control(datagram: Datagram<'_>) -> bool {
    let mut reader = Reader::new(datagram);
    control(&mut reader) != Err(Stop::Against)
}

fn control_bits(datagram: Datagram<'_>) -> u32 {
    let mut reader = Reader::new(datagram);
    if control(&mut reader).is_ok() { reader.bits } else { 0 }
}

/// A compound of RTCP packets that ends with the datagram. SRTCP never does: it has an index and a tag behind.
fn control(reader: &mut Reader<'_>) -> Check {
    const SENDER_REPORT: u8 = 200;
    const DESCRIPTION: u8 = 202;
    let mut first = true;
    while reader.left() > 0 {
        let flags = reader.u8()?;
        let kind = reader.u8()?;
        let body = usize::from(reader.u16()?) * 4;
        // Senders and receivers report first; feedback may come alone (RFC 5506).
        let known = if first { matches!(kind, SENDER_REPORT..=207) } else { matches!(kind, 192..=195 | 200..=213) };
        reader.holds(flags >> 6 == 2 && known && body <= reader.left(), 5)?;
        let reports = usize::from(flags & 0x1f);
        match kind {
            SENDER_REPORT => reader.holds(body >= 24 + 24 * reports, 4)?,
            201 => reader.holds(body >= 4 + 24 * reports, 3)?,
            _ => {}
        }
        reader.favours(body == reader.left(), 12);
        let start = reader.rest();
        if kind == DESCRIPTION && reports > 0 {
            // source, then items: CNAME is 1, with its length and text.
            if let [_, _, _, _, 1..=8, length, text @ ..] = start {
                let text = text.get(..usize::from(*length)).unwrap_or_default();
                reader.favours(text.len() >= 4 && super::shape::is_text(text), 16);
            }
        }
        reader.skip(body)?;
        first = false;
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::shape::testing::{hex, letter, probe};
    use super::*;
    use crate::detect::tests::ask;

    /// Packets of one stream; `noise` fills the payload like ciphertext, else it is a quiet line.
    fn stream(count: u8, noise: bool) -> Vec<Vec<u8>> {
        let mut state = 0x1234_5678u32;
        (0..count)
            .map(|index| {
                let mut packet = vec![0x80, 0, 0x10, index, 0, 0, index, 160, 0xde, 0xad, 0xbe, 0xef];
                packet.extend((0..160).map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    if noise { (state >> 24) as u8 } else { 0xf8 | (state >> 29) as u8 }
                }));
                packet
            })
            .collect()
    }

    /// All from the client.
    fn answer(packets: &[Vec<u8>]) -> Outcome {
        let datagrams: Vec<_> = packets.iter().map(|bytes| super::super::shape::testing::datagram(bytes)).collect();
        ask(&Rtp, Heads { datagrams: &datagrams, ..Heads::default() })
    }

    #[test]
    pub(crate) fn media() {
        let class = |outcome| match outcome {
            Outcome::Found(found) | Outcome::Likely(found) => Some(found.class),
            _ => None,
        };
        assert_eq!(class(answer(&stream(8, false))), Some(Class::Plaintext), "a quiet line is no ciphertext");
        assert_eq!(class(answer(&stream(8, true))), Some(Class::Unknown), "may be SRTP");
        let mut speech = stream(8, true);
        for packet in &mut speech {
            // AMR at 12.2 kbit/s, bandwidth-efficient: its head, and zeros at the end of its 254 bits.
            packet.truncate(12 + 32);
            (packet[12], packet[13]) = (0xf3, packet[13] & 0x3f | 0xc0);
            packet[43] &= 0xfc;
        }
        assert_eq!(class(answer(&speech)), Some(Class::Plaintext), "speech says how long it is");
        speech[7][12] = 0xf4;
        assert_eq!(class(answer(&speech)), Some(Class::Unknown), "one packet that is not as long as it says");
        assert_eq!(letter(answer(&stream(1, true))), 'm', "one packet");
        assert_eq!(letter(answer(&stream(2, true))), 'l', "two packets");
        let mut other_sequence = stream(3, true);
        other_sequence[2][2] = 0x77;
        assert_eq!(letter(answer(&other_sequence)), 'n', "sequence jumps");
        let mut version = stream(3, true);
        version[1][0] = 0x40;
        assert_eq!(letter(answer(&version)), 'n', "version 1");
        let mut repeats = stream(1, false);
        repeats.extend([repeats[0].clone(), repeats[0].clone()]);
        assert_eq!(letter(answer(&repeats)), 'm', "the same packet three times");
    }

    #[test]
    pub(crate) fn control_packets() {
        let receiver = "81 c9 0007 01020304 05060708 00000000 00000000 00000000 00000000 00000000";
        let description = "81 ca 0004 01020304 01 06 757365724068 00 00 0000";
        let both = format!("{receiver} {description}");
        let cases: &[(&str, &str, char)] = &[
            ("report and name", &both, 'f'),
            ("report alone", receiver, 'l'),
            ("SRTCP: index and tag behind", &format!("{receiver} 80000001 00112233445566778899"), 'n'),
            ("not a report", "81 e9 0007 01020304", 'n'),
            ("RTP", "80 00 0001 00000000 01020304", 'n'),
        ];
        for (name, text, want) in cases {
            assert_eq!(letter(probe(&Rtcp, &[&hex(text)])), *want, "{name}");
        }
    }
}
