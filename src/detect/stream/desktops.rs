//! Remote desktops that announce themselves in text: VNC (RFB) and NoMachine (NX), with their ways to TLS.
//!
//! Sources: RFC 6143 sections 7.1.1 and 7.1.2 with the RFB registry of security types, the rfbproto description of
//! TLS (18) and VeNCrypt (19), NX 4 and later: a version line each way, then TLS.
//! Evidence: both version lines. The security type that the client picks decides the class.
//! RSA-AES (5, 13, 129 and 133) seals everything behind the choice with AES-EAX, so that such a flow is encrypted; its kin
//! 6 and 130 seal the login only, and what follows is readable. Both are in the rfbproto description.
//! Not handled: other types that only RealVNC knows: such a session stays unknown.

use super::super::{Dissector, Found, Heads, Outcome, Session};
use super::framed::{Framed, u32_at, walk};
use super::text::opening;
use super::upgrade::{Negotiation, Opens, Read, Stage, Talk, Upgrading};
use crate::model::{Class, Evidence, Protocol, Transport};

/// NoMachine.
pub(super) static NX: Framed = Framed::text(&"nx", |head| opening(head, &["NXSH-"]), |head| opening(head, &["NXD-"]))
    .with_session(|| Upgrading::open(Protocol(&"nx"), Banner { server: false }) as Box<dyn Session>);

/// A line each way, then whatever comes.
#[derive(serde::Serialize, serde::Deserialize)]
struct Banner {
    server: bool,
}

#[typetag::serde(name = "stream/desktops/Banner")]
impl Negotiation for Banner {
    fn read(&mut self, talk: &mut Talk, from_client: bool, unread: &[u8]) -> Read {
        let Some(end) = unread.iter().take(256).position(|byte| *byte == b'\n') else {
            return if unread.len() < 256 { Read::Wait } else { Read::Over };
        };
        match (from_client, talk.stage) {
            (false, Stage::Asked) => talk.stage = Stage::Agreed,
            (false, _) if self.server => return Read::Wait,
            (false, _) => self.server = true,
            (true, _) => talk.stage = if self.server { Stage::Agreed } else { Stage::Asked },
        }
        Read::Take(end + 1)
    }

    fn opens(&self) -> Opens {
        Opens::Preface
    }
}

/// VNC.
pub(super) struct Vnc;

/// Length of `RFB 003.008\n`.
const VERSION: usize = 12;

impl Dissector for Vnc {
    fn protocol(&self) -> Protocol {
        Protocol(&"vnc")
    }

    fn transport(&self) -> Transport {
        Transport::TCP
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let version = |head| walk(head, |head| opening(head, &["RFB 00"])).map(|walk| walk.messages > 0);
        let (Some(client), Some(server)) = (version(first(heads.client)), version(first(heads.server))) else {
            return Outcome::No;
        };
        let found = Found::plaintext(self.protocol()).from_client();
        // Up to 3.6 the server decides, with four bytes; later the client picks, with one.
        let old = heads.client.starts_with(b"RFB 003.00") && matches!(heads.client.get(10), Some(b'0'..=b'6'));
        let kind = match old {
            true => u32_at(heads.server, VERSION).map(|kind| u8::try_from(kind).unwrap_or(u8::MAX)),
            false => heads.client.get(VERSION).copied(),
        };
        match (client, server, kind) {
            (true, true, Some(TLS | VENCRYPT) | Some(0 | 1 | 2 | 6 | 16 | 30 | 35 | 130)) => Outcome::Found(found),
            // An answer to what the server offered, and so an agreement.
            (true, true, Some(kind @ (5 | 13 | 129 | 133))) => match old.then_some(true).or(offers(heads.server, kind))
            {
                Some(true) => Outcome::Found(Found::encrypted(self.protocol(), Evidence::Handshake).from_client()),
                Some(false) => Outcome::No,
                None => Outcome::NeedMore,
            },
            (true, true, Some(_)) => Outcome::No,
            // Closed before a choice was made: all that was said was readable.
            (true, true, None) => Outcome::Likely(found),
            _ => Outcome::NeedMore,
        }
    }

    fn session(&self, found: Found) -> Option<Box<dyn Session>> {
        (found.class != Class::Encrypted)
            .then(|| Upgrading::open(self.protocol(), Picking::default()) as Box<dyn Session>)
    }
}

/// Whether the list of security types behind the server's version has this one; `None` while it is not whole.
fn offers(server: &[u8], kind: u8) -> Option<bool> {
    let (count, kinds) = server.get(VERSION..)?.split_first()?;
    Some(kinds.get(..usize::from(*count))?.contains(&kind))
}

fn first(head: &[u8]) -> &[u8] {
    head.get(..VERSION).unwrap_or(head)
}

/// Security type TLS: TLS follows at once.
const TLS: u8 = 18;
/// Security type VeNCrypt: version, list of subtypes, choice, a one, then TLS.
const VENCRYPT: u8 = 19;

/// Reads the choice of a security type; each side counts its own messages.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Picking {
    client: u8,
    server: u8,
    vencrypt: bool,
}

