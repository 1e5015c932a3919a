//! QUIC.

use crate::detect::Dissector;

/// QUIC.
pub(crate) static DISSECTORS: &[&dyn Dissector] = &[];
