//! What happens to one batch: decoding in pieces, fragments, delivery to the shards.

use rayon::prelude::*;

use crate::capture::{Batch, Frame};
use crate::flow::{Arrival, RUN, SHARDS, Shard, shard_of};
use crate::model::{Class, Counts, FlowKey, Loss, Seed, Steps, Tunnel};
use crate::net::fragments::{self, Datagram, Pool};
use crate::net::{self, Decoded, Fragment, Packet};
use crate::tally::Tally;

/// What the frames of one file amount to.
#[derive(Debug, Default)]
pub(super) struct Sums {
    pub(super) packets: u64,
    pub(super) wire_bytes: u64,
    pub(super) captured_bytes: u64,
    pub(super) cut_short: u64,
    pub(super) first_ns: Option<i64>,
    pub(super) last_ns: Option<i64>,
}

impl Sums {
    fn of(frames: &[Frame]) -> Self {
        let sum = |bytes: fn(&Frame) -> u32| frames.iter().map(|frame| u64::from(bytes(frame))).sum();
        Self {
            packets: frames.len() as u64,
            wire_bytes: sum(|frame| frame.wire_len),
            captured_bytes: sum(|frame| frame.captured_len),
            cut_short: sum(|frame| u32::from(frame.captured_len < frame.wire_len)),
            first_ns: frames.iter().map(|frame| frame.time_ns).min(),
            last_ns: frames.iter().map(|frame| frame.time_ns).max(),
        }
    }

    fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.wire_bytes += other.wire_bytes;
        self.captured_bytes += other.captured_bytes;
        self.cut_short += other.cut_short;
        self.first_ns = [self.first_ns, other.first_ns].into_iter().flatten().min();
        self.last_ns = self.last_ns.max(other.last_ns);
    }
}

/// A packet and where its frame is in the batch.
struct Item {
    packet: Packet,
    hash: u32,
    frame: u32,
}

/// A run of frames, decoded by one thread.
pub(super) struct Piece {
    first_frame: u64,
    lists: Vec<Vec<Item>>,
    fragments: Vec<(u32, Fragment)>,
    loose: Vec<(Class, &'static str, Counts)>,
    undecoded: Vec<(Loss, Counts)>,
    tunnels: Vec<(Tunnel, Counts)>,
    /// Frames outside flows by second, `None` for those that could not be read.
    times: Vec<((i64, Option<Class>), Counts)>,
    sums: Sums,
}

/// A packet put together from fragments, or what was left of one.
pub(super) struct Late {
    /// Frame after which it is due.
    frame: u64,
    /// Frame of its first fragment.
    first_frame: u64,
    hash: u32,
    /// The shard of its flow.
    shard: usize,
    frames: u32,
    wire_len: u64,
    time_ns: i64,
    packet: Packet,
    data: Vec<u8>,
}

/// How packets find their flows.
#[derive(Clone, Copy)]
pub(super) struct Keys {
    /// Shards in use, 1 to [`SHARDS`].
    pub(super) shards: usize,
    /// What keys are hashed with.
    pub(super) seed: Seed,
}

impl Keys {
    fn shard(self, key: &FlowKey) -> usize {
        shard_of(key.shard_hash()) * self.shards / SHARDS
    }
}

/// Frames that are decoded in one go: enough to be worth a task, few enough to spread a batch over all threads.
const PIECE: std::ops::RangeInclusive<usize> = 256..=1024;

/// Frames whose headers are fetched together.
const AHEAD: usize = 16;

impl Piece {
    fn new() -> Self {
        Self {
            first_frame: 0,
            lists: std::iter::repeat_with(Vec::new).take(SHARDS).collect(),
            fragments: Vec::new(),
            loose: Vec::new(),
            undecoded: Vec::new(),
            tunnels: Vec::new(),
            times: Vec::new(),
            sums: Sums::default(),
        }
    }

    fn clear(&mut self) {
        self.lists.iter_mut().for_each(Vec::clear);
        self.fragments.clear();
        self.loose.clear();
        self.undecoded.clear();
        self.tunnels.clear();
        self.times.clear();
    }

