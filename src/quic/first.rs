//! The client's first Initial packet: it proves QUIC, and the hello is in it.
//!
//! Who recognises a connection and who reads it on open the same packet, one right after the other. So what came of the
//! latest packet is handed on: the keys are derived and the packet is decrypted once.

use std::cell::RefCell;

use super::keys::{InitialKeys, Sender};
use super::packet::Long;
use super::version::Secrets;

/// An Initial packet that opened with the keys of a client that made up its destination.
pub(super) struct Opened {
    /// What the keys were made from.
    pub(super) secrets: Secrets,
    /// The keys of the client.
    pub(super) keys: InitialKeys,
    /// The packet, decrypted.
    pub(super) plain: Vec<u8>,
    /// Length of the frames in `plain`, which end in front of its tag.
    pub(super) len: usize,
}

thread_local! {
    /// The packet that was recognised last, as it was captured, and opened.
    static LATEST: RefCell<Option<(Box<[u8]>, Opened)>> = const { RefCell::new(None) };
}

/// Whether the packet opens. What it holds is kept for [`take`].
pub(super) fn opens(packet: &Long<'_>) -> bool {
    let Some(opened) = open(packet) else { return false };
    LATEST.set(Some((packet.bytes.into(), opened)));
    true
}

/// The packet, opened; `None` when it does not open.
pub(super) fn take(packet: &Long<'_>) -> Option<Opened> {
    match LATEST.take() {
        Some((bytes, opened)) if *bytes == *packet.bytes => Some(opened),
        _ => open(packet),
    }
}

fn open(packet: &Long<'_>) -> Option<Opened> {
    let mut plain = Vec::new();
    let (secrets, keys, len) = packet.version.secrets().iter().find_map(|secrets| {
        let keys = InitialKeys::derive(secrets, packet.destination, Sender::Client)?;
        let len = keys.open(packet, &mut plain)?.len();
        Some((*secrets, keys, len))
    })?;
    Some(Opened { secrets, keys, plain, len })
}
