//! Reads a TLS stream on: from the first hello to the point where everything is encrypted.
//!
//! Bounded: one handshake message a side (see `record`), and [`MAX_BYTES`] of a side at most.

use super::conversation::Conversation;
use super::hello::Carrier;
use super::record::{Event, Stream};
use crate::detect::{Found, Moment, Session, Step};
use crate::model::{Facts, TlsFacts};

/// What reads on where TLS begins on a stream: at its start, or after an upgrade.
///
/// If what is fed turns out not to be TLS, the class becomes unknown.
#[must_use]
pub fn stream() -> Box<dyn Session> {
    Box::new(TlsSession { conversation: Conversation::new(Carrier::Tls), sides: Default::default(), bytes: [0; 2] })
}

/// What ends at once, with facts that say that no handshake was seen: for streams recognised in their middle.
pub(super) fn without_handshake() -> Box<dyn Session> {
    Box::new(NoHandshake)
}

struct TlsSession {
    conversation: Conversation,
    sides: [Stream; 2],
    bytes: [usize; 2],
}

impl Session for TlsSession {
    fn feed(&mut self, from_client: bool, bytes: &[u8], _moment: Moment) -> Step {
        let index = usize::from(!from_client);
        let conversation = &mut self.conversation;
        self.sides[index].feed(bytes, &mut |event| match event {
            Event::Handshake { kind, body } => conversation.handshake(from_client, kind, body),
            Event::Ssl2Hello { kind, body } => conversation.ssl2_hello(from_client, kind, body),
            Event::Ssl2Data => conversation.ssl2_data(from_client),
            Event::ChangeCipherSpec => conversation.change_cipher_spec(from_client),
            Event::Alert { level, description } => conversation.alert(from_client, level, description),
            Event::Protected { kind, len } => conversation.protected(from_client, kind, len),
            Event::NotTls => conversation.not_tls(from_client),
        });
        self.bytes[index] = self.bytes[index].saturating_add(bytes.len());
        let enough = self.bytes.iter().any(|&bytes| bytes > MAX_BYTES);
        if enough || self.conversation.is_settled() { Step::Done } else { Step::Continue }
    }

    fn gap(&mut self, from_client: bool) -> bool {
        self.sides[usize::from(!from_client)].end();
        self.conversation.end(from_client);
        !self.conversation.has_ended() && !self.conversation.is_settled()
    }

    fn finish(self: Box<Self>, found: &mut Found, facts: &mut Facts) {
        if self.bytes != [0; 2] {
            self.conversation.finish(found, facts);
        }
    }

    fn memory(&self) -> usize {
        size_of::<Self>() + self.conversation.memory() + self.sides.iter().map(Stream::memory).sum::<usize>()
    }
}

struct NoHandshake;

impl Session for NoHandshake {
    fn feed(&mut self, _from_client: bool, _bytes: &[u8], _moment: Moment) -> Step {
        Step::Done
    }

    fn finish(self: Box<Self>, _found: &mut Found, facts: &mut Facts) {
        facts.tls = Some(TlsFacts::default());
    }

    fn memory(&self) -> usize {
        0
    }
}

/// A handshake that takes more than this of one side is not waited for.
const MAX_BYTES: usize = 1 << 20;
