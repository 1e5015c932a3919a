//! BitTorrent behind an obfuscated key exchange that chose to go on in clear.
//!
//! Sources: BEP 3 (handshake), "Message Stream Encryption" (Vuze wiki): a key of 96 bytes and up to 512 bytes of padding
//! from each side, at most 1100 bytes with all that is sealed behind them; `crypto_select` 1 means plaintext from there.
//! Evidence: the twenty bytes of the handshake in clear, where the obfuscated part must have ended.
//! Not handled: `crypto_select` 2 (RC4); nothing in it can be told from noise.

use super::super::{Dissector, Found, Heads, Outcome};
use crate::model::{Protocol, Transport};

/// BitTorrent after a key exchange.
pub(super) struct AfterKeyExchange;

impl Dissector for AfterKeyExchange {
    fn protocol(&self) -> Protocol {
        Protocol(&"bittorrent")
    }

    fn transport(&self) -> Transport {
        Transport::TCP
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let sides = [heads.client, heads.server];
        if !heads.from_start || !sides.iter().all(|head| may_be_key(head)) {
            return Outcome::No;
        }
        if sides.iter().any(|head| opens_late(head)) {
            return Outcome::Found(Found::plaintext(self.protocol()));
        }
        if sides.iter().all(|head| head.len() > LATEST) { Outcome::No } else { Outcome::NeedMore }
    }
}

/// Whether the handshake stands in `head` at a place where it may.
fn opens_late(head: &[u8]) -> bool {
    let range = head.get(KEY_LEN..).unwrap_or_default();
    let range = range.get(..LATEST).unwrap_or(range);
    let Some((first, rest)) = HANDSHAKE.split_first() else { return false };
    range.split(|byte| byte == first).skip(1).any(|after| after.starts_with(rest))
}

/// Whether the start of a side may be a public key: a number of 768 random bits. Text is none, and neither is anything
/// with runs of the same byte.
fn may_be_key(head: &[u8]) -> bool {
    let key = head.get(..KEY_LEN).unwrap_or(head);
    let high = usize::from(key.iter().map(|byte| byte >> 7).sum::<u8>());
    let (second, third) = (key.get(1..).unwrap_or_default(), key.get(2..).unwrap_or_default());
    let repeats = || {
        let same = key.iter().zip(second).zip(third).map(|((a, b), c)| u8::from(a == b) & u8::from(b == c));
        same.sum::<u8>() > 0
    };
    (key.len() < 16 || high * 4 >= key.len() && high * 4 <= key.len() * 3) && !repeats()
}

const HANDSHAKE: &[u8] = b"\x13BitTorrent protocol";
const KEY_LEN: usize = 96;
/// Bytes behind the key within which the handshake in clear must begin.
const LATEST: usize = 2048;

#[cfg(test)]
pub(super) mod tests {
    use super::super::trial::check;
    use super::*;

    #[test]
    pub(crate) fn after_a_key_exchange() {
        let noise = |seed: u32, len: usize| -> Vec<u8> {
            let mut state = seed;
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            };
            (0..len).map(|_| next()).collect()
        };
        let clear = [noise(1, 400).as_slice(), HANDSHAKE, &[0; 48]].concat();
        let late = [noise(1, 4000).as_slice(), HANDSHAKE].concat();
        let text = [b"GET / HTTP/1.1\r\n".repeat(20).as_slice(), HANDSHAKE].concat();
        check(
            &AfterKeyExchange,
            &[
                ("server goes on in clear", &noise(2, 700), &clear, "found"),
                ("client goes on in clear", &clear, &noise(2, 150), "found"),
                ("still noise", &noise(2, 700), &noise(3, 700), "more"),
                ("too late", &noise(2, 4000), &late, "no"),
                ("a page that mentions it", &text, b"", "no"),
                ("zeros", &[0; 200], b"", "no"),
            ],
        );
    }
}
