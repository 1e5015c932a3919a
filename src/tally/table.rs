//! Small tables with one place for each word of a fixed set (class, evidence, level, outcome).

use std::ops::{Index, IndexMut};

use crate::grade::Level;
use crate::model::{Class, Evidence, Units, UpgradeOutcome};

/// One value for each class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByClass<T>([T; 4]);

/// One value for each kind of evidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByEvidence<T>([T; 7]);

/// One value for each level of strength.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByLevel<T>([T; 5]);

/// One value for each outcome of an upgrade.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByOutcome<T>([T; 4]);

/// Unknown traffic by what its first bytes look like. It moves no bound: compressed data looks as random as encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByContent<T> {
    /// Every byte value about as often as the others.
    pub looks_random: T,
    /// Almost all bytes are printable.
    pub looks_text: T,
    /// Neither, or too little to tell.
    pub undetermined: T,
}

/// Indexing by the word, and addition place by place.
macro_rules! table {
    ($table:ident, $word:ty) => {
        impl<T> Index<$word> for $table<T> {
            type Output = T;

            fn index(&self, word: $word) -> &T {
                &self.0[word as usize]
            }
        }

        impl<T> IndexMut<$word> for $table<T> {
            fn index_mut(&mut self, word: $word) -> &mut T {
                &mut self.0[word as usize]
            }
        }

        impl $table<Units> {
            /// Adds each total of `other` to the total of the same word.
            pub fn merge(&mut self, other: &Self) {
                for (sum, more) in self.0.iter_mut().zip(&other.0) {
                    sum.merge(more);
                }
            }
        }
    };
}

table!(ByClass, Class);
table!(ByEvidence, Evidence);
table!(ByLevel, Level);
table!(ByOutcome, UpgradeOutcome);

impl ByEvidence<ByClass<Units>> {
    /// Adds each total of `other` to the total of the same words.
    pub fn merge(&mut self, other: &Self) {
        for (sum, more) in self.0.iter_mut().zip(&other.0) {
            sum.merge(more);
        }
    }
}

impl ByContent<Units> {
    /// The total that a flow with these flags belongs to.
    pub fn of_flags(&mut self, flags: &[&str]) -> &mut Units {
        if flags.contains(&"looks_random") {
            &mut self.looks_random
        } else if flags.contains(&"looks_text") {
            &mut self.looks_text
        } else {
            &mut self.undetermined
        }
    }

    /// Adds each total of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.looks_random.merge(&other.looks_random);
        self.looks_text.merge(&other.looks_text);
        self.undetermined.merge(&other.undetermined);
    }
}
