//! DTLS over datagrams: 1.0, 1.2 and 1.3, and what OpenSSL spoke before the standard (0x0100).
//!
//! Sources: RFC 4347, RFC 6347, RFC 9147, RFC 9146 (connection IDs), RFC 5764 (DTLS-SRTP), RFC 7983 (what shares the
//! ports with DTLS).
//! Evidence: datagrams that records fill exactly; a ClientHello and the server's answer (handshake), one of them
//! (one-sided), or in mid-stream three datagrams with the same version and epoch and nearby numbers (framing).
//! Not handled: DTLS 1.3 in mid-stream; its header says too little. STUN beside DTLS is skipped.

use super::conversation::Conversation;
use super::datagram::{
    ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, Fragment, HANDSHAKE, Joiner, Record, UNIFIED, WITH_CONNECTION_ID,
    fragments, is_stun, records,
};
use super::hello::{Carrier, ClientHello, ServerHello};
use super::record::{CLIENT_HELLO, HELLO_VERIFY_REQUEST, SERVER_HELLO};
use super::session;
use crate::detect::{Datagram, Dissector, Found, Heads, Moment, Outcome, Session, Step};
use crate::model::{Evidence, Facts, Protocol, Transport};

/// DTLS over UDP.
pub(crate) struct Dtls;

impl Dissector for Dtls {
    fn protocol(&self) -> Protocol {
        Protocol::DTLS
    }

    fn transport(&self) -> Transport {
        Transport::UDP
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let mut seen = Seen::default();
        for datagram in heads.datagrams {
            if !seen.take(datagram) {
                return Outcome::No;
            }
        }
        seen.outcome()
    }

    fn session(&self, found: Found) -> Option<Box<dyn Session>> {
        Some(if found.evidence == Evidence::Framing { session::without_handshake() } else { datagrams() })
    }
}

/// What reads on where DTLS begins.
#[must_use]
pub fn datagrams() -> Box<dyn Session> {
    Box::new(DtlsSession {
        conversation: Conversation::new(Carrier::Dtls),
        joiners: Default::default(),
        shared: false,
        bytes: 0,
    })
}

/// What the datagrams of a flow amount to.
#[derive(Default)]
struct Seen {
    client_hello: bool,
    server_answer: bool,
    server_hello: bool,
    /// Of each side, the latest protected record and how many agreed with the one before.
    protected: [Option<(u16, u16, u64, usize)>; 2],
}

impl Seen {
    /// Whether `datagram` can be part of a DTLS flow in which the presumed client is the client.
    fn take(&mut self, datagram: &Datagram<'_>) -> bool {
        let Datagram { from_client, bytes, wire_len } = *datagram;
        if is_stun(bytes, wire_len) {
            return true;
        }
        let begun = self.client_hello || self.server_hello;
        let Some(records) = records(bytes, wire_len) else {
            // Media and channel data beside DTLS; before a hello they prove the flow to be something else.
            return begun && matches!(bytes.first(), Some(0..=3 | 16..=19 | 64..=79 | 128..=191));
        };
        records.iter().all(|record| self.take_record(from_client, record, begun))
    }

    fn take_record(&mut self, from_client: bool, record: &Record<'_>, begun: bool) -> bool {
        if record.kind == UNIFIED {
            return begun;
        }
        if record.epoch > 0 {
            return self.take_protected(usize::from(!from_client), record);
        }
        match record.kind {
            HANDSHAKE => match fragments(record.content).next() {
                Some(fragment) => self.take_message(from_client, &fragment),
                None => record.content.len() < record.len,
            },
            ALERT => {
                self.server_answer |= !from_client && record.len == 2 && self.client_hello;
                record.len == 2
            }
            CHANGE_CIPHER_SPEC => matches!(record.len, 1 | 3),
            WITH_CONNECTION_ID => false,
            _ => record.kind != APPLICATION_DATA,
        }
    }

    fn take_message(&mut self, from_client: bool, fragment: &Fragment<'_>) -> bool {
        let whole = fragment.is_whole();
        match (from_client, fragment.kind) {
            (true, CLIENT_HELLO) if !whole || ClientHello::parse(fragment.bytes, Carrier::Dtls).is_some() => {
                self.client_hello = true;
            }
            (false, SERVER_HELLO) if !whole || ServerHello::parse(fragment.bytes, Carrier::Dtls).is_some() => {
                self.server_answer = true;
                self.server_hello = true;
            }
            (false, HELLO_VERIFY_REQUEST) => self.server_answer = true,
            (_, CLIENT_HELLO | SERVER_HELLO | HELLO_VERIFY_REQUEST) => return false,
            _ => {}
        }
        true
    }

