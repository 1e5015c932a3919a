//! pcapng: sections of blocks; interfaces are described before the packets that refer to them.
//!
//! Source: draft-ietf-opsawg-pcapng (sections 3 and 4; the obsolete Packet Block in its appendix).
//! Packet blocks are walked by hand, because they are most of the file; option lists are split by `pcap-parser`.
//! Lenient where writers are known to err: a block length without its padding is rounded up, a captured length that
//! exceeds its block is cut to the block. A block that ends elsewhere than its two lengths say is where reading stops.
//! Not handled: time zones (`if_tzone`), FCS lengths, secrets and names in the file, compressed custom blocks.

use std::collections::BTreeSet;

use pcap_parser::{PcapError, parse_option_be, parse_option_le};

use super::{Frame, MAX_FRAME, Step, ledger::Ledger, resolution::Resolution};

/// State of the section being read.
#[derive(Debug)]
pub(super) struct Pcapng {
    big_endian: bool,
    interfaces: Vec<Interface>,
    /// Link types of all interfaces so far, sections before this one included.
    pub(super) link_types: BTreeSet<u16>,
    /// Names of all interfaces so far that have one.
    pub(super) names: BTreeSet<String>,
    /// Frames that name an interface the section has not described.
    pub(super) without_interface: u64,
    /// Blocks longer than this are skipped unread, so that no length field decides how much memory is taken.
    max_block: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Interface {
    link_type: u16,
    snap_len: u32,
    resolution: Resolution,
    /// The latest statistics block's count of drops; it runs from the start of the capture.
    reported_drops: u64,
    /// Sum of the drops that packets tell of one by one.
    packet_drops: u64,
}

impl Interface {
    /// Both counts describe the same drops, so they are not added.
    fn drops(&self) -> u64 {
        self.reported_drops.max(self.packet_drops)
    }
}

/// Bytes that tell a pcapng file and its version. Unit: bytes.
pub(super) const HEADER_LEN: usize = 16;

/// Room for the options of a packet block beside its frame. Unit: bytes.
const MAX_OPTIONS: u64 = 1 << 20;
/// More interfaces than a 16-bit interface number tells apart are not kept.
const MAX_INTERFACES: usize = 1 << 16;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

/// A block header: type, length.
const BLOCK_HEAD: usize = 8;
/// The smallest block: header and the length once more.
const MIN_BLOCK: u32 = 12;

impl Pcapng {
    /// Reads the first section header, as far as byte order and version; `None` when `head` is no pcapng,
    /// `Some(Err)` with the reason when it is one that cannot be read.
    pub(super) fn recognise(head: &[u8], frame_bytes: u32) -> Option<Result<Self, String>> {
        let (head, _) = head.split_first_chunk::<HEADER_LEN>()?;
        let [kind, _, order, version] = head.as_chunks::<4>().0 else { return None };
        if u32::from_be_bytes(*kind) != SECTION_HEADER {
            return None;
        }
        Some(section_order(*order, *version).map(|big_endian| Self {
            big_endian,
            interfaces: Vec::new(),
            link_types: BTreeSet::new(),
            names: BTreeSet::new(),
            without_interface: 0,
            max_block: u64::from(frame_bytes.min(MAX_FRAME)) + MAX_OPTIONS,
        }))
    }

    /// Drops of the interfaces of the section being read.
    pub(super) fn drops(&self) -> u64 {
        self.interfaces.iter().fold(0, |sum, interface| sum.saturating_add(interface.drops()))
    }

