//! What a client offers in its hello. Most clients say the same in all their hellos, so flows share what is equal.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::Fingerprint;

/// What a ClientHello offers, in the client's order, GREASE left out. All numbers are code points of the IANA TLS
/// registries.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Offer {
    /// Versions: supported_versions if present, else the legacy version.
    pub versions: Vec<u16>,
    /// Cipher suites.
    pub ciphers: Vec<u16>,
    /// Groups.
    pub groups: Vec<u16>,
    /// Groups for which the client sent a key share.
    pub key_shares: Vec<u16>,
    /// Signature schemes.
    pub signatures: Vec<u16>,
    /// ALPN list.
    pub protocols: Vec<String>,
    /// JA3 (MD5, 32 hex digits); `None` for SSL 2.
    pub ja3: Option<Fingerprint>,
    /// JA4; `None` for SSL 2.
    pub ja4: Option<Fingerprint>,
}

static NOTHING: Offer = Offer {
    versions: Vec::new(),
    ciphers: Vec::new(),
    groups: Vec::new(),
    key_shares: Vec::new(),
    signatures: Vec::new(),
    protocols: Vec::new(),
    ja3: None,
    ja4: None,
};

impl Offer {
    /// Heap bytes held, roughly, whoever else holds them too.
    #[must_use]
    pub fn memory(&self) -> usize {
        let lists = [&self.versions, &self.ciphers, &self.groups, &self.key_shares, &self.signatures];
        let numbers: usize = lists.iter().map(|list| 16 + 2 * list.len()).sum();
        let names: usize = self.protocols.iter().map(|name| 40 + name.len()).sum();
        if *self == NOTHING { 0 } else { size_of::<Self>() + 16 + numbers + names }
    }
}

/// An offer that flows share; without a ClientHello it is empty.
#[derive(Clone, Debug, Default)]
pub struct SharedOffer(Option<Arc<Shared>>);

/// An offer and its weight, which is asked for with every packet of a handshake.
#[derive(Clone, Debug, Default)]
struct Shared {
    offer: Offer,
    /// [`Offer::memory`]; `None` while the offer may be changed.
    memory: Option<usize>,
}

impl SharedOffer {
    /// Heap bytes held, roughly, whoever else holds them too.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.0.as_deref().map_or(0, |shared| shared.memory.unwrap_or_else(|| shared.offer.memory()))
    }

    /// Where the offer lies: offers that are held at the same time and lie at one place are one.
    pub(crate) fn place(&self) -> usize {
        self.0.as_ref().map_or(0, |shared| Arc::as_ptr(shared).addr())
    }
}

impl Deref for SharedOffer {
    type Target = Offer;

    fn deref(&self) -> &Offer {
        self.0.as_deref().map_or(&NOTHING, |shared| &shared.offer)
    }
}

impl DerefMut for SharedOffer {
    /// The offer, no longer shared.
    fn deref_mut(&mut self) -> &mut Offer {
        let shared = Arc::make_mut(self.0.get_or_insert_default());
        shared.memory = None;
        &mut shared.offer
    }
}

impl From<Offer> for SharedOffer {
    fn from(offer: Offer) -> Self {
        let memory = Some(offer.memory());
        Self((offer != NOTHING).then(|| Arc::new(Shared { offer, memory })))
    }
}

impl PartialEq for SharedOffer {
    fn eq(&self, other: &Self) -> bool {
        let same = matches!((&self.0, &other.0), (Some(one), Some(other)) if Arc::ptr_eq(one, other));
        same || **self == **other
    }
}

impl Eq for SharedOffer {}

impl serde::Serialize for SharedOffer {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de> serde::Deserialize<'de> for SharedOffer {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Offer::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    #[test]
    fn shared_until_changed() {
        let one = SharedOffer::from(Offer { ciphers: vec![0x1301], ..Offer::default() });
        let mut other = one.clone();
        assert_eq!(one, other);
        other.ciphers.push(0x1302);
        assert_eq!((&one.ciphers[..], &other.ciphers[..]), (&[0x1301][..], &[0x1301, 0x1302][..]));
        let back: SharedOffer = postcard::from_bytes(&postcard::to_stdvec(&other).unwrap()).unwrap();
        assert_eq!((&back, back.memory()), (&other, other.memory()));
    }

    #[test]
    fn nothing_weighs_nothing() {
        let nothing = SharedOffer::default();
        assert_eq!((&nothing, nothing.memory()), (&SharedOffer::from(Offer::default()), 0));
    }
}
