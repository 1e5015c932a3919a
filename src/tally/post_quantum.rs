//! How far key exchange withstands a quantum computer, by protocol: TLS, DTLS, QUIC, SSH and IKE.
//!
//! A flow counts once: by what was negotiated, else by what was offered.

use super::Sum;
use crate::grade::registry;
use crate::model::{Facts, Handshake, TlsFacts};

/// Flows of one protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct PostQuantum {
    /// The key exchange has a post-quantum part (hybrid or pure), at the first attempt.
    pub negotiated: Sum,
    /// The same, after the server asked for another key share (HelloRetryRequest).
    pub after_retry: Sum,
    /// The client offered it, and something else was negotiated.
    pub offered_only: Sum,
    /// Neither negotiated nor offered.
    pub classical: Sum,
    /// What was negotiated is not visible: one-sided, failed, or resumed without a key exchange.
    pub unknown: Sum,
}

/// What one flow adds to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Negotiated,
    AfterRetry,
    OfferedOnly,
    Classical,
    Unknown,
}

impl PostQuantum {
    pub(super) fn add(&mut self, kind: Kind, more: Sum) {
        let sum = match kind {
            Kind::Negotiated => &mut self.negotiated,
            Kind::AfterRetry => &mut self.after_retry,
            Kind::OfferedOnly => &mut self.offered_only,
            Kind::Classical => &mut self.classical,
            Kind::Unknown => &mut self.unknown,
        };
        sum.merge(more);
    }

    /// Adds another total.
    pub fn merge(&mut self, other: Self) {
        self.negotiated.merge(other.negotiated);
        self.after_retry.merge(other.after_retry);
        self.offered_only.merge(other.offered_only);
        self.classical.merge(other.classical);
        self.unknown.merge(other.unknown);
    }
}

/// What a flow counts as; `None` when it has no handshake of these protocols.
pub(super) fn kind(facts: &Facts, completed: Option<bool>) -> Option<Kind> {
    let failed = completed == Some(false);
    if let Some(tls) = &facts.tls {
        return Some(if failed { Kind::Unknown } else { tls_kind(tls) });
    }
    if let Some((found, kex)) = facts.algorithms.as_ref().and_then(|found| Some((found, found.kex.as_ref()?))) {
        return Some(match kex.contains("ml-kem") {
            true => Kind::Negotiated,
            false if found.post_quantum_offered => Kind::OfferedOnly,
            false => Kind::Classical,
        });
    }
    let ssh = facts.ssh.as_ref()?;
    Some(match &ssh.kex {
        _ if failed || ssh.handshake == Handshake::NotSeen => Kind::Unknown,
        None => Kind::Unknown,
        Some(kex) if registry::is_post_quantum_kex(kex) => Kind::Negotiated,
        Some(_) if ssh.post_quantum_offered => Kind::OfferedOnly,
        Some(_) => Kind::Classical,
    })
}

fn tls_kind(tls: &TlsFacts) -> Kind {
    let offered = || tls.offer.groups.iter().any(|group| is_post_quantum(*group));
    match super::tls::post_quantum(tls, tls.cipher.and_then(registry::suite)) {
        Some(true) if tls.hello_retry => Kind::AfterRetry,
        Some(true) => Kind::Negotiated,
        Some(false) if offered() => Kind::OfferedOnly,
        Some(false) => Kind::Classical,
        None => Kind::Unknown,
    }
}

fn is_post_quantum(group: u16) -> bool {
    registry::group(group).is_some_and(registry::Group::is_post_quantum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Algorithms, Offer, SshFacts};

    #[test]
    fn each_flow_counts_once() {
        let tls = |group, offered: &[u16], hello_retry| {
            let tls = TlsFacts {
                version: Some(0x0304),
                cipher: Some(0x1301),
                group,
                offer: Offer { groups: offered.to_vec(), ..Offer::default() }.into(),
                hello_retry,
                handshake: Handshake::Completed,
                ..TlsFacts::default()
            };
            Facts { tls: Some(Box::new(tls)), ..Facts::default() }
        };
        let ssh = |kex: &str, post_quantum_offered| {
            let handshake = Handshake::Completed;
            let ssh = SshFacts { kex: Some(kex.to_owned()), post_quantum_offered, handshake, ..SshFacts::default() };
            Facts { ssh: Some(Box::new(ssh)), ..Facts::default() }
        };
        let ike = |kex: &str, post_quantum_offered| {
            let found = Algorithms { kex: Some(kex.to_owned()), post_quantum_offered, ..Algorithms::default() };
            Facts { algorithms: Some(Box::new(found)), ..Facts::default() }
        };
        type Case<'a> = (&'a str, Facts, Option<bool>, Option<Kind>);
        let cases: &[Case<'_>] = &[
            ("hybrid", tls(Some(4588), &[4588, 29], false), Some(true), Some(Kind::Negotiated)),
            ("hybrid, pressed for", tls(Some(4588), &[4588, 29], true), Some(true), Some(Kind::AfterRetry)),
            ("offered", tls(Some(29), &[4588, 29], false), Some(true), Some(Kind::OfferedOnly)),
            ("classical", tls(Some(29), &[29], false), Some(true), Some(Kind::Classical)),
            ("no key exchange", tls(None, &[29], false), Some(true), Some(Kind::Unknown)),
            ("failed", tls(Some(4588), &[4588], false), Some(false), Some(Kind::Unknown)),
            ("ssh hybrid", ssh("mlkem768x25519-sha256", true), Some(true), Some(Kind::Negotiated)),
            ("ssh NTRU", ssh("sntrup761x25519-sha512@openssh.com", true), Some(true), Some(Kind::Negotiated)),
            ("ssh offered", ssh("curve25519-sha256", true), Some(true), Some(Kind::OfferedOnly)),
            ("ssh classical", ssh("curve25519-sha256", false), Some(true), Some(Kind::Classical)),
            ("ike hybrid", ike("curve25519+ml-kem-768", true), None, Some(Kind::Negotiated)),
            ("ike offered", ike("curve25519", true), None, Some(Kind::OfferedOnly)),
            ("ike classical", ike("modp2048", false), None, Some(Kind::Classical)),
            ("neither", Facts::default(), None, None),
        ];
        for (name, facts, completed, want) in cases {
            assert_eq!(kind(facts, *completed), *want, "{name}");
        }
    }
}
