//! Encrypted protocols other than TLS, DTLS and QUIC: one file and one row each.

use super::Dissector;

/// The dissectors of this group, surest first.
pub(super) static DISSECTORS: &[&dyn Dissector] = &[];
