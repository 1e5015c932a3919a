//! TLS and DTLS: recognition, record layers, and the facts that handshakes show.

mod fingerprint;
pub mod hello;
pub(crate) mod read;

use crate::detect::Dissector;

/// TLS and DTLS.
pub(crate) static DISSECTORS: &[&dyn Dissector] = &[];
