//! DNSCrypt version 2 over UDP.
//!
//! Sources: DNSCrypt protocol specification version 2 (dnscrypt.info/protocol), sections "queries" and "responses".
//! Evidence: a response starts with the resolver's magic and repeats the first half of the nonce that the query has at a
//! fixed place (signature). The query alone has nothing fixed.
//! Not handled: TCP, and relayed queries (Anonymized DNSCrypt).

use crate::detect::{Dissector, Found, Heads, Outcome};
use crate::model::{Evidence, Protocol, Transport};

pub(super) struct DnsCrypt;

impl Dissector for DnsCrypt {
    fn protocol(&self) -> Protocol {
        PROTOCOL
    }

    fn transport(&self) -> Transport {
        Transport::UDP
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let mut queries = Vec::new();
        for datagram in heads.datagrams {
            if datagram.from_client {
                // Client magic, public key, half a nonce, and a box of padded blocks.
                queries.extend(datagram.bytes.get(40..52).filter(|_| datagram.wire_len >= 8 + 32 + 12 + 16 + 64));
            } else if let Some(nonce) = datagram.bytes.strip_prefix(MAGIC).and_then(|rest| rest.get(..12))
                && queries.contains(&nonce)
            {
                return Outcome::Found(Found::encrypted(PROTOCOL, Evidence::Signature).from_client());
            }
        }
        let unanswered = heads.datagrams.iter().all(|datagram| datagram.from_client);
        if unanswered && !queries.is_empty() { Outcome::NeedMore } else { Outcome::No }
    }
}

const PROTOCOL: Protocol = Protocol(&"dnscrypt");
const MAGIC: &[u8] = b"r6fnvWj8";

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::{noise, probe_datagrams};
    use super::*;

    #[test]
    pub(crate) fn probe() {
        let query = noise(1, 512);
        let nonce = query.get(40..52).unwrap_or_default();
        let answer = [MAGIC, nonce, &noise(2, 200)].concat();
        let other = [MAGIC, &[7; 12], &noise(2, 200)].concat();
        let found = Outcome::Found(Found::encrypted(PROTOCOL, Evidence::Signature).from_client());
        let cases: &[(&str, Vec<(bool, Vec<u8>)>, Outcome)] = &[
            ("query and answer", vec![(true, query.clone()), (false, answer.clone())], found),
            ("query alone", vec![(true, query.clone())], Outcome::NeedMore),
            ("another nonce", vec![(true, query.clone()), (false, other)], Outcome::No),
            ("sides exchanged", vec![(false, query.clone()), (true, answer.clone())], Outcome::No),
            ("answer first", vec![(false, answer), (true, query.clone())], Outcome::No),
            ("too short", vec![(true, query.get(..100).unwrap_or_default().to_vec())], Outcome::No),
        ];
        for (name, sent, want) in cases {
            assert_eq!(probe_datagrams(&DnsCrypt, sent), *want, "{name}");
        }
    }
}
