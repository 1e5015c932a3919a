//! Plaintext protocols over TCP, and their upgrades to TLS: one file and one row each.

use super::Dissector;

/// The dissectors of this group, surest first.
pub(super) static DISSECTORS: &[&dyn Dissector] = &[];
