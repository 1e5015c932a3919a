//! Plaintext protocols over UDP: one file and one row each.

use super::Dissector;

/// The dissectors of this group, surest first.
pub(super) static DISSECTORS: &[&dyn Dissector] = &[];
