//! From sums to shares: ratios, bounds and error bars. The only place where figures stop being integers.

use super::layout::{Bounds, ByUnit, ClassTotals, Share};
use crate::model::{Class, Units};
use crate::tally::Groups;

/// Fewer non-empty groups than this give no interval.
pub(super) const LEAST_GROUPS: usize = 30;

/// `part / whole`, rounded half up to 6 decimals; `None` when `whole` is zero.
///
/// Worked out in integers, so that it is the same on every machine.
#[must_use]
pub fn ratio(part: u64, whole: u64) -> Option<f64> {
    let (part, whole) = (u128::from(part), u128::from(whole));
    let millionths = (part * 2_000_000 + whole).checked_div(whole * 2)?;
    Some(millionths as f64 / 1e6)
}

/// One of the four units of a total.
pub(super) type Unit = fn(&Units) -> u64;

/// The same computation in every unit.
pub(super) fn by_unit<T>(share: impl Fn(Unit) -> T) -> ByUnit<T> {
    ByUnit {
        wire_bytes: share(|units| units.wire_bytes),
        payload_bytes: share(|units| units.payload_bytes),
        packets: share(|units| units.packets),
        flows: share(|units| units.flows),
    }
}

/// The encrypted share of `totals` with its bounds.
pub(super) fn bounds(totals: &ClassTotals, unit: Unit) -> Bounds {
    let [encrypted, plaintext, unknown] = [&totals.encrypted, &totals.plaintext, &totals.unknown].map(unit);
    let whole = encrypted + plaintext + unknown;
    let value = ratio(encrypted, whole);
    Bounds { value, lower: value, upper: ratio(encrypted + unknown, whole) }
}

/// The encrypted share of `totals` with its bounds and its error bar from `groups`.
pub(super) fn share(totals: &ClassTotals, groups: &Groups, unit: Unit) -> Share {
    let Bounds { value, lower, upper } = bounds(totals, unit);
    let sums: Vec<(u64, u64)> = groups
        .iter()
        .map(|group| {
            let [encrypted, plaintext, unknown] =
                [Class::Encrypted, Class::Plaintext, Class::Unknown].map(|class| unit(&group.classes[class]));
            (encrypted, encrypted + plaintext + unknown)
        })
        .collect();
    match jackknife(&sums) {
        Ok(interval) => Share { value, lower, upper, ci95: Some(interval), ci95_reason: None },
        Err(reason) => Share { value, lower, upper, ci95: None, ci95_reason: Some(reason) },
    }
}

/// The 95% interval of (sum of parts) / (sum of wholes) by the delete-one jackknife over groups of (part, whole).
///
/// # Errors
/// The reason why there is none.
fn jackknife(groups: &[(u64, u64)]) -> Result<[f64; 2], String> {
    let groups: Vec<_> = groups.iter().filter(|(_, whole)| *whole > 0).collect();
    let count = groups.len();
    if count < LEAST_GROUPS {
        let groups_carry = if count == 1 { "group of host pairs carries" } else { "groups of host pairs carry" };
        return Err(format!("{count} {groups_carry} traffic; an interval needs {LEAST_GROUPS}"));
    }
    let part: u64 = groups.iter().map(|(part, _)| part).sum();
    let whole: u64 = groups.iter().map(|(_, whole)| whole).sum();
    let left_out: Vec<f64> = groups.iter().map(|(less, from)| (part - less) as f64 / (whole - from) as f64).collect();
    let groups = count as f64;
    let mean = left_out.iter().sum::<f64>() / groups;
    let squares: f64 = left_out.iter().map(|share| (share - mean) * (share - mean)).sum();
    let error = ((groups - 1.0) / groups * squares).sqrt() * student_t(groups - 1.0);
    let value = part as f64 / whole as f64;
    Ok([value - error, value + error].map(|end| (end.clamp(0.0, 1.0) * 1e6).round() / 1e6))
}