    /// Adds what stands outside flows to the sums.
    pub(super) fn add_to(&mut self, tally: &mut Tally, sums: &mut Sums) {
        for (class, name, counts) in self.loose.drain(..) {
            tally.add_frames(class, name, counts);
        }
        for (loss, counts) in self.undecoded.drain(..) {
            tally.add_undecoded(loss, counts);
        }
        for ((time_ns, class), counts) in self.times.drain(..) {
            match class {
                Some(class) => tally.timeline.add(time_ns, class, counts),
                None => tally.timeline.add_undecoded(time_ns, counts),
            }
        }
        for (tunnel, counts) in self.tunnels.drain(..) {
            tally.add_tunnel(net::TunnelKind::of(tunnel).map_or("unknown", |kind| kind.name), counts);
        }
        sums.add(&self.sums);
    }

    fn decode(&mut self, batch: &Batch, frames: &[Frame], first: u32, keys: Keys) {
        self.clear();
        self.sums = Sums::of(frames);
        for (run, first) in frames.chunks(AHEAD).zip((first..).step_by(AHEAD)) {
            std::hint::black_box(touch(batch, run));
            self.decode_run(batch, run, first, keys);
        }
    }

    fn decode_run(&mut self, batch: &Batch, frames: &[Frame], first: u32, keys: Keys) {
        for (frame, number) in frames.iter().zip(first..) {
            let data = captured(batch, frame);
            if let Some(packet) = net::plain(frame.link_type, data, frame.wire_len) {
                self.keep(packet, number, keys);
                continue;
            }
            let counts = Counts { packets: 1, wire_bytes: u64::from(frame.wire_len), payload_bytes: 0 };
            let (class, name, tunnels) = match net::decode_other(frame.link_type, data, frame.wire_len) {
                Decoded::Packet(packet) => {
                    if packet.tunnels[0] != Tunnel::default() {
                        self.count_tunnels(packet.tunnels, counts);
                    }
                    self.keep(packet, number, keys);
                    continue;
                }
                Decoded::Fragment(fragment) => {
                    self.count_tunnels(fragment.tunnels, counts);
                    self.fragments.push((number, fragment));
                    continue;
                }
                Decoded::Undecoded(loss) => {
                    add(&mut self.undecoded, loss, counts);
                    add(&mut self.times, (second(frame.time_ns), None), counts);
                    continue;
                }
                Decoded::Control(name, tunnels) => (Class::Control, name, tunnels),
                Decoded::Plain(name, tunnels) => (Class::Plaintext, name, tunnels),
                Decoded::Sealed(name, tunnels) => (Class::Encrypted, name, tunnels),
                Decoded::Opaque(name, tunnels) => (Class::Unknown, name, tunnels),
            };
            self.count_tunnels(tunnels, counts);
            add(&mut self.times, (second(frame.time_ns), Some(class)), counts);
            match self.loose.iter_mut().find(|(other, same, _)| *other == class && *same == name) {
                Some((_, _, sum)) => sum.add(counts),
                None => self.loose.push((class, name, counts)),
            }
        }
    }

    /// Keeps a packet for its shard.
    #[inline(always)]
    fn keep(&mut self, packet: Packet, frame: u32, keys: Keys) {
        let hash = packet.key.hash_with(keys.seed);
        self.lists[keys.shard(&packet.key)].push(Item { packet, hash, frame });
    }

    fn count_tunnels(&mut self, tunnels: [Tunnel; 6], counts: Counts) {
        for (i, tunnel) in tunnels.iter().enumerate() {
            // A frame in two layers of one kind counts once under it.
            if *tunnel != Tunnel::default() && !tunnels[..i].contains(tunnel) {
                add(&mut self.tunnels, *tunnel, counts);
            }
        }
    }
}

fn add<K: PartialEq>(list: &mut Vec<(K, Counts)>, key: K, counts: Counts) {
    match list.iter_mut().rev().find(|(other, _)| *other == key) {
        Some((_, sum)) => sum.add(counts),
        None => list.push((key, counts)),
    }
}

/// The second in which `time_ns` lies: no interval is finer.
fn second(time_ns: i64) -> i64 {
    Steps::Every(1).start_ns(0, time_ns)
}

/// Reads a byte of the first two cache lines of several frames, so that their cache misses overlap. The sum keeps the
/// reads alive.
fn touch(batch: &Batch, frames: &[Frame]) -> u8 {
    let byte = |at: usize| batch.data.get(at).copied().unwrap_or_default();
    frames.iter().fold(0, |sum, frame| sum ^ byte(frame.start as usize) ^ byte(frame.start as usize + 48))
}

fn captured<'a>(batch: &'a Batch, frame: &Frame) -> &'a [u8] {
    let start = frame.start as usize;
    batch.data.get(start..start + frame.captured_len as usize).unwrap_or_default()
}

