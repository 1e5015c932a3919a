//! What pure functions gave for the byte strings they were asked about lately, so that what repeats is worked out once.
//!
//! Handshakes repeat themselves: a browser says in every hello what it can do, a server shows the same certificate to all.
//! An answer is remembered under the bytes themselves, so what is remembered changes no answer.
//! Memory: a memo has a bound; when it is reached, all is forgotten.

use std::collections::HashMap;

use foldhash::fast::FixedState;

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
        if self.bytes + bytes > self.most_bytes {
            self.answers.clear();
            self.bytes = 0;
        }
        self.bytes += bytes;
        self.answers.insert(question.into(), made.clone());
        made
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
}
