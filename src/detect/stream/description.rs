//! Session descriptions in SIP and RTSP over TCP: they announce where media will go, and whether it will be encrypted.
//!
//! Sources: RFC 8866 section 5 (the first line is `v=0`, and each line is a letter, an equals sign and a value), RFC 3261
//! section 7.4 and RFC 2326 section 4.3 (bodies); what a description announces: `sdp`.
//! Evidence: a description begins with a line `v=0` and ends where the lines do, so neither the length of the body nor the
//! start of its message has to be known.
//! Not handled: bodies that are compressed (SigComp, RFC 5049); RTSP's port numbers outside of descriptions.

use super::super::datagram::sdp::Announcements;
use super::super::{Found, Moment, Session, Step};
use crate::model::Facts;

/// Collects what both sides announce.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Listener {
    sides: [Description; 2],
    announcements: Announcements,
    /// Media follow between the messages (RFC 2326 section 10.12): they go where they are, and need no announcement.
    interleaved: bool,
}

/// The description that one side is sending.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Description {
    /// Its lines so far, and behind them the line that is still coming. Outside of a description, that line alone.
    #[serde(with = "crate::model::kept::room")]
    text: Vec<u8>,
    /// Where the last line begins.
    line: usize,
}

/// Longest description that is read, and longest line. Unit: bytes.
const MAX_TEXT: usize = 16 * 1024;

impl Listener {
    /// Reads on. A line that can be none of a description is left out as soon as that shows, however long it is.
    fn read(&mut self, from_client: bool, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let side = &mut self.sides[usize::from(from_client)];
            let room = MAX_TEXT.saturating_sub(side.text.len());
            side.text.extend_from_slice(piece.get(..room.min(piece.len())).unwrap_or_default());
            // A dollar sign and the number of a channel, where a line would begin.
            if matches!(side.text.get(side.line..), Some([b'$', ..0x20, ..])) {
                self.interleaved = true;
                return;
            }
            if piece.ends_with(b"\n") {
                self.end_line(from_client);
            }
        }
    }

    /// A line has ended: it begins a description, goes on with it, or shows that it is over.
    fn end_line(&mut self, from_client: bool) {
        let side = &mut self.sides[usize::from(from_client)];
        let line = side.text.get(side.line..).unwrap_or_default();
        let begins = matches!(line, b"v=0\r\n" | b"v=0\n");
        let within = side.line > 0 && matches!(line, [b'a'..=b'z', b'=', ..]);
        if begins || !within {
            let start = if begins { side.line } else { side.text.len() };
            self.close(from_client, start);
        }
        let side = &mut self.sides[usize::from(from_client)];
        side.line = side.text.len();
    }

    /// What stands before `start` is over: it is read, and dropped.
    fn close(&mut self, from_client: bool, start: usize) {
        let side = &mut self.sides[usize::from(from_client)];
        self.announcements.read_message(side.text.get(..side.line).unwrap_or_default());
        side.text.drain(..start.min(side.text.len()));
        side.line = 0;
    }
}

#[typetag::serde(name = "stream/description/Listener")]
impl Session for Listener {
    fn feed(&mut self, from_client: bool, bytes: &[u8], _moment: Moment) -> Step {
        self.read(from_client, bytes);
        // Media may go on for long, and there is nothing to read in them.
        if self.interleaved { Step::Done } else { Step::Continue }
    }

    fn gap(&mut self, from_client: bool) -> bool {
        // What was said before the gap holds; the line in which it fell does not.
        let end = self.sides[usize::from(from_client)].text.len();
        self.close(from_client, end);
        true
    }

    fn finish(mut self: Box<Self>, _found: &mut Found, facts: &mut Facts) {
        for from_client in [false, true] {
            // The last line may lack its end.
            let side = &mut self.sides[usize::from(from_client)];
            if side.line > 0 {
                side.line = side.text.len();
            }
            self.close(from_client, usize::MAX);
        }
        facts.announce(self.announcements.endpoints());
    }

    fn memory(&self) -> usize {
        self.announcements.memory() + self.sides.iter().map(|side| side.text.capacity()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Protocol, Sign};

    /// What is announced when this is sent in pieces of so many bytes; a zero byte stands for a gap.
    fn announced(text: &str, size: usize) -> Vec<String> {
        let mut listener = Box::new(Listener::default());
        let moment = Moment { time_ns: 0, wire_len: 0 };
        for (index, part) in text.split('\0').enumerate() {
            if index > 0 {
                assert!(listener.gap(true));
            }
            for piece in part.as_bytes().chunks(size) {
                if matches!(listener.feed(true, piece, moment), Step::Done) {
                    assert!(text.contains("$\u{1}"), "{text}");
                    break;
                }
            }
        }
        assert!(listener.memory() < 4 * MAX_TEXT);
        let mut facts = Facts::default();
        listener.finish(&mut Found::plaintext(Protocol(&"sip")), &mut facts);
        let end = |sign: &Sign| if let Sign::End(end) = sign { format!("{end:?}") } else { String::new() };
        facts.announced.iter().map(|(sign, protocol)| format!("{} {}", end(sign), protocol.name())).collect()
    }

    #[test]
    fn descriptions() {
        const HEAD: &str = "INVITE sip:a@example.org SIP/2.0\r\nv: SIP/2.0/TCP x\r\n\r\n";
        const BODY: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 102\r\n";
        const NEXT: &str = "SIP/2.0 200 OK\r\n\r\n";
        let long = format!("{HEAD}{}\r\n{BODY}", "x".repeat(3 * MAX_TEXT));
        let cases: &[(&str, String, usize)] = &[
            ("body at the end", format!("{HEAD}{BODY}"), 2),
            ("another message behind it", format!("{HEAD}{BODY}{NEXT}"), 2),
            ("last line without its end", format!("{HEAD}{}", BODY.trim_end()), 2),
            ("two of them", format!("{HEAD}{BODY}{HEAD}{}", BODY.replace("4000", "5000")), 4),
            ("one right behind the other", format!("{BODY}{}", BODY.replace("4000", "5000")), 4),
            ("a long line before it", long, 2),
            ("media between the messages", format!("{HEAD}{BODY}$\u{1}media\r\n{}", BODY.replace("4000", "5000")), 2),
            ("a line with a dollar sign", format!("{HEAD}$ 5\r\n{BODY}"), 2),
            ("keys follow", format!("{BODY}a=crypto:1 x\r\n"), 0),
            ("gap before it", format!("{HEAD}\0{BODY}"), 2),
            ("gap within the media line", BODY.replace("4000", "\0"), 0),
            ("no first line", BODY.replace("v=0", "v=1"), 0),
            ("within a line", BODY.replace("v=0", "x v=0"), 0),
            ("never ending", format!("v=0\r\n{}", "a=x\r\n".repeat(MAX_TEXT)), 0),
        ];
        for (name, text, want) in cases {
            for size in [1, 7, 100_000] {
                let said = announced(text, size);
                assert_eq!(said.len(), *want, "{name}, {size} bytes at a time: {said:?}");
            }
        }
    }
}
