//! File and procedure services: NetBIOS sessions, ONC RPC (NFS, portmap), iSCSI, LPD.
//!
//! Sources: RFC 1001 section 14.1, RFC 1002 section 4.3, RFC 5531 sections 9 and 11, RFC 2203 (RPCSEC_GSS), RFC 7143
//! section 11.12, RFC 1179.
//! Evidence: magic bytes, or fields that are fixed by the standard, of both sides.
//! Not handled: SMB and DCE/RPC, which can seal and stand with the sealed protocols; RPCSEC_GSS privacy, of which a call
//! is none of these.

use super::framed::{Framed, Header, good, u32_at};
use super::text::holds;

/// NetBIOS sessions in which no SMB was seen: only a refusal makes them certain.
pub(super) static NETBIOS: Framed = Framed::directed(&"netbios-ssn", netbios_client, netbios_server);
/// ONC RPC with record marks.
pub(super) static RPC: Framed = Framed::directed(&"rpc", rpc_call, rpc_reply);
/// iSCSI login.
pub(super) static ISCSI: Framed = Framed::directed(&"iscsi", iscsi_client, iscsi_server);
/// Line printer daemon.
pub(super) static LPD: Framed = Framed::directed(&"lpd", lpd_client, lpd_server);

/// Session request with two encoded names, positive and negative response, retarget, keep-alive.
fn session_setup(head: &[u8]) -> Header {
    match *head {
        [0x81, 0, 0, 0x44, 0x20, ref name @ ..] => {
            // The name called, in letters A to P (RFC 1001 section 14.1).
            let name = name.get(..32).unwrap_or(name);
            good(name.iter().all(|byte| (b'A'..=b'P').contains(byte)), 72, 40 + name.len() as u32)
        }
        [0x82 | 0x85, 0, 0, 0, ..] => Header::Good { len: 4, bits: 30 },
        [0x83, 0, 0, 1, 0x80..=0x8f, ..] => Header::Good { len: 5, bits: 32 },
        [0x84, 0, 0, 6, ..] => Header::Good { len: 10, bits: 30 },
        _ if head.len() >= 5 => Header::Bad,
        [0x81..=0x85] | [0x81..=0x85, 0] | [0x81..=0x85, 0, 0] | [0x81, 0, 0, 0x44] | [0x83, 0, 0, 1] => Header::Short,
        _ => Header::Bad,
    }
}

fn netbios_client(head: &[u8]) -> Header {
    match head.first() {
        None => Header::Short,
        Some(0x81 | 0x85) => session_setup(head),
        Some(_) => Header::Bad,
    }
}

fn netbios_server(head: &[u8]) -> Header {
    match head.first() {
        None => Header::Short,
        Some(0x83 | 0x84) => session_setup(head),
        Some(0x82 | 0x85) => session_setup(head).silent(),
        Some(_) => Header::Bad,
    }
}

/// The record mark (RFC 5531 section 11): last fragment, and a length that a call or reply may have.
fn record(head: &[u8]) -> Option<Option<usize>> {
    let mark = u32_at(head, 0)?;
    let len = (mark & 0x7fff_ffff) as usize;
    Some((mark >> 31 == 1 && (16..=4 << 20).contains(&len)).then_some(len + 4))
}

/// xid, CALL, RPC version 2, program, version, procedure, credential.
fn rpc_call(head: &[u8]) -> Header {
    let len = match record(head) {
        None if head.first().is_none_or(|first| *first == 0x80) => return Header::Short,
        Some(Some(len)) => len,
        _ => return Header::Bad,
    };
    let word = |index: usize| u32_at(head, 4 + 4 * index);
    let fits = word(1).is_none_or(|kind| kind == 0)
        && word(2).is_none_or(|version| version == 2)
        && word(3).is_none_or(|program| program < 0x6000_0000)
        && word(4).is_none_or(|version| version < 0x1_0000)
        && word(5).is_none_or(|procedure| procedure < 0x1_0000);
    match (fits, word(6), word(7)) {
        (false, _, _) => Header::Bad,
        (true, Some(0..=7 | 300_000..=400_000), Some(0..=400)) => match (word(6), word(9), word(11)) {
            // RPCSEC_GSS with the privacy service seals arguments and results of data procedures.
            (Some(6), Some(0), Some(3)) => Header::Bad,
            (Some(6), _, None) if head.len() < len => Header::Short,
            _ => good(len >= 44, len, 110),
        },
        (true, Some(_), Some(_)) => Header::Bad,
        _ => Header::Short,
    }
}

/// xid, REPLY, accepted or denied, verifier.
fn rpc_reply(head: &[u8]) -> Header {
    let len = match record(head) {
        None if head.first().is_none_or(|first| *first == 0x80) => return Header::Short,
        Some(Some(len)) => len,
        _ => return Header::Bad,
    };
    let word = |index: usize| u32_at(head, 4 + 4 * index);
    match (word(1), word(2), word(3), word(4)) {
        (Some(1), Some(0), Some(0..=7), Some(0..=400)) => good(len >= 28, len, 100),
        (Some(1), Some(1), Some(0..=1), Some(_)) => good(len >= 24, len, 90),
        (None | Some(1), None, ..) | (Some(1), Some(0..=1), None, _) | (Some(1), Some(0..=1), _, None) => Header::Short,
        _ => Header::Bad,
    }
}

