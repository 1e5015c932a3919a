//! DNS and its kin over UDP: mDNS, LLMNR and the NetBIOS name service share one message format.
//!
//! Sources: RFC 1035 section 4 (messages), RFC 2136 (update), RFC 6891 (EDNS), RFC 6762 (mDNS: cache-flush and QU bits),
//! RFC 4795 section 2.1 (LLMNR header), RFC 1002 section 4.2 (NetBIOS names, opcodes).
//! Evidence: the whole message is walked: counts, labels, pointers (only backwards), classes, and the end must be the end
//! of the datagram (zeros after it are padding). One datagram is enough: over 64 bits are fixed in the smallest query.
//! Broken messages: a whole question for a host name is enough; a header with host name characters behind it is likely.
//! Not handled: which of the kin it is when the content does not say (then it is `dns`).

use super::shape::{Check, ENOUGH, FAIR, Reader, Stop, is_keepalive};
use crate::detect::{Datagram, Dissector, Found, Heads, Outcome};
use crate::model::{Protocol, Transport};

/// Recognises the four kinds.
pub(in crate::detect) struct Dns;

const DNS: Protocol = Protocol(&"dns");
const MDNS: Protocol = Protocol(&"mdns");
const LLMNR: Protocol = Protocol(&"llmnr");
const NBNS: Protocol = Protocol(&"nbns");

impl Dissector for Dns {
    fn protocol(&self) -> Protocol {
        DNS
    }

    fn transport(&self) -> Transport {
        Transport::UDP
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let mut best: Option<(u32, Found)> = None;
        let mut against = false;
        for datagram in heads.datagrams.iter().filter(|datagram| !is_keepalive(datagram.bytes)) {
            // One good message outweighs bad ones before it.
            let Some(message) = Message::read(*datagram) else {
                against = true;
                continue;
            };
            let mut found = Found::plaintext(message.kind());
            if message.response != datagram.from_client {
                found = found.from_client();
            }
            if message.bits >= ENOUGH {
                return Outcome::Found(found);
            }
            let bits = best.map_or(0, |(bits, _)| bits).saturating_add(message.bits);
            best = Some((bits, found));
        }
        match best {
            _ if against => Outcome::No,
            Some((bits, found)) if bits >= ENOUGH => Outcome::Found(found),
            Some((bits, found)) if bits >= FAIR => Outcome::Likely(found),
            _ => Outcome::NeedMore,
        }
    }
}

/// What one walked message tells.
#[derive(Clone, Copy, Debug, Default)]
struct Message {
    id: u16,
    flags: u16,
    response: bool,
    /// A class carried the top bit: QU in a question, cache-flush in a record.
    top_bit: bool,
    /// A name ends in `local`.
    local: bool,
    /// The first name is one label.
    single_label: bool,
    /// The first name is a NetBIOS name: 32 letters from A to P.
    netbios: bool,
    questions: u16,
    answers: u16,
    bits: u32,
}

impl Message {
    fn read(datagram: Datagram<'_>) -> Option<Self> {
        for walk in [Self::walk, Self::walk_question, Self::walk_header] {
            let mut reader = Reader::new(datagram);
            let mut message = Self::default();
            if walk(&mut message, &mut reader) != Err(Stop::Against) {
                message.bits = reader.bits;
                return Some(message);
            }
        }
        None
    }

    /// A message whose names are broken: the header of a query or an answer, and mostly host name characters behind it.
    /// Never more than likely.
    fn walk_header(&mut self, reader: &mut Reader<'_>) -> Check {
        self.id = reader.u16()?;
        self.flags = reader.u16()?;
        self.response = self.flags & 0x8000 != 0;
        reader.holds(matches!(self.flags, 0 | 0x0100 | 0x0110 | 0x8000 | 0x8180 | 0x8183 | 0x8400 | 0x8580), 0)?;
        let counts = [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?];
        let small = counts.iter().filter(|count| **count <= 8).count();
        let body = reader.rest();
        let host = |byte: &&u8| matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_');
        reader.holds(small >= 3 && counts.contains(&1), 0)?;
        let letters = body.iter().filter(host).count();
        reader.holds(letters >= 12 && letters * 10 >= body.len() * 5, FAIR)
    }

    /// A message that is broken behind its first question, or lies about its counts, is still in clear when the question
    /// asks for a host name of some length.
    fn walk_question(&mut self, reader: &mut Reader<'_>) -> Check {
        self.id = reader.u16()?;
        self.flags = reader.u16()?;
        self.response = self.flags & 0x8000 != 0;
        self.questions = reader.u16()?;
        reader.holds((1..=64).contains(&self.questions), 4)?;
        reader.skip(6)?;
        let mut letters = 0u32;
        loop {
            let size = reader.u8()?;
            reader.holds(size <= 63, 2)?;
            if size == 0 {
                break;
            }
            let label = reader.take(usize::from(size))?;
            let host = label.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_'));
            reader.holds(host, 0)?;
            letters = letters.saturating_add(u32::from(size));
        }
        let kind = reader.u16()?;
        let class = reader.u16()?;
        reader.holds(letters >= 6 && (1..=260).contains(&kind) && is_class(class), 7 + 12)?;
        reader.favours(true, letters.min(20) * 2);
        Ok(())
    }

