//! What pure functions gave for the byte strings they were asked about lately, so that what repeats is worked out once.
//!
//! Handshakes repeat themselves: a browser says in every hello what it can do, a server shows the same certificate to all.
//! An answer is remembered under the bytes themselves, so what is remembered changes no answer.
//! Memory: a memo has a bound, and all threads together have one ([`share`]); when either is reached, all is forgotten.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use foldhash::fast::FixedState;

/// Bytes that a memo of one thread may take.
static SHARE: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Each thread has this many memos.
const MEMOS: usize = 3;

/// All memos of `threads` threads together may take about `bytes`, from now on.
pub(crate) fn share(bytes: usize, threads: usize) {
    SHARE.store(bytes / MEMOS / threads.max(1), Ordering::Relaxed);
}

/// Answers of type `V`.
pub(super) struct Memo<V> {
    answers: HashMap<Box<[u8]>, V, FixedState>,
    bytes: usize,
    most_bytes: usize,
}

/// Bytes of an entry beside question and answer, roughly.
const ENTRY_BYTES: usize = 48;

impl<V: Clone> Memo<V> {
    /// Remembers as many answers as take about `most_bytes`; when there are more, all are forgotten.
    pub(super) fn new(most_bytes: usize) -> Self {
        Self { answers: HashMap::default(), bytes: 0, most_bytes }
    }

    /// The answer for `question`: what `answer` gives, now or when it was asked before. It also says how many heap bytes
    /// its answer holds.
    pub(super) fn recall(&mut self, question: &[u8], answer: impl FnOnce() -> (V, usize)) -> V {
        if let Some(known) = self.answers.get(question) {
            return known.clone();
        }
        let (made, held) = answer();
        let bytes = question.len() + size_of::<V>() + ENTRY_BYTES + held;
        if self.bytes + bytes > self.most_bytes.min(SHARE.load(Ordering::Relaxed)) {
            self.answers.clear();
            self.bytes = 0;
        }
        self.bytes += bytes;
        self.answers.insert(question.into(), made.clone());
        made
    }
}

/// Room for a question; those of browsers have 150 to 250 bytes. What does not fit is not worth remembering.
pub(super) struct Room([u8; 512]);

impl Default for Room {
    fn default() -> Self {
        Self([0; 512])
    }
}

/// A question that is put together.
pub(super) struct Question<'r> {
    room: &'r mut [u8],
    len: usize,
    fits: bool,
}

impl<'r> Question<'r> {
    pub(super) fn new(room: &'r mut Room) -> Self {
        Self { room: &mut room.0, len: 0, fits: true }
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        match self.room.get_mut(self.len..).and_then(|rest| rest.get_mut(..bytes.len())) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            None => self.fits = false,
        }
    }

    /// Adds bytes and their number, which keeps them apart from what follows.
    pub(super) fn add_list(&mut self, bytes: &[u8]) {
        self.add(&(bytes.len() as u32).to_be_bytes());
        self.add(bytes);
    }

    /// The whole question; `None` when it did not fit.
    pub(super) fn done(self) -> Option<&'r [u8]> {
        self.room.get(..self.len).filter(|_| self.fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_and_forgets() {
        let mut memo = Memo::new(4 * (4 + size_of::<u32>() + ENTRY_BYTES));
        let mut made = 0;
        let mut ask = |number: u32| {
            let answer = memo.recall(&number.to_be_bytes(), || {
                made += 1;
                (number * 10, 0)
            });
            assert_eq!(answer, number * 10);
            made
        };
        let counts = [1, 2, 1, 3, 4, 4, 5, 1].map(&mut ask);
        assert_eq!(counts, [1, 2, 2, 3, 4, 4, 5, 6], "the fifth makes it forget the first");
    }

    #[test]
    fn questions_are_put_together_as_far_as_they_fit() {
        let mut room = Room::default();
        let mut question = Question::new(&mut room);
        question.add(&[7]);
        question.add_list(&[8, 9]);
        assert_eq!(question.done(), Some(&[7, 0, 0, 0, 2, 8, 9][..]));
        for (len, fits) in [(512, true), (513, false)] {
            let mut question = Question::new(&mut room);
            question.add(&vec![1; len]);
            question.add(&[]);
            assert_eq!(question.done().map(<[u8]>::len), fits.then_some(len));
        }
    }
}
