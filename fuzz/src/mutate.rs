//! Mutates a pcap file frame by frame and repairs what would otherwise stop the reader at the first header: record
//! lengths, IP and UDP lengths, IPv4 header checksums.

/// Bytes of the file header, and of a record header.
const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;

/// A small generator.
struct Noise(u64);

impl Noise {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }
}

/// A record: header and frame.
type Record = ([u8; RECORD_HEADER], Vec<u8>);

/// Mutates `data[..size]`; gives the new size, `max_size` at most. `bytes` mutates bytes without knowing what they are.
pub fn capture(
    data: &mut [u8],
    size: usize,
    max_size: usize,
    seed: u32,
    bytes: fn(&mut [u8], usize, usize) -> usize,
) -> usize {
    let mut noise = Noise(u64::from(seed));
    let parsed = data.get(..size).and_then(parse);
    let Some((header, mut records)) = parsed.filter(|(_, records)| !records.is_empty() && noise.below(8) != 0) else {
        return bytes(data, size, max_size);
    };
    let at = noise.below(records.len());
    let other = noise.below(records.len());
    match noise.below(8) {
        0 => {
            let copy = records[at].clone();
            records.insert(other, copy);
        }
        1 if records.len() > 1 => drop(records.remove(at)),
        2 => records.swap(at, other),
        3 => {
            let time = (noise.below(1 << 31) as u32).to_le_bytes();
            records[at].0[..4].copy_from_slice(&time);
        }
        4 => {
            // The payload in two segments of a stream, or in two datagrams.
            let (head, frame) = records[at].clone();
            let cut = noise.below(frame.len());
            if cut > 54 {
                records[at].1.truncate(cut);
                let mut rest = frame[..54].to_vec();
                rest.extend(&frame[cut..]);
                advance(&mut rest, (cut - 54) as u32);
                repair(&mut rest);
                records.insert(at + 1, (head, rest));
            }
        }
        _ => {
            let frame = &mut records[at].1;
            // Past the headers mostly: they are repaired, and what is behind them is less explored.
            let start = if noise.below(4) == 0 { 0 } else { frame.len().min(42) };
            let (len, room) = (frame.len() - start, frame.len() - start + 64);
            frame.resize(start + room, 0);
            let new = bytes(&mut frame[start..], len, room);
            frame.truncate(start + new);
        }
    }
    if noise.below(4) != 0 {
        let last = records.len() - 1;
        repair(&mut records[at.min(last)].1);
    }
    write(data, max_size, &header, &records)
}

fn parse(data: &[u8]) -> Option<(Vec<u8>, Vec<Record>)> {
    let (header, mut rest) = data.split_at_checked(FILE_HEADER)?;
    if !matches!(header, [0xd4, 0xc3, 0xb2, 0xa1, ..] | [0x4d, 0x3c, 0xb2, 0xa1, ..]) {
        return None;
    }
    let mut records = Vec::new();
    while let Some((head, behind)) = rest.split_first_chunk::<RECORD_HEADER>() {
        let len = u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize;
        let Some((frame, behind)) = behind.split_at_checked(len) else { break };
        records.push((*head, frame.to_vec()));
        rest = behind;
    }
    Some((header.to_vec(), records))
}

fn write(data: &mut [u8], max_size: usize, header: &[u8], records: &[Record]) -> usize {
    let mut out = header.to_vec();
    for (head, frame) in records {
        let mut head = *head;
        let captured = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
        let original = u32::from_le_bytes([head[12], head[13], head[14], head[15]]);
        let len = frame.len() as u32;
        head[8..12].copy_from_slice(&len.to_le_bytes());
        head[12..].copy_from_slice(&(len.saturating_add(original.saturating_sub(captured))).to_le_bytes());
        if out.len() + RECORD_HEADER + frame.len() > max_size {
            break;
        }
        out.extend(head);
        out.extend(frame);
    }
    let len = out.len().min(data.len());
    data[..len].copy_from_slice(&out[..len]);
    len
}

/// Moves the TCP sequence number of an IPv4 or IPv6 frame on.
fn advance(frame: &mut [u8], by: u32) {
    let transport = match frame {
        [_, _, _, _, _, _, _, _, _, _, _, _, 8, 0, 0x45, ..] if frame.get(23) == Some(&6) => 34,
        [_, _, _, _, _, _, _, _, _, _, _, _, 0x86, 0xdd, ..] if frame.get(20) == Some(&6) => 54,
        _ => return,
    };
    if let Some(field) = frame.get_mut(transport + 4..transport + 8) {
        let seq = u32::from_be_bytes([field[0], field[1], field[2], field[3]]);
        field.copy_from_slice(&seq.wrapping_add(by).to_be_bytes());
    }
}

/// Makes the lengths and the header checksum of an Ethernet frame with IP fit its size.
fn repair(frame: &mut [u8]) {
    let len = frame.len();
    let udp = match (frame.get(12..14), frame.get(14)) {
        (Some([8, 0]), Some(first)) if first >> 4 == 4 && len >= 34 => {
            frame[16..18].copy_from_slice(&((len - 14) as u16).to_be_bytes());
            frame[24..26].fill(0);
            let end = (14 + usize::from(frame[14] & 15) * 4).clamp(34, len);
            let mut sum = 0u32;
            for pair in frame[14..end].chunks_exact(2) {
                sum += u32::from(u16::from_be_bytes([pair[0], pair[1]]));
            }
            sum = (sum & 0xffff) + (sum >> 16);
            sum = (sum & 0xffff) + (sum >> 16);
            frame[24..26].copy_from_slice(&(!(sum as u16)).to_be_bytes());
            (frame[23] == 17).then_some(end)
        }
        (Some([0x86, 0xdd]), _) if len >= 54 => {
            frame[18..20].copy_from_slice(&((len - 54) as u16).to_be_bytes());
            (frame[20] == 17).then_some(54)
        }
        _ => None,
    };
    if let Some(start) = udp
        && let Some(field) = frame.get_mut(start + 4..start + 6)
    {
        field.copy_from_slice(&((len - start) as u16).to_be_bytes());
    }
}