    fn kind(&self) -> Protocol {
        let empty_id = self.id == 0;
        if self.netbios {
            NBNS
        } else if empty_id && (self.top_bit || self.local || (self.response && self.questions == 0 && self.answers > 0))
        {
            MDNS
        } else if self.flags & 0x7fff == 0 && self.questions == 1 && self.single_label && !empty_id {
            LLMNR
        } else {
            DNS
        }
    }

    fn walk(&mut self, reader: &mut Reader<'_>) -> Check {
        self.id = reader.u16()?;
        self.flags = reader.u16()?;
        self.response = self.flags & 0x8000 != 0;
        let opcode = self.flags >> 11 & 0xf;
        let code = self.flags & 0xf;
        // 3 and 10 to 14 are assigned nowhere (IANA DNS OpCodes, RFC 1002 section 4.2.1.1).
        reader.holds(!matches!(opcode, 3 | 10..=14), 1)?;
        reader.holds(code <= 11 && (self.response || code == 0 || opcode == 5), 2)?;
        self.questions = reader.u16()?;
        self.answers = reader.u16()?;
        let authorities = reader.u16()?;
        let additional = reader.u16()?;
        let records = usize::from(self.answers) + usize::from(authorities) + usize::from(additional);
        let smallest = usize::from(self.questions).saturating_mul(5).saturating_add(records.saturating_mul(11));
        reader.holds(smallest <= reader.left(), 16)?;
        if smallest == 0 {
            // Only a refusal has nothing in it.
            reader.holds(self.response && code != 0, 4)?;
        }
        for index in 0..self.questions {
            self.name(reader, index == 0)?;
            let kind = reader.u16()?;
            let class = reader.u16()?;
            self.netbios &= index > 0 || matches!(kind, 0x20 | 0x21);
            self.top_bit |= class & 0x8000 != 0;
            reader.holds(kind != 0 && is_class(class), 12)?;
        }
        for index in 0..records {
            self.name(reader, self.questions == 0 && index == 0)?;
            self.record(reader, opcode == 5)?;
        }
        // The end of the message is the end of the datagram, but for padding.
        reader.holds(reader.rest().iter().all(|byte| *byte == 0), 8)
    }

    fn record(&mut self, reader: &mut Reader<'_>, update: bool) -> Check {
        const OPT: u16 = 41;
        let kind = reader.u16()?;
        let class = reader.u16()?;
        let _ttl = reader.u32()?;
        let length = reader.u16()?;
        if kind != OPT {
            self.top_bit |= class & 0x8000 != 0;
            reader.holds(kind != 0 && (is_class(class) || (update && class == 254)), 12)?;
        }
        reader.skip(usize::from(length))
    }

    /// Walks one name (RFC 1035 sections 3.1 and 4.1.4).
    fn name(&mut self, reader: &mut Reader<'_>, first: bool) -> Check {
        let mut labels = 0u32;
        let mut length = 0usize;
        loop {
            let size = reader.u8()?;
            match size {
                0 => break,
                1..=63 => {
                    let label = reader.take(usize::from(size))?;
                    labels += 1;
                    length = length.saturating_add(label.len()).saturating_add(1);
                    reader.holds(length <= 255, 1)?;
                    if first && labels == 1 {
                        self.netbios = label.len() == 32 && label.iter().all(|byte| (b'A'..=b'P').contains(byte));
                    }
                    self.local |= label.eq_ignore_ascii_case(b"local");
                }
                0xc0.. => {
                    let target = usize::from(size & 0x3f) << 8 | usize::from(reader.u8()?);
                    // Only backwards, into the names before this pointer.
                    reader.holds((12..reader.position().saturating_sub(2)).contains(&target), 4)?;
                    let begins = reader.whole().get(target).copied();
                    reader.holds(begins.is_none_or(|byte| !(64..0xc0).contains(&byte)), 1)?;
                    break;
                }
                _ => return Err(Stop::Against),
            }
        }
        if first {
            self.single_label = labels == 1;
        }
        Ok(())
    }
}

