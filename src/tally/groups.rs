//! Sums of the jackknife groups: the raw material of error bars, kept in the report so that intervals survive a merge.
//!
//! Packets of a flow and flows of a host are not independent, so sampling error is estimated over groups of host pairs:
//! [`crate::model::FlowKey::host_group`] gives every flow one of 64. Frames that belong to no flow have no host pair; all
//! frames of one name share a group, as if they came from one pair, which never makes an interval narrower.

use super::ByClass;
use crate::model::{Class, Counts, Units};

/// Number of groups.
pub const GROUPS: usize = 64;

/// Totals of each group by class. `control` is not kept: no share counts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups(Box<[GroupSums; GROUPS]>);

/// Totals of one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupSums {
    /// Totals by class; `control` stays zero.
    pub classes: ByClass<Units>,
}

impl Default for Groups {
    fn default() -> Self {
        Self(Box::new([GroupSums::default(); GROUPS]))
    }
}

impl Groups {
    /// The sums of group `index`; numbers from [`GROUPS`] on start again at 0.
    pub fn of(&mut self, index: usize) -> &mut GroupSums {
        &mut self.0[index % GROUPS]
    }

    /// All groups in order.
    pub fn iter(&self) -> impl Iterator<Item = &GroupSums> {
        self.0.iter()
    }

    /// Adds each group of `other` to the same group.
    pub fn merge(&mut self, other: &Self) {
        for (sums, more) in self.0.iter_mut().zip(other.0.iter()) {
            sums.classes.merge(&more.classes);
        }
    }
}

impl GroupSums {
    /// Adds `flows` flows that amount to `counts`.
    pub fn add(&mut self, class: Class, flows: u64, counts: Counts) {
        if class != Class::Control {
            self.classes[class].add_flows(flows, counts);
        }
    }
}

/// The group of frames that belong to no flow: FNV-1a over their name, the same on every machine.
pub(super) fn of_name(name: &str) -> usize {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    (hash >> 58) as usize
}
