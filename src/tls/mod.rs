//! TLS.

use crate::detect::Dissector;

/// TLS and DTLS.
pub(crate) static DISSECTORS: &[&dyn Dissector] = &[];
