//! Time stamps of pcapng: 64-bit ticks, whose length and origin each interface names.
//!
//! Source: draft-ietf-opsawg-pcapng section 4.2 (`if_tsresol`, `if_tsoffset`).
//! Exact integer arithmetic; fractions of a nanosecond are cut off, and what does not fit saturates.

/// Length of a tick, and the origin of the ticks of one interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resolution {
    tick: Tick,
    /// Added to every time stamp. Unit: nanoseconds.
    offset_ns: i128,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tick {
    /// A tick is this many nanoseconds.
    Multiply(u64),
    /// This many ticks are one nanosecond; `None` when more than any tick count holds.
    Divide(Option<u64>),
    /// 2 to this power ticks are one second.
    Shift(u8),
}

const NS_PER_SECOND: u64 = 1_000_000_000;

impl Default for Resolution {
    /// Microseconds since 1970 UTC, as the draft has it for an interface that says nothing.
    fn default() -> Self {
        Self::new(6, 0)
    }
}

impl Resolution {
    /// From the options `if_tsresol` (as stored) and `if_tsoffset` (seconds).
    pub(super) fn new(tsresol: u8, offset_seconds: i64) -> Self {
        let power = tsresol & 0x7f;
        let tick = if tsresol & 0x80 != 0 {
            Tick::Shift(power)
        } else if let Some(finer) = power.checked_sub(9) {
            Tick::Divide(10_u64.checked_pow(u32::from(finer)))
        } else {
            Tick::Multiply(NS_PER_SECOND / 10_u64.pow(u32::from(power)))
        };
        Self { tick, offset_ns: i128::from(offset_seconds) * i128::from(NS_PER_SECOND) }
    }

    /// Nanoseconds since 1970 UTC.
    #[inline]
    pub(super) fn nanoseconds(&self, ticks: u64) -> i64 {
        if let (Tick::Multiply(by), 0) = (self.tick, self.offset_ns)
            && let Some(Ok(time)) = ticks.checked_mul(by).map(i64::try_from)
        {
            return time;
        }
        let since_origin: u128 = match self.tick {
            Tick::Multiply(by) => u128::from(ticks) * u128::from(by),
            Tick::Divide(by) => by.map_or(0, |by| u128::from(ticks / by)),
            Tick::Shift(by) => (u128::from(ticks) * u128::from(NS_PER_SECOND)) >> by,
        };
        // At most 2^64 * 10^9 and 2^63 * 10^9: their sum is far below 2^127.
        let time = since_origin as i128 + self.offset_ns;
        time.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::Resolution;

    #[test]
    fn nanoseconds() {
        let cases: &[(&str, u8, i64, u64, i64)] = &[
            ("seconds", 0, 0, 1_500_000_000, 1_500_000_000_000_000_000),
            ("tenths", 1, 0, 15, 1_500_000_000),
            ("microseconds", 6, 0, 1_500_000, 1_500_000_000),
            ("nanoseconds", 9, 0, 1_234_567_891, 1_234_567_891),
            ("picoseconds are cut off", 12, 0, 1_999, 1),
            ("10^-28 s", 28, 0, u64::MAX, 1),
            ("10^-29 s: no 64-bit count reaches a nanosecond", 29, 0, u64::MAX, 0),
            ("10^-127 s", 127, 0, u64::MAX, 0),
            ("2^0: whole seconds", 0x80, 0, 7, 7_000_000_000),
            ("2^-10", 0x8a, 0, 1536, 1_500_000_000),
            ("2^-20", 0x94, 0, 1 << 20, 1_000_000_000),
            ("2^-32 (NTP)", 0xa0, 0, 0x1_8000_0000, 1_500_000_000),
            ("2^-63", 0xbf, 0, 1 << 63, 1_000_000_000),
            ("2^-64", 0xc0, 0, 1 << 63, 500_000_000),
            ("2^-127", 0xff, 0, u64::MAX, 0),
            ("offset forward", 6, 10, 1, 10_000_001_000),
            ("offset back", 6, -10, 1, -9_999_999_000),
            ("saturates above", 0, 0, u64::MAX, i64::MAX),
            ("saturates below", 9, i64::MIN, 0, i64::MIN),
            ("offset brings it back into range", 0, -10_000_000_000, 10_000_000_001, 1_000_000_000),
        ];
        for (name, tsresol, offset, ticks, want) in cases {
            assert_eq!(Resolution::new(*tsresol, *offset).nanoseconds(*ticks), *want, "{name}");
        }
        assert_eq!(Resolution::default(), Resolution::new(6, 0));
    }
}
