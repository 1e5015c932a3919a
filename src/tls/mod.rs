//! TLS and DTLS: recognition, record layers, and the facts that handshakes show.
//!
//! | file | about |
//! |---|---|
//! | `dissect`, `dtls` | recognition: TLS and SSL over a stream, DTLS over datagrams |
//! | `record`, `datagram` | record layers and handshake messages of one side |
//! | [`hello`], `offer`, `exchange`, `certificate`, `ssl2` | message bodies |
//! | `conversation`, `session` | both sides together: how far the handshake got, class, evidence |
//! | `fingerprint`, `suite`, `read` | JA3 and JA4; what must be known of suites; reading vectors |
//! | `memo` | what was worked out already |

mod certificate;
mod conversation;
mod datagram;
mod dissect;
pub mod dtls;
mod exchange;
mod fingerprint;
pub mod hello;
mod memo;
mod offer;
pub(crate) mod read;
mod record;
pub mod session;
mod ssl2;
mod suite;
#[cfg(test)]
mod testing;

use crate::detect::Dissector;

pub use dissect::opens_client_hello;
pub(crate) use memo::share as share_memory;

/// TLS and DTLS.
pub(crate) static DISSECTORS: &[&dyn Dissector] = &[&dissect::Tls, &dtls::Dtls];

/// The tests that ask the dissectors of this group; the law of `detect` runs them.
#[cfg(test)]
pub(crate) static TESTS: &[fn()] =
    &[dissect::tests::hellos, dissect::tests::middle_of_a_stream, dtls::tests::recognition];