/// Whether a class is in use (IANA DNS CLASSes): IN, CH, HS, NONE, ANY; the top bit is mDNS's own.
fn is_class(class: u16) -> bool {
    matches!(class & 0x7fff, 1 | 3 | 4 | 254 | 255)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::shape::testing::{hex, letter, probe};
    use super::*;
    use crate::detect::tests::ask;

    const QUERY: &str = "1234 0100 0001 0000 0000 0000 07 6578616d706c65 03 636f6d 00 0001 0001";

    #[test]
    pub(crate) fn kinds() {
        let netbios = format!("8001 0110 0001 0000 0000 0000 20 {} 00 0020 0001", "43".repeat(32));
        let cases: &[(&str, &str, &str)] = &[
            ("query", QUERY, "dns"),
            ("query with EDNS", "1234 0120 0001 0000 0000 0001 01 61 00 001c 0001 00 0029 1000 0000 0000 0000", "dns"),
            (
                "answer with pointer",
                "1234 8180 0001 0001 0000 0000 01 61 01 62 00 0001 0001 c00c 0001 0001 0000003c 0004 01020304",
                "dns",
            ),
            ("padded with zeros", "1234 0100 0001 0000 0000 0000 01 61 00 0001 0001 0000 0000 0000", "dns"),
            ("refused, nothing inside but the question", "1234 8105 0001 0000 0000 0000 01 61 00 0001 0001", "dns"),
            ("counts that lie", "1234 0100 0001 0000 00e3 0000 07 6578616d706c65 03 636f6d 00 0001 0001", "dns"),
            ("mDNS question", "0000 0000 0001 0000 0000 0000 01 61 05 6c6f63616c 00 000c 0001", "mdns"),
            ("mDNS question, unicast wanted", "0000 0000 0001 0000 0000 0000 01 61 00 000c 8001", "mdns"),
            ("mDNS answer", "0000 8400 0000 0001 0000 0000 01 61 00 0001 8001 00000078 0004 01020304", "mdns"),
            ("LLMNR", "4321 0000 0001 0000 0000 0000 04 77706164 00 0001 0001", "llmnr"),
            ("NetBIOS", &netbios, "nbns"),
        ];
        for (name, text, want) in cases {
            let bytes = hex(text);
            match probe(&Dns, &[&bytes]) {
                Outcome::Found(found) => assert_eq!(found.protocol.name(), *want, "{name}"),
                other => panic!("{name}: {other:?}"),
            }
        }
    }

    #[test]
    pub(crate) fn near_misses() {
        let cases: &[(&str, &str)] = &[
            (
                "pointer forwards",
                "1234 8180 0001 0001 0000 0000 01 61 00 0001 0001 c040 0001 0001 0000003c 0004 01020304",
            ),
            ("pointer to itself", "1234 0100 0001 0000 0000 0000 c00c 0001 0001"),
            ("pointer into the header", "1234 0100 0001 0000 0000 0000 c004 0001 0001"),
            ("class 2", "1234 0100 0001 0000 0000 0000 01 61 00 0001 0002"),
            ("count of 2, one question", "1234 0100 0002 0000 0000 0000 01 61 00 0001 0001"),
            ("a broken name of few letters", "1234 0100 0001 0000 0000 0000 2f 616263ff6465 00 0001 0001"),
            ("count of 2, a name that is none", "1234 0100 0002 0000 0000 0000 06 616263ff6465 00 0001 0001"),
            ("bytes after the end", "1234 0100 0001 0000 0000 0000 01 61 00 0001 0001 07"),
            ("label type 0x40", "1234 0100 0001 0000 0000 0000 41 61 00 0001 0001"),
            ("opcode 3", "1234 1900 0001 0000 0000 0000 01 61 00 0001 0001"),
            ("zeros", "0000 0000 0000 0000 0000 0000 0000 0000"),
            ("twelve bytes, nothing refused", "1234 0100 0000 0000 0000 0000"),
        ];
        for (name, text) in cases {
            assert_eq!(letter(probe(&Dns, &[&hex(text)])), 'n', "{name}");
        }
    }

    #[test]
    pub(crate) fn broken_names_are_likely_at_most() {
        let broken = hex("1234 0100 0001 0000 0000 0000 07 6578616d706c65 25 736f6d657468696e67 00 0001 0001");
        assert_eq!(letter(probe(&Dns, &[&broken])), 'l');
        assert_eq!(letter(probe(&Dns, &[&broken, &hex(QUERY)])), 'f', "a good message outweighs it");
    }

    #[test]
    pub(crate) fn sides_and_cuts() {
        let bytes = hex(QUERY);
        for (from_client, proven) in [(true, true), (false, false)] {
            let datagrams = [Datagram { from_client, bytes: &bytes, wire_len: bytes.len() }];
            let Outcome::Found(found) = ask(&Dns, Heads { datagrams: &datagrams, ..Heads::default() }) else {
                panic!("not found");
            };
            assert_eq!(found.client_proven, proven);
        }
        for cut in 1..bytes.len() {
            let datagrams = [Datagram { from_client: true, bytes: &bytes[..cut], wire_len: bytes.len() }];
            assert_ne!(ask(&Dns, Heads { datagrams: &datagrams, ..Heads::default() }), Outcome::No, "cut at {cut}");
        }
    }
}
