//! Words that every stage shares: classes, evidence, units, addresses, facts. No stage logic.

mod connection;
mod counts;
mod facts;
mod fingerprint;
mod flow;
pub(crate) mod kept;
mod loss;
mod offer;
mod protocol;
mod steps;

pub use connection::{ConnectionId, Opening, opening};
pub use counts::{Counts, Units};
pub use facts::{Algorithms, CertificateFacts, Facts, Handshake, Sign, SshFacts, TlsFacts, Trace, UpgradeOutcome};
pub use fingerprint::Fingerprint;
pub(crate) use fingerprint::hex_digit;
pub use flow::{Address, Endpoint, FlowKey, FlowSummary, NarrowKey, Seed, Side, Transport, Tunnel};
pub use loss::Loss;
pub use offer::{Offer, SharedOffer};
pub use protocol::{Class, Evidence, Protocol};
pub use steps::{FlowPart, Steps};
