//! RDP: an X.224 connection that agrees on TLS, or on RDP's own security, or on none.
//!
//! Sources: MS-RDPBCGR sections 2.2.1.1 (connection request, negotiation request), 2.2.1.2 (confirm, response, failure),
//! 2.2.1.4.3 (server security data), 5.3.1 (encryption levels); RFC 1006 (TPKT); T.125 (MCS connect messages).
//! Evidence: a connection request with RDP's cookie or negotiation, or one that an MCS connect follows, and its confirm.
//! With TLS (CredSSP and RDSTLS run over it) the flow is split where it begins. RDP's own security is encrypted where the
//! server's choice says so; at level "low" the server's side goes in clear, and counts as plaintext.
//! Not handled: RDP over UDP, and captures that miss the start.

use super::super::{Dissector, Found, Heads, Moment, Outcome, Session, Step};
use super::upgrade::{Negotiation, Read, Stage, Talk, Upgrading};
use crate::model::{Algorithms, Class, Evidence, Facts, Protocol, Transport};

pub(super) struct Rdp;

impl Dissector for Rdp {
    fn protocol(&self) -> Protocol {
        PROTOCOL
    }

    fn transport(&self) -> Transport {
        Transport::TCP
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let found = Found::plaintext(PROTOCOL).from_client();
        let client = match connection(heads.client, REQUEST) {
            Connection::Other => return Outcome::No,
            Connection::Short => None,
            Connection::Plain(len) => mcs_connect(heads.client.get(len..).unwrap_or_default()),
            Connection::Rdp { .. } => Some(true),
        };
        match (client, connection(heads.server, CONFIRM)) {
            (Some(false), _) | (_, Connection::Other) => Outcome::No,
            (Some(true), Connection::Plain(_) | Connection::Rdp { .. }) => Outcome::Found(found),
            (Some(true), Connection::Short) => Outcome::Likely(found),
            (None, _) => Outcome::NeedMore,
        }
    }

    fn session(&self, _found: Found) -> Option<Box<dyn Session>> {
        let negotiation = Upgrading::open(PROTOCOL, RdpNegotiation::default());
        Some(Box::new(RdpSession { negotiation, negotiated: false, server: Vec::new() }))
    }
}

/// The first message of a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connection {
    Short,
    Other,
    /// X.224 without anything of RDP: its length.
    Plain(usize),
    /// With RDP's cookie or negotiation: its length, and the protocols asked for or chosen, if any.
    Rdp {
        len: usize,
        protocols: Option<u32>,
    },
}

/// Reads TPKT and X.224 headers of this code, and what RDP puts behind them.
fn connection(head: &[u8], code: u8) -> Connection {
    let fixed = [3, 0];
    if !fixed.starts_with(head.get(..2).unwrap_or(head)) || head.get(5).is_some_and(|&found| found != code) {
        return Connection::Other;
    }
    let &[_, _, high, low, indicator, _, ..] = head else { return Connection::Short };
    let len = usize::from(u16::from_be_bytes([high, low]));
    // The indicator counts what follows it; both lengths must say the same.
    if !(11..=MAX_CONNECTION).contains(&len) || usize::from(indicator) != len - 5 {
        return Connection::Other;
    }
    let Some(variable) = head.get(11..len) else { return Connection::Short };
    let (rest, negotiation) = match variable.split_last_chunk::<8>() {
        Some((rest, &[kind @ 1..=3, _, 8, 0, protocols @ ..])) if (kind == 1) == (code == REQUEST) => {
            // A failure chooses nothing.
            (rest, Some(if kind == 3 { 0 } else { u32::from_le_bytes(protocols) }))
        }
        _ => (variable, None),
    };
    let cookie = code == REQUEST && rest.starts_with(b"Cookie: ") && rest.ends_with(b"\r\n");
    match (rest.is_empty(), cookie, negotiation) {
        (true, _, None) => Connection::Plain(len),
        (true, _, protocols) | (false, true, protocols) => Connection::Rdp { len, protocols },
        _ => Connection::Other,
    }
}

/// Whether an MCS Connect-Initial follows; `None` while it is too short.
fn mcs_connect(head: &[u8]) -> Option<bool> {
    let same = head.iter().zip([3, 0]).all(|(a, b)| *a == b)
        && head.iter().skip(4).zip([2, 0xf0, 0x80, 0x7f, 0x65]).all(|(a, b)| *a == b);
    if !same {
        return Some(false);
    }
    (head.len() >= 9).then_some(true)
}

/// Requested and chosen protocols; all but 0 begin with TLS.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct RdpNegotiation {
    asked: bool,
}