#[typetag::serde(name = "stream/desktops/Picking")]
impl Negotiation for Picking {
    fn read(&mut self, talk: &mut Talk, from_client: bool, unread: &[u8]) -> Read {
        let take = if from_client { self.pick(talk, unread) } else { self.answer(talk, unread) };
        match take {
            Some(len) if unread.len() >= len => {
                let step = if from_client { &mut self.client } else { &mut self.server };
                *step += 1;
                Read::Take(len)
            }
            Some(_) => {
                // Not whole: what was concluded from it must wait, too.
                Read::Wait
            }
            None => Read::Over,
        }
    }
}

impl Picking {
    /// The length of the client's next message.
    fn pick(&mut self, talk: &mut Talk, unread: &[u8]) -> Option<usize> {
        match (self.client, unread) {
            (0, _) => Some(VERSION),
            (1, [VENCRYPT, ..]) => {
                self.vencrypt = true;
                Some(1)
            }
            (1, [TLS, ..]) => {
                talk.stage = Stage::Agreed;
                Some(1)
            }
            (2, _) if self.vencrypt => Some(2),
            (3, _) if unread.len() < 4 => Some(4),
            // Subtypes 256 (plain) and 264 (SASL in clear) are without TLS.
            (3, _) if matches!(u32_at(unread, 0), Some(257..=263)) => {
                talk.stage = Stage::Asked;
                Some(4)
            }
            _ => None,
        }
    }

    /// The length of the server's next message.
    fn answer(&mut self, talk: &mut Talk, unread: &[u8]) -> Option<usize> {
        match (self.server, unread) {
            (0, _) => Some(VERSION),
            (1, [count, kinds @ ..]) => {
                let len = usize::from(*count);
                if kinds.len() >= len && kinds.iter().take(len).any(|kind| matches!(*kind, TLS | VENCRYPT)) {
                    talk.offered();
                }
                Some(1 + len)
            }
            (2, _) => Some(2),
            // Acknowledgement, number of subtypes, subtypes.
            (3, [0, count, ..]) => Some(2 + 4 * usize::from(*count)),
            (3, [0]) => Some(2),
            (4, [answer, ..]) if talk.stage == Stage::Asked => {
                if *answer == 1 {
                    talk.stage = Stage::Agreed;
                } else {
                    talk.refused();
                }
                Some(1)
            }
            // The choice may be fed later.
            (4, _) => Some(usize::MAX),
            _ => None,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::trial::check;
    use super::super::upgrade::trial::{HELLO, run};
    use super::*;
    use crate::detect::tests::ask;
    use crate::model::UpgradeOutcome::{Offered, Used};

    #[test]
    pub(crate) fn vnc() {
        let v = b"RFB 003.008\n".as_slice();
        let with = |tail: &[u8]| [v, tail].concat();
        check(
            &Vnc,
            &[
                ("no security", &with(&[1]), &with(&[1, 1]), "found"),
                ("not picked yet", v, &with(&[1, 1]), "likely"),
                ("server without its version", v, &[1, 1], "no"),
                ("RSA-AES", &with(&[5]), &with(&[1, 5]), "found"),
                ("RSA-AES that was not offered", &with(&[5]), &with(&[1, 6]), "no"),
                ("RSA-AES for the login", &with(&[6]), &with(&[2, 5, 6]), "found"),
                ("known to RealVNC only", &with(&[7]), &with(&[1, 7]), "no"),
                ("another protocol", b"RFC 003.008\n", b"", "no"),
            ],
        );
        let class = |kind: u8| {
            let (client, server) = (with(&[kind]), with(&[6, 1, 5, 6, 13, 129, 130]));
            match ask(&Vnc, Heads { client: &client, server: &server, from_start: true, ..Heads::default() }) {
                Outcome::Found(found) => found.class,
                other => panic!("{kind}: {other:?}"),
            }
        };
        assert_eq!([5, 13, 129].map(class), [Class::Encrypted; 3]);
        assert_eq!([1, 6, 130].map(class), [Class::Plaintext; 3]);
        let open = || Vnc.session(Found::plaintext(Vnc.protocol())).unwrap();
        let used = (Some(Used), Some(HELLO.len()));
        let start: &[(bool, &[u8])] = &[(false, v), (true, v), (false, &[2, 2, 19]), (true, &[19])];
        let more: &[(bool, &[u8])] = &[
            (false, &[0, 2]),
            (true, &[0, 2]),
            (false, &[0, 1, 0, 0, 1, 4]),
            (true, &[0, 0, 1, 4]),
            (false, &[1]),
            (true, HELLO),
        ];
        assert_eq!(run(open(), &[start, more].concat()), used);
        assert_eq!(run(open(), &[(false, v), (true, v), (false, &[1, 18]), (true, &[18]), (true, HELLO)]), used);
        assert_eq!(run(open(), &[(false, v), (true, v), (false, &[2, 1, 19]), (true, &[1])]), (Some(Offered), None));
    }

    #[test]
    pub(crate) fn nx() {
        check(&NX, &[("both", b"NXSH-8.10.1\n", b"NXD-8.10.1\n", "found"), ("other", b"NXOT-8\n", b"", "no")]);
        let open = || NX.session(Found::plaintext(NX.protocol)).unwrap();
        for order in [[true, false], [false, true]] {
            let line = |client: bool| (client, if client { b"NXSH-8.10.1\n".as_slice() } else { b"NXD-8.10.1\n" });
            assert_eq!(run(open(), &[line(order[0]), line(order[1]), (true, HELLO)]).1, Some(HELLO.len()), "{order:?}");
        }
    }
}
