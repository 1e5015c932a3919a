//! Intervals of time, aligned to 1970 UTC, and the ladder on which they grow coarser.
//!
//! How long a capture is cannot be known before its end. So time is kept in fine intervals, and when there are too many, in
//! intervals of the next step of a ladder on which each step is a multiple of the one before: then intervals merge exactly,
//! and the step that is reached depends on the set of frames alone, not on their order or on how they were shared out.

/// The ladder of interval lengths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Steps {
    /// From one second up to days, as long as it takes to have at most 100 intervals that are not empty.
    #[default]
    Automatic,
    /// This many seconds, doubled only when there would be more than 2,000 intervals that are not empty.
    Every(u32),
    /// Sums of captures for which different intervals were asked for: they cannot be joined.
    Mixed,
}

const SECOND_NS: i64 = 1_000_000_000;
const DAY: i64 = 86_400;

/// Lengths that people count in, each a multiple of the one before. Unit: seconds.
const LADDER: [i64; 13] = [1, 5, 10, 30, 60, 300, 600, 1_800, 3_600, 10_800, 21_600, 43_200, DAY];

impl Steps {
    /// Non-empty intervals beyond which the next step is taken.
    #[must_use]
    pub const fn most(self) -> usize {
        match self {
            Self::Automatic => 100,
            Self::Every(_) => 2_000,
            Self::Mixed => 0,
        }
    }

    /// Length of an interval at `level`. Unit: nanoseconds.
    #[must_use]
    pub fn length_ns(self, level: u8) -> i64 {
        let level = usize::from(level);
        let doubled = |seconds: i64, times: usize| match times {
            0..=40 => seconds.saturating_mul(1 << times),
            _ => i64::MAX,
        };
        let seconds = match self {
            Self::Automatic => LADDER.get(level).copied().unwrap_or_else(|| doubled(DAY, level - (LADDER.len() - 1))),
            Self::Every(seconds) => doubled(i64::from(seconds.max(1)), level),
            Self::Mixed => i64::MAX,
        };
        seconds.saturating_mul(SECOND_NS)
    }

    /// Start of the interval in which `time_ns` lies.
    #[must_use]
    pub fn start_ns(self, level: u8, time_ns: i64) -> i64 {
        let length = self.length_ns(level);
        time_ns.div_euclid(length).saturating_mul(length)
    }
}

/// The part of a flow that lies in one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FlowPart {
    /// A time in the interval, nanoseconds since 1970 UTC.
    pub time_ns: i64,
    /// Both directions.
    pub counts: super::Counts,
    /// What of it was readable although the flow is encrypted.
    pub readable: super::Counts,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_is_a_multiple_of_the_one_before() {
        for steps in [Steps::Automatic, Steps::Every(7), Steps::Every(3_600)] {
            for level in 0..20 {
                let (fine, coarse) = (steps.length_ns(level), steps.length_ns(level + 1));
                assert!(coarse > fine && coarse % fine == 0, "{steps:?} level {level}: {fine} and {coarse}");
            }
            assert!(steps.length_ns(u8::MAX) > 0);
        }
    }

    #[test]
    fn intervals_are_aligned_to_utc() {
        let cases = [
            (Steps::Automatic, 0, 1_999_999_999, 1_000_000_000),
            (Steps::Automatic, 8, 3_600 * SECOND_NS + 5, 3_600 * SECOND_NS),
            (Steps::Automatic, 0, -1, -SECOND_NS),
            (Steps::Every(3_600), 1, 3_600 * SECOND_NS, 0),
            (Steps::Automatic, 255, i64::MIN, i64::MIN),
        ];
        for (steps, level, time, want) in cases {
            assert_eq!(steps.start_ns(level, time), want, "{steps:?} {level} {time}");
        }
    }
}
