//! Sums by code point.
//!
//! A hello offers some forty code points, and each is a sum to add to: so they stand in a hash map, and are put in order
//! when they are read.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::Sum;

/// A sum for each code point that was counted.
#[derive(Clone, Debug, Default)]
pub struct Codes {
    rows: HashMap<u16, Row, FixedState>,
    /// Lists that were counted so far.
    lists: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    sum: Sum,
    /// Number of the latest list that had the code point.
    list: u64,
}

impl Codes {
    /// Adds `sum` to the sum of `code`.
    pub(super) fn count(&mut self, code: u16, sum: Sum) {
        self.rows.entry(code).or_default().sum.merge(sum);
    }

    /// Adds `sum` to the sum of each code point of a list, once however often the list repeats it.
    pub(super) fn add_list(&mut self, codes: &[u16], sum: Sum) {
        self.lists += 1;
        for code in codes {
            let row = self.rows.entry(*code).or_default();
            if row.list != self.lists {
                row.list = self.lists;
                row.sum.merge(sum);
            }
        }
    }

    /// Adds all of `other`.
    pub(super) fn merge(&mut self, other: Self) {
        for (code, row) in other.rows {
            self.rows.entry(code).or_default().sum.merge(row.sum);
        }
    }

    /// The sum of a code point; nothing when it was not counted.
    #[must_use]
    pub fn of(&self, code: u16) -> Sum {
        self.rows.get(&code).map(|row| row.sum).unwrap_or_default()
    }

    /// Code points and their sums, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u16, Sum)> {
        let mut rows: Vec<(u16, Sum)> = self.rows.iter().map(|(code, row)| (*code, row.sum)).collect();
        rows.sort_unstable_by_key(|(code, _)| *code);
        rows.into_iter()
    }
}

impl PartialEq for Codes {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Codes {}

impl FromIterator<(u16, Sum)> for Codes {
    fn from_iter<I: IntoIterator<Item = (u16, Sum)>>(rows: I) -> Self {
        let mut codes = Self::default();
        for (code, sum) in rows {
            codes.rows.entry(code).or_default().sum.merge(sum);
        }
        codes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_counts_a_code_point_once() {
        let mut codes = Codes::default();
        let sum = |flows, wire_bytes| Sum { flows, wire_bytes };
        codes.add_list(&[7, 9, 7], sum(1, 100));
        codes.add_list(&[9, 9], sum(1, 10));
        codes.count(3, Sum { flows: 1, wire_bytes: 1 });
        assert_eq!(codes.iter().collect::<Vec<_>>(), [(3, sum(1, 1)), (7, sum(1, 100)), (9, sum(2, 110))]);
        assert_eq!((codes.of(9), codes.of(8)), (sum(2, 110), Sum::default()));
    }

    #[test]
    fn parts_add_up_to_the_whole() {
        let (mut whole, mut parts) = (Codes::default(), [Codes::default(), Codes::default()]);
        for list in [[1, 2, 3], [3, 4, 3], [9, 1, 1], [2, 2, 2]] {
            let sum = Sum { flows: 3, wire_bytes: 10 };
            whole.add_list(&list, sum);
            parts[usize::from(list[0] > 1)].add_list(&list, sum);
        }
        let [mut one, other] = parts;
        one.merge(other);
        assert_eq!(one, whole);
        assert_eq!(whole.iter().collect::<Codes>(), whole, "read back");
        assert_ne!(Codes::default(), whole);
    }
}