    fn take_protected(&mut self, side: usize, record: &Record<'_>) -> bool {
        let Record { version, epoch, sequence, .. } = *record;
        let now = match self.protected[side] {
            None => (version, epoch, sequence, 1),
            Some((v, e, s, count)) if (v, e) == (version, epoch) && s.abs_diff(sequence) < NEARBY => {
                (version, epoch, sequence, count + usize::from(s != sequence))
            }
            // A new epoch follows a renegotiation.
            Some((v, e, _, count)) if v == version && e.abs_diff(epoch) == 1 => (version, epoch, sequence, count),
            Some(_) => return false,
        };
        self.protected[side] = Some(now);
        epoch < MAX_EPOCH && record.len > 8
    }

    fn outcome(&self) -> Outcome {
        let found = |evidence| Found::encrypted(Protocol::DTLS, evidence);
        let [client, server] = self.protected.map(|latest| latest.map_or(0, |(_, _, _, count)| count));
        if self.client_hello && self.server_answer {
            Outcome::Found(found(Evidence::Handshake).from_client())
        } else if self.client_hello || self.server_hello {
            Outcome::Likely(found(Evidence::OneSided).from_client())
        } else if client + server >= 3 {
            Outcome::Found(found(Evidence::Framing))
        } else {
            Outcome::NeedMore
        }
    }
}

struct DtlsSession {
    conversation: Conversation,
    joiners: [Joiner; 2],
    /// STUN was seen: the flow is shared (RFC 7983) and its readable datagrams must be told apart to its end.
    shared: bool,
    bytes: usize,
}

impl Session for DtlsSession {
    fn feed(&mut self, from_client: bool, bytes: &[u8], moment: Moment) -> Step {
        self.bytes = self.bytes.saturating_add(bytes.len());
        if is_stun(bytes, moment.wire_len) {
            self.shared = true;
            return Step::Readable;
        }
        match bytes.first() {
            Some(20..=63) => self.read(from_client, bytes, moment.wire_len),
            // RTP without SRTP is in clear, whatever runs beside it.
            Some(128..=191) if !self.conversation.may_have_srtp() => return Step::Readable,
            _ => {}
        }
        let media = self.shared || self.conversation.may_have_srtp();
        let enough = self.bytes > MAX_BYTES || self.conversation.is_settled();
        if enough && !media { Step::Done } else { Step::Continue }
    }

    fn gap(&mut self, _from_client: bool) -> bool {
        true
    }

    fn finish(self: Box<Self>, found: &mut Found, facts: &mut Facts) {
        self.conversation.finish(found, facts);
    }

    fn memory(&self) -> usize {
        size_of::<Self>() + self.conversation.memory() + self.joiners.iter().map(Joiner::memory).sum::<usize>()
    }
}

impl DtlsSession {
    fn read(&mut self, from_client: bool, bytes: &[u8], wire_len: usize) {
        if self.conversation.is_settled() {
            return;
        }
        for record in records(bytes, wire_len).unwrap_or_default() {
            self.read_record(from_client, &record);
        }
    }

    fn read_record(&mut self, from_client: bool, record: &Record<'_>) {
        let Self { conversation, joiners, .. } = self;
        match (record.kind, record.epoch, record.content) {
            // Epoch 1 of DTLS 1.3 is early data, sent before the server's answer.
            (UNIFIED, 1, _) => {}
            (UNIFIED, ..) => conversation.protected(from_client, APPLICATION_DATA, record.len),
            (HANDSHAKE, 0, content) => {
                for fragment in fragments(content) {
                    joiners[usize::from(!from_client)]
                        .feed(fragment, &mut |kind, body| conversation.handshake(from_client, kind, body));
                }
            }
            (CHANGE_CIPHER_SPEC, 0, _) => conversation.change_cipher_spec(from_client),
            (ALERT, 0, &[level, description]) => conversation.alert(from_client, level, description),
            (_, 0, _) => {}
            (kind, ..) => conversation.protected(from_client, kind, record.len),
        }
    }
}

/// A flow renegotiates seldom; a larger epoch is something else.
const MAX_EPOCH: u16 = 256;
/// Records lost between two that were seen.
const NEARBY: u64 = 1 << 16;
/// A handshake that takes more than this is not waited for.
const MAX_BYTES: usize = 1 << 20;