/// Decodes a batch into as many of `pieces` as it takes; gives their number.
pub(super) fn decode(batch: &Batch, first_frame: u64, keys: Keys, pieces: &mut Vec<Piece>) -> usize {
    let piece = (batch.frames.len() / (4 * rayon::current_num_threads())).clamp(*PIECE.start(), *PIECE.end());
    let used = batch.frames.len().div_ceil(piece);
    while pieces.len() < used {
        pieces.push(Piece::new());
    }
    let run = |(i, (frames, taken)): (usize, (&[Frame], &mut Piece))| {
        taken.first_frame = first_frame;
        taken.decode(batch, frames, (i * piece) as u32, keys);
    };
    if used == 1 {
        batch.frames.chunks(piece).zip(pieces.iter_mut()).enumerate().for_each(run);
    } else {
        batch.frames.par_chunks(piece).zip(pieces.par_iter_mut()).enumerate().with_max_len(1).for_each(run);
    }
    used
}

/// Puts fragments together, in capture order. What turns out to be no packet goes to `tally` at once.
pub(super) fn put_together(
    batch: &Batch,
    pieces: &[Piece],
    pool: &mut Pool,
    keys: Keys,
    tally: &mut Tally,
) -> Vec<Late> {
    let mut done = Vec::new();
    let mut late = Vec::new();
    for piece in pieces {
        for (number, fragment) in &piece.fragments {
            let Some(frame) = batch.frames.get(*number as usize) else { continue };
            let start = fragment.data_start as usize;
            let end = start.saturating_add(fragment.data_captured as usize);
            let data = captured(batch, frame).get(start..end).unwrap_or_default();
            let frame_number = piece.first_frame + u64::from(*number);
            let arrival = fragments::Arrival { frame: frame_number, time_ns: frame.time_ns, wire_len: frame.wire_len };
            pool.push(fragment, data, arrival, &mut done);
            late.extend(done.drain(..).filter_map(|datagram| Late::new(datagram, frame_number, keys, tally)));
        }
    }
    late
}

/// What is left of fragments when the capture has ended.
pub(super) fn leftovers(pool: &mut Pool, last_frame: u64, keys: Keys, tally: &mut Tally) -> Vec<Late> {
    let mut done = Vec::new();
    pool.finish(&mut done);
    done.into_iter().filter_map(|datagram| Late::new(datagram, last_frame, keys, tally)).collect()
}

/// Adds frames that belong to no flow; gives the packet when they do.
fn loose(decoded: Decoded, counts: Counts, time_ns: i64, tally: &mut Tally) -> Option<Packet> {
    let (class, name) = match decoded {
        Decoded::Packet(packet) => return Some(packet),
        Decoded::Undecoded(loss) => {
            tally.add_undecoded(loss, counts);
            tally.timeline.add_undecoded(time_ns, counts);
            return None;
        }
        Decoded::Control(name, _) => (Class::Control, name),
        Decoded::Plain(name, _) => (Class::Plaintext, name),
        Decoded::Sealed(name, _) => (Class::Encrypted, name),
        Decoded::Opaque(name, _) => (Class::Unknown, name),
        // The pool never hands a fragment back; were it to, its frames would still be counted.
        Decoded::Fragment(_) => (Class::Unknown, "fragment"),
    };
    tally.add_frames(class, name, counts);
    tally.timeline.add(time_ns, class, counts);
    None
}

/// The captured payload of a packet.
#[inline]
fn payload<'a>(batch: &'a Batch, frame: &Frame, packet: &Packet) -> &'a [u8] {
    let start = (frame.start + packet.payload_start) as usize;
    batch.data.get(start..start + packet.payload_captured as usize).unwrap_or_default()
}

