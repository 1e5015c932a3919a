//! Streams of messages that say their own length: the first bytes of each are shown, the rest is passed over.

/// The length of a message, from its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// More bytes are needed to tell.
    Short,
    /// This many bytes, header included; all of `keep` first bytes are to be shown.
    Of {
        /// Whole length.
        total: usize,
        /// How many of its bytes are wanted.
        keep: usize,
    },
    /// No such message.
    Wrong,
}

/// One message of a stream.
pub(super) struct Message<'a> {
    /// Its first bytes, as many as were asked for.
    pub(super) head: &'a [u8],
    /// Its length.
    pub(super) total: usize,
    /// Bytes of the piece just fed from the start of this message on; all of them if it started in an earlier piece.
    pub(super) rest: usize,
}

/// Follows one direction from message to message. Holds the first bytes of one message at most.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Frames {
    #[serde(with = "crate::model::kept::room")]
    head: Vec<u8>,
    skip: usize,
    lost: bool,
}

impl Frames {
    /// Takes the next piece, and shows each message to `each` until that says stop.
    pub(super) fn feed(
        &mut self,
        mut bytes: &[u8],
        extent: impl Fn(&[u8]) -> Extent,
        mut each: impl FnMut(Message<'_>) -> std::ops::ControlFlow<()>,
    ) {
        while !self.lost {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            if bytes.is_empty() {
                return;
            }
            let started = self.head.len();
            let (total, keep) = loop {
                match extent(&self.head) {
                    Extent::Of { total, keep } => break (total, keep.min(total).min(MAX_HEAD)),
                    Extent::Wrong => return self.lose(),
                    Extent::Short => match bytes.get(self.head.len() - started) {
                        Some(&byte) if self.head.len() < MAX_HEAD => self.head.push(byte),
                        Some(_) => return self.lose(),
                        None => return,
                    },
                }
            };
            let taken = self.head.len() - started;
            let wanted = keep.saturating_sub(self.head.len());
            let more = bytes.get(taken..).unwrap_or_default();
            let more = more.get(..wanted.min(more.len())).unwrap_or_default();
            self.head.extend_from_slice(more);
            if self.head.len() < keep {
                return;
            }
            let flow = each(Message { head: &self.head, total, rest: bytes.len() });
            self.skip = total.saturating_sub(self.head.len());
            if total == 0 || flow.is_break() {
                return self.lose();
            }
            bytes = bytes.get(taken + more.len()..).unwrap_or_default();
            self.head.clear();
        }
    }

    /// Messages can no longer be told apart.
    pub(super) fn lose(&mut self) {
        self.lost = true;
        self.head = Vec::new();
    }

    /// Nothing more will be shown.
    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Heap bytes held.
    pub(super) fn memory(&self) -> usize {
        self.head.capacity()
    }
}

const MAX_HEAD: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::ops::ControlFlow;

    fn extent(head: &[u8]) -> Extent {
        match head {
            [b'#', len, ..] => Extent::Of { total: usize::from(*len), keep: 3 },
            [b'#'] | [] => Extent::Short,
            _ => Extent::Wrong,
        }
    }

    #[test]
    fn messages_however_they_are_cut() {
        let stream = b"#\x04ab#\x02#\x05cdeX#\x03z";
        for size in 1..=stream.len() {
            let mut frames = Frames::default();
            let mut seen = Vec::new();
            for piece in stream.chunks(size) {
                frames.feed(piece, extent, |message| {
                    assert!(message.rest <= piece.len(), "size {size}");
                    seen.push((message.head.to_vec(), message.total));
                    ControlFlow::Continue(())
                });
            }
            assert_eq!(seen, [(b"#\x04a".to_vec(), 4), (b"#\x02".to_vec(), 2), (b"#\x05c".to_vec(), 5)], "size {size}");
            assert!(frames.is_lost(), "X starts no message");
        }
    }
}
