//! CAPWAP control: discovery in clear, then DTLS behind a preamble of four bytes.
//!
//! Sources: RFC 5415 sections 4.2 (DTLS preamble), 4.3 (header) and 4.5.1 (control header).
//! Evidence: clear messages by header, known type and length; sealed ones by what DTLS itself shows behind the preamble.
//! The flow starts as plaintext; its session hands sealed datagrams to DTLS and takes over class and facts from there,
//! while clear ones are marked readable.

use super::shape::{Check, FAIR, Reader, Stop};
use super::stun::recognise;
use crate::detect::{Datagram, Dissector, Found, Heads, MAX_DATAGRAMS, Moment, Openings, Outcome, Session, Step};
use crate::model::{Class, Facts, Protocol, Transport};

/// CAPWAP control.
pub(super) struct Capwap;

/// The name in reports.
pub(super) const CAPWAP: Protocol = Protocol(&"capwap");

impl Dissector for Capwap {
    fn protocol(&self) -> Protocol {
        CAPWAP
    }

    fn transport(&self) -> Transport {
        Transport::UDP
    }

    fn openings(&self) -> Openings {
        const OPENINGS: Openings = Openings::of(&[0..=1]);
        OPENINGS
    }

    fn has_sides(&self) -> bool {
        false
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let mut bits = 0u32;
        let mut sealed = Vec::new();
        for datagram in heads.datagrams.iter().filter(|datagram| datagram.wire_len > 0) {
            if let Some(inner) = unwrapped(*datagram) {
                sealed.push(inner);
                continue;
            }
            let mut reader = Reader::new(*datagram);
            if clear(&mut reader) == Err(Stop::Against) {
                return Outcome::No;
            }
            bits = bits.max(reader.bits);
        }
        let found = Found::plaintext(CAPWAP);
        match (bits >= FAIR, sealed.is_empty()) {
            // DTLS follows the discovery; the session waits for it.
            (true, _) => Outcome::Found(found),
            (false, false) if recognise(&sealed).is_some() => Outcome::Found(found),
            (false, _) => Outcome::NeedMore,
        }
    }

    fn session(&self, _found: Found) -> Option<Box<dyn Session>> {
        Some(Box::new(Control::default()))
    }
}

/// What is behind the DTLS preamble; `None` when there is none, or no DTLS record.
fn unwrapped(datagram: Datagram<'_>) -> Option<Datagram<'_>> {
    match datagram.bytes {
        [1, 0, 0, 0, bytes @ ..] if matches!(bytes, [20..=26, 0xfe, ..]) => {
            Some(Datagram { bytes, wire_len: datagram.wire_len.saturating_sub(4), ..datagram })
        }
        _ => None,
    }
}

fn clear(reader: &mut Reader<'_>) -> Check {
    let preamble = reader.u8()?;
    reader.holds(preamble == 0, 6)?;
    let header = reader.u24()?;
    let size = (header >> 19) as usize * 4;
    // Binding 1 is 802.11; bit 8 says that a frame of the binding is inside.
    reader.holds((8..=64).contains(&size) && header >> 9 & 0x1f <= 3 && header >> 8 & 1 == 0, 8)?;
    reader.skip(size - 4)?;
    let kind = reader.u32()?;
    reader.holds(matches!(kind, 1..=26), 26)?;
    let _sequence = reader.u8()?;
    let length = usize::from(reader.u16()?);
    let flags = reader.u8()?;
    // The length counts from itself on, by the text of the standard; many count from behind it.
    let left = reader.left();
    reader.holds(flags == 0 && (length == left || length == left + 3), 18)
}

/// Reads both kinds of datagrams.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Control {
    /// Sealed datagrams seen before DTLS was certain: side, bytes, length on the wire.
    kept: Vec<(bool, Vec<u8>, usize)>,
    inner: Option<(Found, Box<dyn Session>)>,
}

#[typetag::serde(name = "datagram/capwap/Control")]
impl Session for Control {
    fn feed(&mut self, from_client: bool, bytes: &[u8], moment: Moment) -> Step {
        let datagram = Datagram { from_client, bytes, wire_len: moment.wire_len.max(bytes.len()) };
        let Some(datagram) = unwrapped(datagram) else {
            return Step::Readable;
        };
        let moment = Moment { wire_len: datagram.wire_len, ..moment };
        if let Some((_, session)) = &mut self.inner {
            let _ = session.feed(from_client, datagram.bytes, moment);
        } else if self.kept.len() < MAX_DATAGRAMS {
            self.kept.push((from_client, datagram.bytes.to_vec(), datagram.wire_len));
            self.ask(moment);
        }
        Step::Continue
    }

    fn gap(&mut self, _from_client: bool) -> bool {
        true
    }

    fn finish(self: Box<Self>, found: &mut Found, facts: &mut Facts) {
        if let Some((inner, session)) = self.inner {
            *found = inner;
            session.finish(found, facts);
        } else if !self.kept.is_empty() {
            // Something is sealed, and nobody could tell what.
            found.class = Class::Unknown;
        }
    }

    fn memory(&self) -> usize {
        let kept: usize = self.kept.iter().map(|(_, bytes, _)| bytes.capacity() + 48).sum();
        size_of::<Self>() + kept + self.inner.as_ref().map_or(0, |(_, session)| session.memory())
    }
}

impl Control {
    /// Lets DTLS read what was kept, once it is certain.
    fn ask(&mut self, moment: Moment) {
        let kept = std::mem::take(&mut self.kept);
        let datagrams: Vec<_> = kept
            .iter()
            .map(|(from_client, bytes, wire_len)| Datagram { from_client: *from_client, bytes, wire_len: *wire_len })
            .collect();
        if let Some((found, mut session)) = recognise(&datagrams) {
            for datagram in &datagrams {
                let moment = Moment { wire_len: datagram.wire_len, ..moment };
                let _ = session.feed(datagram.from_client, datagram.bytes, moment);
            }
            self.inner = Some((found, session));
        } else {
            self.kept = kept;
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::shape::testing::{hex, table};
    use super::*;

    const DISCOVERY: &str = "00 100200 00000000 00000001 00 0003 00";
    const HELLO: &str = "01 000000 16 feff 0000 000000000000 0036 01 00002a 0000 000000 00002a feff
        000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f 00 00 0002 c02b 01 00";

    #[test]
    pub(crate) fn openings() {
        table(
            &Capwap,
            &[
                ("discovery", DISCOVERY, 'f'),
                ("hello behind the preamble", HELLO, 'f'),
                ("preamble and noise", "01 000000 99 feff 0000 000000000000", 'n'),
                ("kind 40", &DISCOVERY.replacen("00000001", "00000028", 1), 'n'),
                ("length wrong", &DISCOVERY.replacen("0003", "0007", 1), 'n'),
            ],
        );
    }

    #[test]
    fn becomes_what_dtls_says() {
        for (payloads, want) in [(vec![DISCOVERY], Class::Plaintext), (vec![DISCOVERY, HELLO], Class::Encrypted)] {
            let mut session: Box<dyn Session> = Box::new(Control::default());
            for payload in &payloads {
                let bytes = hex(payload);
                let step = session.feed(true, &bytes, Moment { time_ns: 0, wire_len: bytes.len() });
                assert_eq!(matches!(step, Step::Readable), *payload == DISCOVERY);
            }
            let mut found = Found::plaintext(CAPWAP);
            session.finish(&mut found, &mut Facts::default());
            assert_eq!(found.class, want);
        }
    }
}