/// Login request: opcode 0x43, versions 0, text keys that name the initiator.
fn iscsi_client(head: &[u8]) -> Header {
    match (head, head.get(48..)) {
        ([0x43, _, 0, 0, 0, size @ ..], Some(text)) => {
            let len = size.iter().take(3).fold(0, |len, byte| len << 8 | usize::from(*byte));
            let keys = text.get(..len.min(text.len())).unwrap_or_default();
            match holds(keys, "InitiatorName=") || holds(keys, "AuthMethod=") || holds(keys, "HeaderDigest=") {
                true => Header::Good { len: usize::MAX, bits: 120 },
                false if text.len() < len => Header::Short,
                false => Header::Bad,
            }
        }
        ([], _)
        | ([0x43], _)
        | ([0x43, _], _)
        | ([0x43, _, 0], _)
        | ([0x43, _, 0, 0], _)
        | ([0x43, _, 0, 0, 0, ..], None) => Header::Short,
        _ => Header::Bad,
    }
}

/// Login response: opcode 0x23, versions 0.
fn iscsi_server(head: &[u8]) -> Header {
    match *head {
        [] | [0x23] | [0x23, _] | [0x23, _, 0] | [0x23, _, 0, 0] => Header::Short,
        [0x23, _, 0, 0, 0, ..] => Header::Good { len: usize::MAX, bits: 32 },
        _ => Header::Bad,
    }
}

/// Commands 1 to 5 with a queue name; of a job, control and data file with their sizes.
fn lpd_client(head: &[u8]) -> Header {
    let Some(end) = head.iter().take(256).position(|byte| *byte == b'\n') else {
        let ok = match head {
            [] => true,
            [1..=5, name @ ..] => name.len() < 255 && name.iter().all(|byte| *byte >= 0x20),
            _ => false,
        };
        return if ok { Header::Short } else { Header::Bad };
    };
    match head.get(..end).unwrap_or_default() {
        [2 | 3, rest @ ..] if holds(rest, " cfA") || holds(rest, " dfA") => {
            let size = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            good(size > 0, usize::MAX, 64)
        }
        [1..=5, queue @ ..] => good(!queue.is_empty() && queue.iter().all(|byte| *byte >= 0x20), end + 1, 8),
        _ => Header::Bad,
    }
}

/// Acknowledgements: zeros.
fn lpd_server(head: &[u8]) -> Header {
    match head.first() {
        None => Header::Short,
        Some(byte) => good(*byte == 0, 1, 8),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::trial::check;
    use super::*;

    #[test]
    pub(crate) fn probe() {
        let call = b"\x80\0\0\x28\0\0\0\x01\0\0\0\0\0\0\0\x02\0\x01\x86\xa0\0\0\0\x02\0\0\0\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        let reply = b"\x80\0\0\x1c\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x6f";
        let mut old = call.to_vec();
        old[15] = 1;
        let named = [b"\x81\0\0\x44\x20".as_slice(), &[b'C'; 32]].concat();
        check(
            &NETBIOS,
            &[
                ("refused", &named, b"\x83\0\0\x01\x82", "found"),
                ("accepted, and nothing more", &named, b"\x82\0\0\0", "likely"),
                ("no name", b"\x81\0\0\x44\x20\x01", b"", "no"),
            ],
        );
        check(
            &RPC,
            &[
                ("portmap", call, reply, "found"),
                ("call only", call, b"", "likely"),
                ("rpc version 1", &old, b"", "no"),
                ("no last fragment", b"\0\0\0\x28\0\0\0\x01", b"", "no"),
            ],
        );
    }

    #[test]
    pub(crate) fn disks_and_printers() {
        let head = |operation: u8, version: u8, text: &[u8]| {
            let len = u8::try_from(text.len()).unwrap();
            [&[operation, 0x87, 0, version, 0, 0, 0, len][..], &[0; 40], text].concat()
        };
        let login = head(0x43, 0, b"InitiatorName=iqn.2001-04.org.example:a\0");
        check(
            &ISCSI,
            &[
                ("login", &login, &head(0x23, 0, b"TargetPortalGroupTag=1\0"), "found"),
                ("login alone", &login, b"", "likely"),
                ("keys of something else", &head(0x43, 0, b"Name=a\0"), b"", "no"),
                ("version 1", &head(0x43, 1, b"InitiatorName=a\0"), b"", "no"),
                ("a command outside of a login", &head(0x01, 0, b""), b"", "no"),
            ],
        );
        check(
            &LPD,
            &[
                ("job", b"\x02lp\n\x02120 cfA001host\n", b"\0\0", "found"),
                ("queue alone", b"\x02lp\n", b"\0", "more"),
                ("command 6", b"\x06lp\n", b"", "no"),
                ("no queue", b"\x02\n", b"", "no"),
                ("refused in text", b"\x02lp\n\x02120 cfA001host\n", b"lpd: no\n", "no"),
            ],
        );
    }
}
