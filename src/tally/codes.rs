//! Sums by code point.
//!
//! A hello offers some forty code points, and each is a sum to add to: so they stand where their number says, in pages of
//! those that are close together. Registries hand out numbers in few blocks, so there are few pages.

use super::Sum;

/// A sum for each code point that was counted.
#[derive(Clone, Debug, Default)]
pub struct Codes {
    /// By the high byte of the code points: the place of their page, counted from 1; 0 where there is none.
    places: Vec<u16>,
    pages: Vec<Box<Page>>,
    /// Lists that were counted so far.
    lists: u64,
}

/// The code points of one high byte, and the byte.
#[derive(Clone, Debug)]
struct Page {
    high: u8,
    rows: [Row; 256],
}

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    sum: Sum,
    /// Number of the latest list that had the code point.
    list: u64,
}

impl Codes {
    /// Adds one flow of `wire_bytes` to the sum of `code`.
    pub(super) fn count(&mut self, code: u16, wire_bytes: u64) {
        self.row(code).sum.count(wire_bytes);
    }

    /// Adds one flow of `wire_bytes` to the sum of each code point of a list, once however often the list repeats it.
    pub(super) fn count_list(&mut self, codes: &[u16], wire_bytes: u64) {
        self.lists += 1;
        let list = self.lists;
        for code in codes {
            let row = self.row(*code);
            if row.list != list {
                row.list = list;
                row.sum.count(wire_bytes);
            }
        }
    }

    /// Adds all of `other`.
    pub(super) fn merge(&mut self, other: Self) {
        for (code, sum) in other.iter() {
            self.row(code).sum.merge(sum);
        }
    }

    /// The sum of a code point; nothing when it was not counted.
    #[must_use]
    pub fn of(&self, code: u16) -> Sum {
        self.iter().find(|(counted, _)| *counted == code).map(|(_, sum)| sum).unwrap_or_default()
    }

    /// Code points and their sums, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u16, Sum)> {
        let pages = self.places.iter().filter_map(|place| self.pages.get(usize::from(*place).checked_sub(1)?));
        let rows = pages.flat_map(|page| {
            (0..=u8::MAX).zip(&page.rows).map(|(low, row)| (u16::from_be_bytes([page.high, low]), row.sum))
        });
        rows.filter(|(_, sum)| *sum != Sum::default())
    }

    fn row(&mut self, code: u16) -> &mut Row {
        let [high, low] = code.to_be_bytes();
        if self.places.is_empty() {
            self.places = vec![0; 256];
        }
        let place = &mut self.places[usize::from(high)];
        if *place == 0 {
            self.pages.push(Box::new(Page { high, rows: [Row::default(); 256] }));
            *place = self.pages.len() as u16;
        }
        &mut self.pages[usize::from(*place) - 1].rows[usize::from(low)]
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
            codes.row(code).sum.merge(sum);
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
        codes.count_list(&[7, 9, 7], 100);
        codes.count_list(&[9, 9], 10);
        codes.count(3, 1);
        let sum = |flows, wire_bytes| Sum { flows, wire_bytes };
        assert_eq!(codes.iter().collect::<Vec<_>>(), [(3, sum(1, 1)), (7, sum(1, 100)), (9, sum(2, 110))]);
        assert_eq!((codes.of(9), codes.of(8)), (sum(2, 110), Sum::default()));
    }

    #[test]
    fn parts_add_up_to_the_whole() {
        let (mut whole, mut parts) = (Codes::default(), [Codes::default(), Codes::default()]);
        for list in [[1, 2, 3], [3, 4, 3], [9, 1, 1], [2, 2, 2]] {
            whole.count_list(&list, 10);
            parts[usize::from(list[0] > 1)].count_list(&list, 10);
        }
        let [mut one, other] = parts;
        one.merge(other);
        assert_eq!(one, whole);
        assert_eq!(whole.iter().collect::<Codes>(), whole, "read back");
        assert_ne!(Codes::default(), whole);
    }
}
