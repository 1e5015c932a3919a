//! The client's first Initial packet: it proves QUIC, and the hello is in it.
//!
//! Who recognises a connection and who reads it on open the same packet, one right after the other. So what came of the
//! latest packet is handed on: the keys are derived and the packet is decrypted once.

use std::cell::RefCell;

use super::keys::{InitialKeys, InitialSecret, Sender};
use super::packet::Long;

/// What an Initial packet was opened with: the keys of a client that made up its destination.
#[derive(Clone, Copy)]
pub(super) struct Opened {
    /// What the keys of both sides are made from.
    pub(super) secret: InitialSecret,
    /// The keys of the client.
    pub(super) keys: InitialKeys,
    /// Length of the frames in the opened packet, which end in front of its tag.
    pub(super) len: usize,
}

/// The packet that was recognised last.
#[derive(Default)]
struct Latest {
    /// As it was captured.
    bytes: Vec<u8>,
    /// Opened.
    plain: Vec<u8>,
    by: Option<Opened>,
}

thread_local! {
    static LATEST: RefCell<Latest> = RefCell::default();
}

/// Whether the packet opens. What it holds is kept for [`take`].
pub(super) fn opens(packet: &Long<'_>) -> bool {
    LATEST.with_borrow_mut(|latest| {
        latest.by = open(packet, &mut latest.plain);
        if latest.by.is_some() {
            latest.bytes.clear();
            latest.bytes.extend_from_slice(packet.bytes);
        }
        latest.by.is_some()
    })
}

/// Opens the packet into `plain`; `None` when it does not open.
pub(super) fn take(packet: &Long<'_>, plain: &mut Vec<u8>) -> Option<Opened> {
    LATEST.with_borrow_mut(|latest| match latest.by.take() {
        Some(opened) if latest.bytes == packet.bytes => {
            std::mem::swap(plain, &mut latest.plain);
            Some(opened)
        }
        _ => open(packet, plain),
    })
}

fn open(packet: &Long<'_>, plain: &mut Vec<u8>) -> Option<Opened> {
    packet.version.secrets().iter().find_map(|secrets| {
        let secret = InitialSecret::new(*secrets, packet.destination)?;
        let keys = secret.keys(Sender::Client)?;
        let len = keys.open(packet, plain)?.len();
        Some(Opened { secret, keys, len })
    })
}