#[typetag::serde(name = "stream/rdp/RdpNegotiation")]
impl Negotiation for RdpNegotiation {
    fn read(&mut self, talk: &mut Talk, from_client: bool, unread: &[u8]) -> Read {
        match (from_client, connection(unread, if from_client { REQUEST } else { CONFIRM })) {
            (_, Connection::Short) => Read::Wait,
            (true, Connection::Rdp { len, protocols: Some(1..) }) => {
                self.asked = true;
                talk.stage = Stage::Asked;
                Read::Take(len)
            }
            (false, Connection::Rdp { len, protocols: Some(1..) }) => {
                talk.stage = Stage::Agreed;
                Read::Take(len)
            }
            (false, Connection::Rdp { .. } | Connection::Plain(_)) => {
                if self.asked {
                    talk.refused();
                }
                Read::Over
            }
            (true, Connection::Rdp { len, .. } | Connection::Plain(len)) => Read::Take(len),
            // MCS of a client that did not ask, read before the server's confirm.
            (true, Connection::Other) if talk.stage == Stage::Clear => Read::Wait,
            _ => Read::Over,
        }
    }
}

/// Reads the negotiation, and without TLS the server's choice of RDP's own security.
#[derive(serde::Serialize, serde::Deserialize)]
struct RdpSession {
    negotiation: Box<dyn Session>,
    negotiated: bool,
    #[serde(with = "crate::model::kept::room")]
    server: Vec<u8>,
}

#[typetag::serde(name = "stream/rdp/RdpSession")]
impl Session for RdpSession {
    fn feed(&mut self, from_client: bool, bytes: &[u8], moment: Moment) -> Step {
        if !from_client {
            let room = MAX_SERVER.saturating_sub(self.server.len()).min(bytes.len());
            self.server.extend_from_slice(bytes.get(..room).unwrap_or_default());
        }
        if !self.negotiated {
            match self.negotiation.feed(from_client, bytes, moment) {
                Step::Done => self.negotiated = true,
                step => return step,
            }
        }
        if self.server.len() >= MAX_SERVER || own_security(&self.server).is_some() {
            Step::Done
        } else {
            Step::Continue
        }
    }

    fn gap(&mut self, from_client: bool) -> bool {
        self.negotiated = true;
        from_client && own_security(&self.server).is_none()
    }

    fn finish(self: Box<Self>, found: &mut Found, facts: &mut Facts) {
        if let Some((method, level)) = own_security(&self.server)
            && method != 0
            && level > LEVEL_LOW
        {
            found.class = Class::Encrypted;
            found.evidence = Evidence::Handshake;
            // MS-RDPBCGR section 2.2.1.4.3.
            let cipher = match method {
                1 => "rc4-40",
                2 => "rc4-128",
                8 => "rc4-56",
                16 => "3des",
                _ => "unknown",
            };
            facts.algorithms = Some(Box::new(Algorithms { cipher: Some(cipher.to_owned()), ..Algorithms::default() }));
        }
        self.negotiation.finish(found, facts);
    }

    fn memory(&self) -> usize {
        self.server.capacity() + self.negotiation.memory()
    }
}

/// Encryption method and level that the server chose: its security data behind the mark of the user data.
fn own_security(server: &[u8]) -> Option<(u32, u32)> {
    let at = server.windows(4).position(|window| window == b"McDn")?;
    let mut blocks = match server.get(at + 4..)? {
        [0x80..=0xff, _, blocks @ ..] | [0..=0x7f, blocks @ ..] => blocks,
        _ => return None,
    };
    loop {
        let (&[a, b, c, d], rest) = blocks.split_first_chunk()?;
        let body = usize::from(u16::from_le_bytes([c, d])).checked_sub(4)?;
        if u16::from_le_bytes([a, b]) == SERVER_SECURITY {
            let (method, rest) = rest.split_first_chunk()?;
            return Some((u32::from_le_bytes(*method), u32::from_le_bytes(*rest.first_chunk()?)));
        }
        blocks = rest.get(body..)?;
    }
}

const PROTOCOL: Protocol = Protocol(&"rdp");
const REQUEST: u8 = 0xe0;
const CONFIRM: u8 = 0xd0;
/// The length indicator has one byte.
const MAX_CONNECTION: usize = 254 + 5;
const MAX_SERVER: usize = 4096;
const SERVER_SECURITY: u16 = 0x0c02;
const LEVEL_LOW: u32 = 1;

#[cfg(test)]
pub(super) mod tests {
    use super::super::upgrade::trial::{HELLO, run};
    use super::*;
    use crate::detect::tests::probe_streams;
    use crate::model::UpgradeOutcome;