    /// Takes blocks from `data` at `at` on.
    pub(super) fn walk(&mut self, data: &[u8], mut at: usize, ledger: &mut Ledger) -> Step {
        loop {
            let ends = if self.big_endian {
                self.plain_packets::<true>(data, &mut at, ledger)
            } else {
                self.plain_packets::<false>(data, &mut at, ledger)
            };
            if ends {
                return Step::CheckDue { at };
            }
            let rest = data.get(at..).unwrap_or_default();
            let Some((head, _)) = rest.split_first_chunk::<{ MIN_BLOCK as usize }>() else {
                return Step::More { at, want: MIN_BLOCK as usize };
            };
            let [kind, length, third] = head.as_chunks::<4>().0 else {
                return Step::More { at, want: MIN_BLOCK as usize };
            };
            let kind = self.word(*kind);
            if kind == SECTION_HEADER {
                // The byte order of the length is that of the section it opens.
                self.big_endian = third == &BYTE_ORDER_MAGIC.to_be_bytes();
            }
            let length = self.word(*length);
            if length < minimum(kind) {
                let what = format!("a block (type {kind:#x}) of {length} bytes; expected at least {}", minimum(kind));
                return Step::Broken { at, what };
            }
            let padded = u64::from(length).next_multiple_of(4);
            if padded > self.max_block || !is_read(kind) {
                if holds_packet(kind) {
                    ledger.skipped_blocks += 1;
                }
                if matches!(kind, SECTION_HEADER | INTERFACE_DESCRIPTION) {
                    let most = self.max_block;
                    let what = format!("a block (type {kind:#x}) of {length} bytes; expected at most {most}");
                    return Step::Broken { at, what };
                }
                if padded > rest.len() as u64 {
                    return Step::Skip { at, len: padded };
                }
                at += padded as usize;
                continue;
            }
            let padded = padded as usize;
            let Some(block) = rest.get(..padded) else { return Step::More { at, want: padded } };
            let Some((body, trailer)) = block.get(BLOCK_HEAD..).and_then(|block| block.split_last_chunk::<4>()) else {
                return Step::More { at, want: padded };
            };
            let trailer = self.word(*trailer);
            if trailer != length {
                let what =
                    format!("a block of {length} bytes that ends with length {trailer}; expected the same length");
                return Step::Broken { at, what };
            }
            let body_at = at + BLOCK_HEAD;
            let ends = match kind {
                ENHANCED_PACKET => self.enhanced(body, body_at, ledger),
                SIMPLE_PACKET => self.simple(body, body_at, ledger),
                OBSOLETE_PACKET => self.obsolete(body, body_at, ledger),
                INTERFACE_DESCRIPTION => self.describe(body, ledger),
                INTERFACE_STATISTICS => self.statistics(body),
                _ => match self.open_section(body, ledger) {
                    Ok(()) => false,
                    Err(what) => return Step::Broken { at, what },
                },
            };
            at += padded;
            if ends {
                return Step::CheckDue { at };
            }
        }
    }

