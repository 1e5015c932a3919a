//! What a TURN relay passes on: the content of ChannelData, and of the DATA attribute of Send and Data indications.
//!
//! Sources: RFC 8656 sections 12.4 (ChannelData), 11.4 (indications) and 18.4 (DATA).
//! The relay reads what it passes on no better than anyone else on the way; the class is that of the content.

use crate::detect::{Datagram, Found, Moment, Session, Step};
use crate::model::Facts;

/// The content of a relay's message; `None` when it is no such message, or has none.
pub(in crate::detect) fn content(datagram: Datagram<'_>) -> Option<Datagram<'_>> {
    let whole = |bytes, wire_len| Datagram { from_client: datagram.from_client, bytes, wire_len };
    match *datagram.bytes {
        [0x40..=0x4f, _, a, b, ref rest @ ..] => {
            let len = usize::from(u16::from_be_bytes([a, b]));
            let padded = len.checked_add(4)?;
            // Padding to four bytes is only asked for over TCP, but allowed elsewhere.
            (padded == datagram.wire_len || padded.next_multiple_of(4) == datagram.wire_len)
                .then(|| whole(rest.get(..len).unwrap_or(rest), len))
        }
        [0, 0x16 | 0x17, _, _, 0x21, 0x12, 0xa4, 0x42, ..] => {
            let mut attributes = datagram.bytes.get(HEAD..)?;
            loop {
                let (&[kind_high, kind, high, low], rest) = attributes.split_first_chunk()?;
                let len = usize::from(u16::from_be_bytes([high, low]));
                if (kind_high, kind) == DATA {
                    return Some(whole(rest.get(..len).unwrap_or(rest), len));
                }
                attributes = rest.get(len.next_multiple_of(4)..)?;
            }
        }
        _ => None,
    }
}

/// A session that reads what the relay passes on; what comes directly goes to it as well, and STUN itself is readable.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct Relayed(pub(super) Box<dyn Session>);

#[typetag::serde(name = "datagram/relay/Relayed")]
impl Session for Relayed {
    fn feed(&mut self, from_client: bool, bytes: &[u8], moment: Moment) -> Step {
        let datagram = Datagram { from_client, bytes, wire_len: moment.wire_len.max(bytes.len()) };
        let inner = content(datagram).unwrap_or(datagram);
        if super::stun::is_message(inner) {
            return Step::Readable;
        }
        match self.0.feed(from_client, inner.bytes, Moment { wire_len: inner.wire_len, ..moment }) {
            Step::Upgrade { next, .. } => {
                self.0 = next;
                Step::Continue
            }
            step => step,
        }
    }

    fn gap(&mut self, from_client: bool) -> bool {
        self.0.gap(from_client)
    }

    fn finish(self: Box<Self>, found: &mut Found, facts: &mut Facts) {
        self.0.finish(found, facts);
    }

    fn memory(&self) -> usize {
        self.0.memory()
    }
}

/// STUN header (RFC 8489 section 5).
const HEAD: usize = 20;
/// Type of the attribute.
const DATA: (u8, u8) = (0, 0x13);

#[cfg(test)]
mod tests {
    use super::super::shape::testing::hex;
    use super::*;

    #[test]
    fn contents() {
        let head = "2112a442 0102030405060708090a0b0c";
        let cases: &[(&str, String, Option<&str>)] = &[
            ("channel data", "4001 0003 aabbcc".to_owned(), Some("aabbcc")),
            ("channel data, padded", "4001 0003 aabbcc00".to_owned(), Some("aabbcc")),
            ("channel data of another length", "4001 0003 aabbccddee00".to_owned(), None),
            (
                "Send indication",
                format!("0016 0014 {head} 0012 0008 0001 1f90 c0000201 0013 0003 aabbcc00"),
                Some("aabbcc"),
            ),
            ("Data indication", format!("0017 0008 {head} 0013 0004 aabbccdd"), Some("aabbccdd")),
            ("indication without data", format!("0016 000c {head} 0012 0008 0001 1f90 c0000201"), None),
            ("binding request", format!("0001 0000 {head}"), None),
            ("attribute longer than the message", format!("0017 0008 {head} 0012 00ff aabbccdd"), None),
            ("nothing", String::new(), None),
        ];
        for (name, bytes, want) in cases {
            let bytes = hex(bytes);
            let datagram = Datagram { from_client: true, bytes: &bytes, wire_len: bytes.len() };
            assert_eq!(content(datagram).map(|inner| inner.bytes.to_vec()), want.map(hex), "{name}");
        }
    }
}
