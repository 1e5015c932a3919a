//! HMAC-SHA-256 of short messages, to derive the keys of Initial packets: one for each connection and four for each side.
//!
//! Sources: RFC 2104; FIPS 180-4 section 5.1.1 (padding). A message fits into one block, so that each takes two blocks of
//! the hash once the key is set up; what libraries do for messages of any length takes longer than the hash itself.

use sha2::block_api::compress256;

/// A key, set up.
#[derive(Clone, Copy, serde::Serialize, serde::Deserialize)]
pub(super) struct Hmac {
    /// The hash after the key's block of the inner hash, and of the outer.
    inner: [u32; 8],
    outer: [u32; 8],
}

/// A block of SHA-256. Unit: bytes.
const BLOCK: usize = 64;
/// The longest message: behind it go one bit and the length, eight bytes. Unit: bytes.
const LONGEST: usize = BLOCK - 1 - 8;

/// FIPS 180-4 section 5.3.3.
const START: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

impl Hmac {
    /// `None` when the key is longer than a block.
    pub(super) fn new(key: &[u8]) -> Option<Self> {
        let mut padded = [0; BLOCK];
        padded.get_mut(..key.len())?.copy_from_slice(key);
        let [inner, outer] = [0x36, 0x5c].map(|pad| {
            let mut state = START;
            compress256(&mut state, &[padded.map(|byte| byte ^ pad)]);
            state
        });
        Some(Self { inner, outer })
    }

    /// The code of a message that is these parts, one after the other; `None` when it is longer than [`LONGEST`].
    pub(super) fn of(&self, message: &[&[u8]]) -> Option<[u8; 32]> {
        let inner = hash(self.inner, message)?;
        hash(self.outer, &[&inner])
    }
}

/// Ends a hash that has taken one block with a message of less than another.
fn hash(mut state: [u32; 8], message: &[&[u8]]) -> Option<[u8; 32]> {
    let mut block = [0; BLOCK];
    let mut len = 0;
    for part in message {
        block.get_mut(len..LONGEST)?.get_mut(..part.len())?.copy_from_slice(part);
        len += part.len();
    }
    *block.get_mut(len)? = 0x80;
    *block.last_chunk_mut()? = ((BLOCK + len) as u64 * 8).to_be_bytes();
    compress256(&mut state, &[block]);
    let mut out = [0; 32];
    for (place, word) in out.chunks_exact_mut(4).zip(state) {
        place.copy_from_slice(&word.to_be_bytes());
    }
    Some(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::super::keys::tests::hex;
    use super::*;

    #[test]
    fn codes() {
        // RFC 4231 sections 4.2 to 4.4; then the longest message, and one byte too many.
        type Case<'a> = (&'a str, &'a [u8], &'a [&'a [u8]], Option<&'a str>);
        let cases: &[Case<'_>] = &[
            (
                "one part",
                &[0x0b; 20],
                &[b"Hi There"],
                Some("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            ),
            (
                "parts",
                b"Jefe",
                &[b"what do ya ", b"", b"want for nothing?"],
                Some("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            ),
            (
                "fifty bytes",
                &[0xaa; 20],
                &[&[0xdd; 50]],
                Some("773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
            ),
            (
                "the longest",
                &[0xaa; 64],
                &[&[0xdd; 55]],
                Some("e84079305503436b3260de66d73b188474abad933e8d4f721f2b465d34a10266"),
            ),
            ("too long", b"key", &[&[0; 30], &[0; 26]], None),
        ];
        for (name, key, message, want) in cases {
            assert_eq!(Hmac::new(key).unwrap().of(message).map(|code| code.to_vec()), want.map(hex), "{name}");
        }
        assert!(Hmac::new(&[0; 65]).is_none());
    }
}