    /// Takes Enhanced Packet Blocks for as long as they are as nearly all are: whole, of a known interface, without an
    /// option that counts. Anything else is left to the careful path. `true` when an epoch ends.
    fn plain_packets<const BIG: bool>(&self, data: &[u8], at: &mut usize, ledger: &mut Ledger) -> bool {
        const FIXED: usize = BLOCK_HEAD + 20;
        let word = |bytes: [u8; 4]| if BIG { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
        while let Some((fixed, content)) = data.get(*at..).and_then(|rest| rest.split_first_chunk::<FIXED>()) {
            let [kind, length, interface, high, low, captured, original] = fixed.as_chunks::<4>().0 else { break };
            let (block_len, captured) = (word(*length), word(*captured));
            if word(*kind) != ENHANCED_PACKET
                || !block_len.is_multiple_of(4)
                || u64::from(block_len) > self.max_block
                || u64::from(captured) > self.max_block - MAX_OPTIONS
            {
                break;
            }
            let block_len = block_len as usize;
            let behind = content.get((captured as usize).next_multiple_of(4)..block_len.saturating_sub(FIXED));
            let Some((options, trailer)) = behind.and_then(|behind| behind.split_last_chunk::<4>()) else { break };
            let Some(interface) = self.interfaces.get(word(*interface) as usize) else { break };
            if trailer != length || (!options.is_empty() && tells_of_drops::<BIG>(options)) {
                break;
            }
            let frame = Frame {
                time_ns: interface.resolution.nanoseconds(u64::from(word(*high)) << 32 | u64::from(word(*low))),
                start: (*at + FIXED) as u32,
                captured_len: captured,
                wire_len: word(*original),
                link_type: interface.link_type,
            };
            *at += block_len;
            if ledger.push(frame) {
                return true;
            }
        }
        false
    }

    /// Enhanced Packet Block (draft section 4.3), with or without options; `true` when an epoch ends.
    fn enhanced(&mut self, body: &[u8], body_at: usize, ledger: &mut Ledger) -> bool {
        const FIXED: usize = 20;
        let Some((fixed, content)) = body.split_first_chunk::<FIXED>() else { return false };
        let [interface, high, low, captured, original] = fixed.as_chunks::<4>().0 else { return false };
        let id = self.word(*interface) as usize;
        let ticks = u64::from(self.word(*high)) << 32 | u64::from(self.word(*low));
        let captured = self.word(*captured);
        let original = self.word(*original);
        let options = content.get((captured as usize).next_multiple_of(4)..).unwrap_or_default();
        if !options.is_empty() {
            self.packet_drops(id, options);
        }
        let Some(interface) = self.interfaces.get(id) else { return self.skip_packet(ledger) };
        ledger.push(Frame {
            time_ns: interface.resolution.nanoseconds(ticks),
            start: (body_at + FIXED) as u32,
            captured_len: captured.min(content.len() as u32),
            wire_len: original,
            link_type: interface.link_type,
        })
    }

    /// Simple Packet Block (draft section 4.4): the first interface, no time stamp.
    fn simple(&mut self, body: &[u8], body_at: usize, ledger: &mut Ledger) -> bool {
        const FIXED: usize = 4;
        let Some((original, content)) = body.split_first_chunk::<FIXED>() else { return false };
        let Some(interface) = self.interfaces.first() else { return self.skip_packet(ledger) };
        let original = self.word(*original);
        let snap_len = if interface.snap_len == 0 { u32::MAX } else { interface.snap_len };
        ledger.push_untimed(Frame {
            time_ns: 0,
            start: (body_at + FIXED) as u32,
            captured_len: original.min(snap_len).min(content.len() as u32),
            wire_len: original,
            link_type: interface.link_type,
        })
    }

    /// The obsolete Packet Block: a 16-bit interface and the drops since the packet before.
    fn obsolete(&mut self, body: &[u8], body_at: usize, ledger: &mut Ledger) -> bool {
        const FIXED: usize = 20;
        const DROPS_UNKNOWN: u16 = 0xffff;
        let Some((fixed, content)) = body.split_first_chunk::<FIXED>() else { return false };
        let [[a, b, c, d], high, low, captured, original] = fixed.as_chunks::<4>().0 else { return false };
        let id = usize::from(self.half([*a, *b]));
        let drops = self.half([*c, *d]);
        let ticks = u64::from(self.word(*high)) << 32 | u64::from(self.word(*low));
        let (captured, original) = (self.word(*captured), self.word(*original));
        let Some(interface) = self.interfaces.get_mut(id) else { return self.skip_packet(ledger) };
        if drops != DROPS_UNKNOWN {
            interface.packet_drops = interface.packet_drops.saturating_add(u64::from(drops));
        }
        ledger.push(Frame {
            time_ns: interface.resolution.nanoseconds(ticks),
            start: (body_at + FIXED) as u32,
            captured_len: captured.min(content.len() as u32),
            wire_len: original,
            link_type: interface.link_type,
        })
    }

    /// Counts a packet whose interface is not described: without a link type it cannot be read.
    #[cold]
    fn skip_packet(&mut self, ledger: &mut Ledger) -> bool {
        self.without_interface += 1;
        ledger.skipped_blocks += 1;
        false
    }

    /// Adds up `epb_dropcount` (draft section 4.3).
    #[cold]
    fn packet_drops(&mut self, id: usize, options: &[u8]) {
        let mut drops: u64 = 0;
        self.options(options, |code, value| {
            if let (DROP_COUNT, Ok(value)) = (code, value.try_into()) {
                drops = drops.saturating_add(self.long(value));
            }
        });
        if let Some(interface) = self.interfaces.get_mut(id) {
            interface.packet_drops = interface.packet_drops.saturating_add(drops);
        }
    }

    /// Interface Description Block (draft section 4.2).
    fn describe(&mut self, body: &[u8], ledger: &mut Ledger) -> bool {
        const NAME: u16 = 2;
        const MOST_NAMES: usize = 64;
        const TIME_RESOLUTION: u16 = 9;
        const TIME_OFFSET: u16 = 14;
        let Some((fixed, options)) = body.split_first_chunk::<8>() else { return false };
        let [[a, b, _, _], snap_len] = fixed.as_chunks::<4>().0 else { return false };
        if self.interfaces.len() >= MAX_INTERFACES {
            ledger.skipped_blocks += 1;
            return false;
        }
        let (mut resolution, mut offset, mut name) = (6, 0, None);
        self.options(options, |code, value| match (code, value) {
            (NAME, value) => name = Some(String::from_utf8_lossy(value).trim_end_matches('\0').to_owned()),
            (TIME_RESOLUTION, [stored]) => resolution = *stored,
            (TIME_OFFSET, value) => {
                if let Ok(value) = value.try_into() {
                    offset = self.long(value).cast_signed();
                }
            }
            _ => {}
        });
        if self.names.len() < MOST_NAMES {
            self.names.extend(name);
        }
        let link_type = self.half([*a, *b]);
        self.link_types.insert(link_type);
        self.interfaces.push(Interface {
            link_type,
            snap_len: self.word(*snap_len),
            resolution: Resolution::new(resolution, offset),
            ..Interface::default()
        });
        false
    }

    /// Interface Statistics Block (draft section 4.6). Counts run from the start of the capture: the last one holds.
    fn statistics(&mut self, body: &[u8]) -> bool {
        const DROPPED_BY_INTERFACE: u16 = 5;
        const DROPPED_BY_SYSTEM: u16 = 7;
        let Some((fixed, options)) = body.split_first_chunk::<12>() else { return false };
        let [id, ..] = fixed.as_chunks::<4>().0 else { return false };
        let id = self.word(*id) as usize;
        let (mut interface_drops, mut system_drops) = (None, None);
        self.options(options, |code, value| {
            let count = value.try_into().ok().map(|value| self.long(value));
            match code {
                DROPPED_BY_INTERFACE => interface_drops = count,
                DROPPED_BY_SYSTEM => system_drops = count,
                _ => {}
            }
        });
        if let (Some(interface), true) = (self.interfaces.get_mut(id), interface_drops.or(system_drops).is_some()) {
            interface.reported_drops = interface_drops.unwrap_or(0).saturating_add(system_drops.unwrap_or(0));
        }
        false
    }

    /// Section Header Block (draft section 4.1): interfaces are counted anew.
    fn open_section(&mut self, body: &[u8], ledger: &mut Ledger) -> Result<(), String> {
        let [order, version, ..] = body.as_chunks::<4>().0 else { return Err("a section header cut short".into()) };
        self.big_endian = section_order(*order, *version)?;
        ledger.drops = ledger.drops.saturating_add(self.drops());
        self.interfaces.clear();
        Ok(())
    }

    /// Hands each option to `take` (draft section 3.5), up to the end mark or the first that does not fit.
    fn options(&self, mut options: &[u8], mut take: impl FnMut(u16, &[u8])) {
        const END: u16 = 0;
        loop {
            let parsed = if self.big_endian {
                parse_option_be::<PcapError<&[u8]>>(options)
            } else {
                parse_option_le::<PcapError<&[u8]>>(options)
            };
            let Ok((rest, option)) = parsed else { return };
            if option.code.0 == END {
                return;
            }
            take(option.code.0, option.value.get(..usize::from(option.len)).unwrap_or_default());
            options = rest;
        }
    }

    fn half(&self, bytes: [u8; 2]) -> u16 {
        if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    #[inline]
    fn word(&self, bytes: [u8; 4]) -> u32 {
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    fn long(&self, bytes: [u8; 8]) -> u64 {
        if self.big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) }
    }
}

/// The option `epb_dropcount`.
const DROP_COUNT: u16 = 4;

/// Whether an option of a packet says that others were dropped. The others (flags, a hash, a number, a comment) stand in
/// captures packet by packet, and say nothing that counts.
fn tells_of_drops<const BIG: bool>(mut options: &[u8]) -> bool {
    let half = |bytes: [u8; 2]| if BIG { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) };
    while let [a, b, c, d, rest @ ..] = options {
        match half([*a, *b]) {
            0 => return false,
            DROP_COUNT => return true,
            _ => options = rest.get(usize::from(half([*c, *d])).next_multiple_of(4)..).unwrap_or_default(),
        }
    }
    false
}

const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;

/// Whether the section is big endian; the reason when its byte order or version is not known.
fn section_order(order: [u8; 4], version: [u8; 4]) -> Result<bool, String> {
    let [a, b, c, d] = version;
    let (big_endian, major, minor) = match (u32::from_be_bytes(order), u32::from_le_bytes(order)) {
        (BYTE_ORDER_MAGIC, _) => (true, u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])),
        (_, BYTE_ORDER_MAGIC) => (false, u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])),
        (found, _) => return Err(format!("pcapng byte-order magic {found:#010x}; expected {BYTE_ORDER_MAGIC:#010x}")),
    };
    // Version 1.2 was written by mistake and means 1.0 (draft section 4.1).
    match (major, minor) {
        (1, 0 | 2) => Ok(big_endian),
        _ => Err(format!("pcapng version {major}.{minor}; expected 1.0")),
    }
}

/// Whether the block's content is looked at.
fn is_read(kind: u32) -> bool {
    matches!(
        kind,
        SECTION_HEADER
            | INTERFACE_DESCRIPTION
            | OBSOLETE_PACKET
            | SIMPLE_PACKET
            | INTERFACE_STATISTICS
            | ENHANCED_PACKET
    )
}

fn holds_packet(kind: u32) -> bool {
    matches!(kind, OBSOLETE_PACKET | SIMPLE_PACKET | ENHANCED_PACKET)
}

/// The smallest total length of a block of this type, fixed fields and both lengths counted.
fn minimum(kind: u32) -> u32 {
    MIN_BLOCK
        + match kind {
            SECTION_HEADER => 16,
            INTERFACE_DESCRIPTION => 8,
            OBSOLETE_PACKET | ENHANCED_PACKET => 20,
            SIMPLE_PACKET => 4,
            INTERFACE_STATISTICS => 12,
            _ => 0,
        }
}
