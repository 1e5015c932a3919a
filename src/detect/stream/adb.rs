//! Android Debug Bridge: messages with a checked head, and its way to TLS.
//!
//! Sources: AOSP `packages/modules/adb/protocol.txt` (message head, A_STLS).
//! Evidence: each message repeats its command with all bits turned over. TLS follows when both sides said `STLS`; the
//! host speaks as its client.

use super::framed::{Framed, Header, good, u32_le};
use super::upgrade::{Negotiation, Read, Stage, Talk, Upgrading};
use crate::model::Protocol;

/// ADB.
pub(super) static ADB: Framed = Framed::alike(&"adb", message)
    .with_session(|| Upgrading::open(Protocol(&"adb"), Talking::default()) as Box<dyn super::super::Session>);

/// Command, two arguments, length and checksum of the data, the command turned over.
const HEAD: usize = 24;
const COMMANDS: [&[u8]; 8] = [b"CNXN", b"STLS", b"AUTH", b"OPEN", b"OKAY", b"WRTE", b"CLSE", b"SYNC"];

fn message(head: &[u8]) -> Header {
    let word = head.get(..4).unwrap_or(head);
    if !COMMANDS.iter().any(|command| command.starts_with(word)) {
        return Header::Bad;
    }
    match (u32_le(head, 0), u32_le(head, 12), u32_le(head, 20)) {
        (Some(command), Some(len), Some(magic)) => {
            let len = HEAD.saturating_add(usize::try_from(len).unwrap_or(usize::MAX));
            good(command == !magic && len <= MAX_DATA, len, 61)
        }
        _ => Header::Short,
    }
}

/// Messages are at most 1 MiB (protocol version 0x01000001).
const MAX_DATA: usize = (1 << 20) + HEAD;

/// Waits for `STLS` from both sides.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Talking {
    server_said: bool,
}

#[typetag::serde(name = "stream/adb/Talking")]
impl Negotiation for Talking {
    fn read(&mut self, talk: &mut Talk, from_client: bool, unread: &[u8]) -> Read {
        let len = match message(unread) {
            Header::Good { len, .. } if len <= unread.len() => len,
            Header::Bad => return Read::Over,
            _ => return Read::Wait,
        };
        if unread.starts_with(b"STLS") {
            match (from_client, talk.stage) {
                (true, _) if self.server_said => talk.stage = Stage::Agreed,
                (true, _) => talk.stage = Stage::Asked,
                (false, Stage::Asked) => talk.stage = Stage::Agreed,
                (false, _) => {
                    talk.offered();
                    self.server_said = true;
                }
            }
        }
        Read::Take(len)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::trial::check;
    use super::super::upgrade::trial::{HELLO, run};
    use super::*;
    use crate::detect::{Dissector, Found};
    use crate::model::UpgradeOutcome::{Offered, Used};

    fn say(command: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let mut message = command.to_vec();
        message.extend([0; 8]);
        message.extend((data.len() as u32).to_le_bytes());
        message.extend([0; 4]);
        message.extend(command.map(|byte| !byte));
        message.extend(data);
        message
    }

    #[test]
    pub(crate) fn heads() {
        let hello = say(b"CNXN", b"host::\0");
        let mut wrong = hello.clone();
        wrong[20] ^= 1;
        check(
            &ADB,
            &[
                ("both", &hello, &say(b"CNXN", b"device::\0"), "found"),
                ("host alone", &hello, b"", "likely"),
                ("another check", &wrong, b"", "no"),
                ("another command", b"CNXX", b"", "no"),
                ("start", &hello[..23], b"", "more"),
            ],
        );
    }

    #[test]
    fn switches_when_both_said_so() {
        let open = || ADB.session(Found::plaintext(ADB.protocol)).unwrap();
        let (hello, tls) = (say(b"CNXN", b"host::\0"), say(b"STLS", b""));
        let used = (Some(Used), Some(HELLO.len()));
        assert_eq!(run(open(), &[(true, &hello), (false, &tls), (true, &tls), (true, HELLO)]), used);
        assert_eq!(run(open(), &[(true, &tls), (false, &tls), (true, HELLO)]), used);
        assert_eq!(run(open(), &[(true, &hello), (false, &tls), (true, &hello)]), (Some(Offered), None));
    }
}
