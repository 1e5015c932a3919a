//! The stacks of tunnels that flows come in, by number: a capture has few of them, and a record has a byte for its own.

use crate::model::Tunnel;

/// Tunnels that were opened on the way to a flow, the outermost first.
pub(super) type Stack = [Tunnel; 6];

/// The stacks of one shard.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Stacks {
    /// That of number 1, of number 2 and so on: number 0 is no tunnel at all.
    seen: Vec<Stack>,
}

/// Number of a stack.
pub(super) type Number = u8;

/// A stack that came when all numbers were given away: it is kept beside the record.
pub(super) const BESIDE: Number = Number::MAX;

impl Stacks {
    /// The number of `stack`, which is given one if there is one left; [`BESIDE`] if not.
    pub(super) fn number(&mut self, stack: &Stack) -> Number {
        if *stack == Stack::default() {
            return 0;
        }
        let seen = &mut self.seen;
        let place = seen.iter().position(|other| other == stack).unwrap_or(seen.len());
        match Number::try_from(place + 1) {
            Ok(number) if number != BESIDE => {
                if place == seen.len() {
                    seen.push(*stack);
                }
                number
            }
            _ => BESIDE,
        }
    }

    /// The stack with this number.
    pub(super) fn stack(&self, number: Number) -> Stack {
        usize::from(number).checked_sub(1).and_then(|place| self.seen.get(place)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_keep_their_numbers() {
        let stack = |n: u16| {
            let [high, low] = n.to_be_bytes();
            [Tunnel(low), Tunnel(high), Tunnel(0), Tunnel(0), Tunnel(0), Tunnel(0)]
        };
        let mut stacks = Stacks::default();
        for round in 0..2 {
            for n in 0..600 {
                let number = stacks.number(&stack(n));
                assert_eq!(u16::from(number), n.min(BESIDE.into()), "{n} in round {round}");
                assert_eq!(stacks.stack(number), if number == BESIDE { Stack::default() } else { stack(n) });
            }
        }
    }
}
