//! Copies of traffic sent elsewhere: ERSPAN, TZSP.
//!
//! Sources: draft-foschiano-erspan-03 (types I, II, III); the TZSP description in Wireshark's documentation and by Tazmen.

use super::{inside, number};
use crate::link::{Cursor, Layer, Read, Step};
use crate::model::{Loss, Tunnel};

const ERSPAN: Tunnel = number("erspan");
const TZSP: Tunnel = number("tzsp");

/// Types II and III by the version in the first bits; type I has no header (see [`super::gre`]).
pub(super) fn erspan(cursor: &mut Cursor<'_>) -> Read {
    const PLATFORM_HEADER: u8 = 0x01;
    match cursor.peek::<1>()?[0] >> 4 {
        1 => cursor.skip(8)?,
        2 => {
            let header = cursor.take::<12>()?;
            if header[11] & PLATFORM_HEADER != 0 {
                cursor.skip(8)?;
            }
            if (header[10] >> 2) & 0x1f == 2 {
                return Ok(Step::Open(ERSPAN, Layer::Ip));
            }
        }
        _ => return Err(Loss::MalformedHeader),
    }
    Ok(Step::Open(ERSPAN, Layer::Ethernet))
}

/// ERSPAN type I: the frame at once.
pub(super) const ERSPAN_WITHOUT_HEADER: Step = Step::Open(ERSPAN, Layer::Ethernet);

/// Version 1, a received or transmitted frame, tags up to the end tag, then Ethernet or 802.11.
pub(super) fn tzsp(cursor: &mut Cursor<'_>) -> Option<Step> {
    const PADDING: u8 = 0;
    const END: u8 = 1;
    let &[1, 0 | 1, 0, encapsulated] = cursor.take::<4>().ok()? else { return None };
    loop {
        match cursor.u8().ok()? {
            PADDING => {}
            END => break,
            _ => {
                let length = usize::from(cursor.u8().ok()?);
                cursor.skip(length).ok()?;
            }
        }
    }
    let layer = match encapsulated {
        1 if inside::ethernet(cursor) => Layer::Ethernet,
        18 if inside::wlan(cursor, false) => Layer::Wlan { swapped: false },
        _ => return None,
    };
    Some(Step::Open(TZSP, layer))
}