    fn message(code: u8, variable: &[u8]) -> Vec<u8> {
        let len = 11 + variable.len();
        [&[3, 0, 0, len as u8, len as u8 - 5, code, 0, 0, 0, 0, 0][..], variable].concat()
    }

    fn request(protocols: u8) -> Vec<u8> {
        message(REQUEST, &[&b"Cookie: mstshash=user\r\n"[..], &[1, 0, 8, 0, protocols, 0, 0, 0]].concat())
    }

    fn mcs(kind: u8, rest: &[u8]) -> Vec<u8> {
        [&[3, 0, 0, 12 + rest.len() as u8, 2, 0xf0, 0x80, 0x7f, kind][..], rest].concat()
    }

    #[test]
    pub(crate) fn probe() {
        let found = Found::plaintext(PROTOCOL).from_client();
        let old = [message(REQUEST, &[]), mcs(0x65, &[0; 20])].concat();
        let s7 = [message(REQUEST, &[0xc0, 1, 0x0a, 0xc1, 2, 1, 0, 0xc2, 2, 1, 2]), vec![3, 0, 0, 25]].concat();
        let other = [message(REQUEST, &[]), vec![3, 0, 0, 25, 2, 0xf0, 0x80, 0x32, 1]].concat();
        let confirm = message(CONFIRM, &[]);
        let cases: &[(&str, Vec<u8>, Vec<u8>, Outcome)] = &[
            ("negotiation", request(3), message(CONFIRM, &[2, 0, 8, 0, 1, 0, 0, 0]), Outcome::Found(found)),
            ("old client", old, confirm.clone(), Outcome::Found(found)),
            ("client only", request(0), vec![], Outcome::Likely(found)),
            ("bare request", message(REQUEST, &[]), confirm.clone(), Outcome::NeedMore),
            ("S7 over the same headers", s7, confirm.clone(), Outcome::No),
            ("S7 behind a bare request", other, confirm.clone(), Outcome::No),
            ("sides exchanged", confirm, request(3), Outcome::No),
            ("text", b"GET / HTTP/1.1".to_vec(), vec![], Outcome::No),
        ];
        for (name, client, server, want) in cases {
            probe_streams(&Rdp, &[(name, client, server, *want)]);
        }
    }

    #[test]
    fn negotiations() {
        let chosen = |kind, protocol| message(CONFIRM, &[kind, 0, 8, 0, protocol, 0, 0, 0]);
        let (asked, bare) = (request(3), request(0));
        let cases: &[(&str, &[u8], Vec<u8>, Option<UpgradeOutcome>, Option<usize>)] = &[
            ("TLS", &asked, chosen(2, 1), Some(UpgradeOutcome::Used), Some(HELLO.len())),
            ("CredSSP", &asked, chosen(2, 2), Some(UpgradeOutcome::Used), Some(HELLO.len())),
            ("refused", &asked, chosen(2, 0), Some(UpgradeOutcome::Refused), None),
            ("failure", &asked, chosen(3, 2), Some(UpgradeOutcome::Refused), None),
            ("not asked", &bare, chosen(2, 0), None, None),
        ];
        for (name, client, server, outcome, rest) in cases {
            let session = Rdp.session(Found::plaintext(PROTOCOL)).expect("RDP reads on");
            let pieces: [(bool, &[u8]); 3] = [(true, client), (false, server), (true, HELLO)];
            assert_eq!(run(session, &pieces), (*outcome, *rest), "{name}");
        }
    }

    #[test]
    fn security_of_its_own() {
        let cases: &[(&str, u8, u8, Class)] = &[
            ("high", 2, 3, Class::Encrypted),
            ("client compatible", 2, 2, Class::Encrypted),
            ("low", 2, 1, Class::Plaintext),
            ("none", 0, 0, Class::Plaintext),
        ];
        for (name, method, level, class) in cases {
            let blocks =
                [&[1, 0x0c, 8, 0, 4, 0, 8, 0][..], &[2, 0x0c, 12, 0, *method, 0, 0, 0, *level, 0, 0, 0]].concat();
            let answer = mcs(0x66, &[&b"McDn"[..], &[blocks.len() as u8], &blocks].concat());
            let mut found = Found::plaintext(PROTOCOL);
            let mut session = Rdp.session(found).expect("RDP reads on");
            let moment = Moment { time_ns: 0, wire_len: 0 };
            let client = [message(REQUEST, &[]), mcs(0x65, &[0; 20])].concat();
            for (from_client, bytes) in [(true, &client[..]), (false, &message(CONFIRM, &[])), (false, &answer)] {
                session.feed(from_client, bytes, moment);
            }
            session.finish(&mut found, &mut Facts::default());
            assert_eq!(found.class, *class, "{name}");
        }
    }
}