/// Hands the packets of one shard over, in capture order. `false` when there were none.
pub(super) fn serve(shard: &mut Shard, number: usize, batch: &Batch, pieces: &[Piece], late: &[Late]) -> bool {
    let mut late = late.iter().filter(|late| late.shard == number).peekable();
    let mut run = Vec::with_capacity(RUN);
    let mut any = false;
    for piece in pieces {
        for item in &piece.lists[number] {
            let Some(frame) = batch.frames.get(item.frame as usize) else { continue };
            let number = piece.first_frame + u64::from(item.frame);
            while let Some(late) = late.next_if(|late| late.frame <= number) {
                run.push(late.arrival());
            }
            if run.len() >= RUN {
                shard.serve(&run);
                run.clear();
                any = true;
            }
            run.push(Arrival {
                packet: &item.packet,
                hash: item.hash,
                frame: number,
                frames: 1,
                time_ns: frame.time_ns,
                wire_len: u64::from(frame.wire_len),
                payload: payload(batch, frame, &item.packet),
            });
        }
    }
    run.extend(late.map(Late::arrival));
    shard.serve(&run);
    any || !run.is_empty()
}

/// Hands over what was left of fragments when the capture ended.
pub(super) fn serve_late(shard: &mut Shard, number: usize, late: &[Late]) {
    let arrivals: Vec<_> = late.iter().filter(|late| late.shard == number).map(Late::arrival).collect();
    shard.serve(&arrivals);
}

impl Late {
    /// The packet of a datagram, due at frame number `frame`.
    fn new(datagram: Datagram, frame: u64, keys: Keys, tally: &mut Tally) -> Option<Self> {
        let counts = Counts { packets: datagram.frames, wire_bytes: datagram.wire_bytes, payload_bytes: 0 };
        if datagram.unmatched {
            tally.add_loss(Loss::UnmatchedFragments, datagram.frames);
        }
        let packet = loose(datagram.decoded, counts, datagram.last_ns, tally)?;
        Some(Self {
            frame,
            first_frame: datagram.first_frame,
            hash: packet.key.hash_with(keys.seed),
            shard: keys.shard(&packet.key),
            frames: u32::try_from(datagram.frames).unwrap_or(u32::MAX),
            wire_len: datagram.wire_bytes,
            time_ns: datagram.last_ns,
            packet,
            data: datagram.data,
        })
    }

    fn arrival(&self) -> Arrival<'_> {
        let start = self.packet.payload_start as usize;
        let end = start + self.packet.payload_captured as usize;
        Arrival {
            packet: &self.packet,
            hash: self.hash,
            frame: self.first_frame,
            frames: self.frames,
            time_ns: self.time_ns,
            wire_len: self.wire_len,
            payload: self.data.get(start..end).unwrap_or_default(),
        }
    }
}

/// The age up to which the oldest flows have to go so that `excess` bytes become free.
///
/// Ages are spread over buckets between the oldest and the youngest; whole buckets go.
pub(super) fn oldest<'a>(shards: impl Iterator<Item = &'a Shard> + Clone, excess: usize) -> (i64, u64) {
    const BUCKETS: usize = 4096;
    let ages = || shards.clone().flat_map(Shard::ages);
    let (oldest, youngest) =
        ages().fold((i64::MAX, i64::MIN), |(low, high), (time, _)| (low.min(time), high.max(time)));
    let by_time = oldest < youngest;
    let key = |time: i64, frame: u64| if by_time { time.wrapping_sub(oldest) as u64 } else { frame };
    let (low, high) = if by_time {
        (0, youngest.wrapping_sub(oldest) as u64)
    } else {
        ages().fold((u64::MAX, 0), |(low, high), (_, frame)| (low.min(frame), high.max(frame)))
    };
    let width = (high.saturating_sub(low) / BUCKETS as u64).saturating_add(1);
    let mut buckets = vec![0usize; BUCKETS];
    for (time, frame, bytes) in shards.flat_map(Shard::weights) {
        if let Some(bucket) = buckets.get_mut((key(time, frame).saturating_sub(low) / width) as usize) {
            *bucket += bytes;
        }
    }
    let mut freed = 0;
    let mut last = 0u64;
    for bytes in &buckets {
        if freed >= excess {
            break;
        }
        freed += bytes;
        last += 1;
    }
    let upto = low.saturating_add(width.saturating_mul(last).saturating_sub(1));
    if by_time { (oldest.wrapping_add(upto as i64), u64::MAX) } else { (oldest, upto) }
}