/// The 97.5% point of Student's t distribution, for 29 degrees of freedom and more (error below 0.0001).
///
/// Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5.
fn student_t(freedom: f64) -> f64 {
    let z = 1.959_963_984_540_054_f64;
    let (z3, z5, z7) = (z * z * z, z * z * z * z * z, z * z * z * z * z * z * z);
    z + (z3 + z) / (4.0 * freedom)
        + (5.0 * z5 + 16.0 * z3 + 3.0 * z) / (96.0 * freedom * freedom)
        + (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / (384.0 * freedom * freedom * freedom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_round_half_up_at_the_sixth_decimal() {
        let cases = [
            ("nothing to divide by", 0, 0, None),
            ("none", 0, 5, Some(0.0)),
            ("all", 5, 5, Some(1.0)),
            ("third", 1, 3, Some(0.333_333)),
            ("two thirds", 2, 3, Some(0.666_667)),
            ("exact half of the last digit goes up", 1, 2_000_000, Some(0.000_001)),
            ("just below it goes down", 1, 2_000_001, Some(0.0)),
            ("large sums stay exact", u64::MAX - 1, u64::MAX, Some(1.0)),
        ];
        for (name, part, whole, want) in cases {
            assert_eq!(ratio(part, whole), want, "{name}");
        }
    }

    #[test]
    fn student_t_matches_printed_tables() {
        // Any printed table of the t distribution, two-sided 5%.
        for (freedom, want) in [(29.0, 2.045_23), (39.0, 2.022_69), (63.0, 1.998_34)] {
            assert!((student_t(freedom) - want).abs() < 1e-4, "{freedom}: {}", student_t(freedom));
        }
    }

    #[test]
    fn jackknife_of_equal_groups() {
        // 32 groups of whole 10, half with part 10 and half with part 0. The share is 0.5. Leaving out a full group gives
        // 150/310, an empty one 160/310: deviations of 5/310 from 0.5 each, so the squared error is
        // 31/32 * 32 * (5/310)^2 = 31 * (1/62)^2 and the error 0.089803; t for 31 is 2.039513.
        let groups: Vec<_> = (0..32).map(|group| (if group % 2 == 0 { 10 } else { 0 }, 10)).collect();
        assert_eq!(jackknife(&groups), Ok([0.316_846, 0.683_154]));
    }

    /// SplitMix64 (Steele, Lea, Flood 2014): a small generator with a seed, so that the populations are always the same.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ mixed >> 31
        }

        /// Between 0 and 1, neither of them.
        fn share(&mut self) -> f64 {
            ((self.next() >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
        }
    }

    /// 1,000 host pairs in 64 groups. A pair has one flow or more (half of those who have n have more), of Pareto sizes with
    /// infinite variance (exponent 2, at least 1,000 bytes); 72% of the pairs encrypt, and 95% of the flows do as their pair.
    fn population(seed: u64) -> Vec<(u64, u64)> {
        let mut random = Random(seed);
        let mut groups = vec![(0, 0); 64];
        for _ in 0..1_000 {
            let group = &mut groups[(random.next() >> 58) as usize];
            let encrypts = random.share() < 0.72;
            loop {
                let size = (1_000.0 / random.share().sqrt()) as u64;
                let encrypted = encrypts == (random.share() < 0.95);
                group.0 += if encrypted { size } else { 0 };
                group.1 += size;
                if random.share() < 0.5 {
                    break;
                }
            }
        }
        groups
    }

    #[test]
    fn the_interval_covers_the_true_share_as_often_as_it_says() {
        let truth = 0.72 * 0.95 + 0.28 * 0.05;
        let covered = (0..1_000).filter(|seed| {
            let interval = jackknife(&population(*seed));
            matches!(interval, Ok([low, high]) if low <= truth && truth <= high)
        });
        let covered = covered.count();
        assert!((930..=970).contains(&covered), "{covered} of 1,000 intervals hold the true share");
    }

    #[test]
    fn jackknife_needs_thirty_groups() {
        let mut groups = vec![(1, 2); 29];
        groups.resize(64, (0, 0));
        assert_eq!(jackknife(&groups), Err("29 groups of host pairs carry traffic; an interval needs 30".to_owned()));
        let one = Err("1 group of host pairs carries traffic; an interval needs 30".to_owned());
        assert_eq!(jackknife(&groups[..1]), one);
        groups[40] = (1, 2);
        assert_eq!(jackknife(&groups), Ok([0.5, 0.5]));
    }

    #[test]
    fn bounds_hold_the_unknown_between_them() {
        let of = |wire_bytes| Units { wire_bytes, ..Units::default() };
        let totals = ClassTotals { encrypted: of(60), plaintext: of(25), unknown: of(15), control: of(1000) };
        let got = bounds(&totals, |units| units.wire_bytes);
        assert_eq!(got, Bounds { value: Some(0.6), lower: Some(0.6), upper: Some(0.75) });
        assert_eq!(bounds(&totals, |units| units.flows), Bounds::default());
    }
}
