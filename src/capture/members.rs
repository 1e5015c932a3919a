//! Where the members of a compressed stream begin, found without decompressing it: what several threads can decompress
//! side by side has to be cut there.
//!
//! Sources: the SAM/BAM specification section 4.1 (BGZF: gzip members that tell their size), RFC 8878 section 3.1 (zstd
//! frames, whose blocks tell their sizes), the LZ4 frame format 1.6 (likewise), the streams of bzip2, which begin at a whole byte
//! with ten fixed bytes.
//! What BGZF says and where a bzip2 stream seems to begin may be wrong; whoever decompresses a member finds out.
//! Not handled: gzip members that do not tell their size and the blocks of one bzip2 stream (found only by
//! decompressing), the blocks of one zstd or lz4 frame (they share a checksum, mostly also their history), legacy lz4.

use super::decompress::Compression;

/// Walks over members from the start of a stream, or of a later member.
#[derive(Debug)]
pub(super) struct Walk {
    compression: Compression,
    /// Where the next header is, of a member or of a block within it.
    at: usize,
    /// The frame whose blocks are being walked over.
    frame: Option<Frame>,
}

/// What follows the blocks of a frame, and each of them. Unit: bytes.
#[derive(Clone, Copy, Debug)]
struct Frame {
    behind_block: usize,
    behind_frame: usize,
}

/// What a walk comes upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A member begins at this offset, with a header that can be one.
    Start(usize),
    /// More bytes are needed to tell.
    More,
    /// Where the next member begins cannot be told.
    Lost,
}

/// A header: how many bytes there are up to the next one, and the frame in which that is.
type Header = Result<(usize, Option<Frame>), Found>;

impl Walk {
    /// A walk over a stream of this format.
    pub(super) fn new(compression: Compression) -> Self {
        Self { compression, at: 0, frame: None }
    }

    /// Whether members of this format are looked for at all.
    pub(super) const fn is_known(compression: Compression) -> bool {
        !matches!(compression, Compression::Xz)
    }

    /// Goes on to the next member; `bytes` are the same as before, and more.
    pub(super) fn next(&mut self, bytes: &[u8]) -> Found {
        loop {
            let start = self.frame.is_none().then_some(self.at);
            let Some(rest) = bytes.get(self.at..) else { return Found::More };
            let header = match (self.compression, self.frame) {
                (Compression::Gzip, _) => bgzf(rest),
                (Compression::Zstd, None) => zstd_frame(rest),
                (Compression::Zstd, Some(frame)) => zstd_block(rest, frame),
                (Compression::Lz4, None) => lz4_frame(rest),
                (Compression::Lz4, Some(frame)) => lz4_block(rest, frame),
                (Compression::Bzip2, _) => return self.bzip2(bytes),
                (Compression::Xz, _) => Err(Found::Lost),
            };
            match header {
                Ok((len, frame)) => {
                    self.at = self.at.saturating_add(len);
                    self.frame = frame;
                }
                Err(found) => return found,
            }
            if let Some(start) = start {
                return Found::Start(start);
            }
        }
    }

    /// The bytes before `start` are gone.
    pub(super) fn cut(&mut self, start: usize) {
        self.at = self.at.saturating_sub(start);
    }

    /// The next place that looks like the beginning of a stream.
    fn bzip2(&mut self, bytes: &[u8]) -> Found {
        let rest = bytes.get(self.at..).unwrap_or_default();
        let begins =
            |window: &[u8]| matches!(window, [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59]);
        match rest.windows(BZIP2_START).position(begins) {
            Some(place) => {
                let start = self.at + place;
                self.at = start + 1;
                Found::Start(start)
            }
            None => {
                self.at += (rest.len() + 1).saturating_sub(BZIP2_START);
                Found::More
            }
        }
    }
}

/// Length of a stream header and the mark of the first block. Unit: bytes.
const BZIP2_START: usize = 10;

/// A gzip member that tells its size in the extra field `BC`.
fn bgzf(bytes: &[u8]) -> Header {
    const FIXED: usize = 12;
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED>() else { return Err(Found::More) };
    let [0x1f, 0x8b, 8, 4, .., low, high] = fixed else { return Err(Found::Lost) };
    let Some(mut extra) = rest.get(..usize::from(u16::from_le_bytes([*low, *high]))) else { return Err(Found::More) };
    while let [first, second, low, high, value @ ..] = extra {
        let len = usize::from(u16::from_le_bytes([*low, *high]));
        if let (b'B', b'C', Some([low, high])) = (first, second, value.get(..len)) {
            return Ok((usize::from(u16::from_le_bytes([*low, *high])) + 1, None));
        }
        extra = value.get(len..).unwrap_or_default();
    }
    Err(Found::Lost)
}

/// Length of the BGZF member at the start of `bytes`, as it says itself. Unit: bytes.
pub(super) fn bgzf_len(bytes: &[u8]) -> Option<usize> {
    bgzf(bytes).ok().map(|(len, _)| len)
}

/// A skippable frame of zstd or lz4, which is passed over as a whole.
fn skippable(bytes: &[u8]) -> Option<Header> {
    let [0x50..=0x5f, 0x2a, 0x4d, 0x18, rest @ ..] = bytes else { return None };
    Some(match rest.first_chunk() {
        Some(len) => Ok(((u32::from_le_bytes(*len) as usize).saturating_add(8), None)),
        None => Err(Found::More),
    })
}

fn zstd_frame(bytes: &[u8]) -> Header {
    if let Some(header) = skippable(bytes) {
        return header;
    }
    let Some((head, _)) = bytes.split_first_chunk() else { return Err(Found::More) };
    let [0x28, 0xb5, 0x2f, 0xfd, descriptor] = head else { return Err(Found::Lost) };
    let single_segment = descriptor & 0x20 != 0;
    let window = usize::from(!single_segment);
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let content_size = [usize::from(single_segment), 2, 4, 8][usize::from(descriptor >> 6)];
    let checksum = if descriptor & 4 != 0 { 4 } else { 0 };
    let frame = Frame { behind_block: 0, behind_frame: checksum };
    Ok((head.len() + window + dictionary + content_size, Some(frame)))
}

fn zstd_block(bytes: &[u8], frame: Frame) -> Header {
    let Some([low, middle, high]) = bytes.first_chunk() else { return Err(Found::More) };
    let header = u32::from_le_bytes([*low, *middle, *high, 0]);
    let size = (header >> 3) as usize;
    let content = match (header >> 1) & 3 {
        // Raw and compressed blocks; one byte that is repeated; reserved.
        0 | 2 => size,
        1 => 1,
        _ => return Err(Found::Lost),
    };
    let len = 3 + content + frame.behind_block;
    Ok(if header & 1 == 1 { (len + frame.behind_frame, None) } else { (len, Some(frame)) })
}

fn lz4_frame(bytes: &[u8]) -> Header {
    if let Some(header) = skippable(bytes) {
        return header;
    }
    let Some((head, _)) = bytes.split_first_chunk() else { return Err(Found::More) };
    let [0x04, 0x22, 0x4d, 0x18, flags] = head else { return Err(Found::Lost) };
    let if_set = |bit: u8, len: usize| if flags & bit != 0 { len } else { 0 };
    let frame = Frame { behind_block: if_set(0x10, 4), behind_frame: if_set(0x04, 4) };
    // Flags, block descriptor, content size, dictionary, header checksum.
    Ok((head.len() + 1 + if_set(0x08, 8) + if_set(0x01, 4) + 1, Some(frame)))
}

fn lz4_block(bytes: &[u8], frame: Frame) -> Header {
    const UNCOMPRESSED: u32 = 1 << 31;
    let Some(size) = bytes.first_chunk() else { return Err(Found::More) };
    Ok(match u32::from_le_bytes(*size) & !UNCOMPRESSED {
        0 => (4 + frame.behind_frame, None),
        size => ((size as usize).saturating_add(4 + frame.behind_block), Some(frame)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A skippable frame of `len` bytes.
    fn skipped(len: u8) -> Vec<u8> {
        let mut frame = vec![0x5a, 0x2a, 0x4d, 0x18, len, 0, 0, 0];
        frame.resize(8 + usize::from(len), 0xaa);
        frame
    }

    fn gzip(extra: &[u8], len: usize) -> Vec<u8> {
        let mut member = vec![0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, extra.len() as u8, 0];
        member.extend(extra);
        member.resize(len, 0x55);
        member
    }

    /// All starts, and how the walk ends: as a whole, and with one byte more at a time.
    fn starts(compression: Compression, bytes: &[u8]) -> (Vec<usize>, Found) {
        let walk = |step: usize| {
            let (mut walk, mut starts, mut len) = (Walk::new(compression), Vec::new(), step.min(bytes.len()));
            loop {
                match walk.next(&bytes[..len]) {
                    Found::Start(start) => starts.push(start),
                    Found::More if len < bytes.len() => len += step,
                    end => return (starts, end),
                }
            }
        };
        let whole = walk(bytes.len().max(1));
        assert_eq!(walk(1), whole, "{compression:?} byte by byte");
        whole
    }

    #[test]
    fn members_are_found_where_they_begin() {
        use Compression::{Bzip2, Gzip, Lz4, Xz, Zstd};
        use Found::{Lost, More};
        const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
        const LZ4: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
        // Blocks of zstd: raw of 2, 300 times one byte, the last of 1.
        let blocks: &[u8] = &[0x10, 0, 0, 9, 9, 0x62, 9, 0, 7, 0x0d, 0, 0, 9];
        let zstd = |header: &[u8], behind: usize| [&ZSTD[..], header, blocks, &vec![3; behind]].concat();
        let lz4 =
            |header: &[u8], block: &[u8], behind: usize| [&LZ4[..], header, block, &[0; 4], &vec![3; behind]].concat();
        let bzip2 = |len: usize| [b"BZh9\x31\x41\x59\x26\x53\x59", &vec![0x42; len][..]].concat();
        let bc = |len: u16| [&[b'B', b'C', 2, 0][..], &(len - 1).to_le_bytes()].concat();
        let other = [b'X', b'Y', 3, 0, 1, 2, 3];
        let cases: &[(&str, Compression, &[Vec<u8>], &[usize], Found)] = &[
            ("BGZF", Gzip, &[gzip(&bc(40), 40), gzip(&bc(28), 28)], &[0, 40], More),
            ("BGZF behind another field", Gzip, &[gzip(&[&other[..], &bc(50)].concat(), 50)], &[0], More),
            ("gzip with another field", Gzip, &[gzip(&other, 50)], &[], Lost),
            (
                "BGZF, then plain gzip",
                Gzip,
                &[gzip(&bc(40), 40), vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0, 0]],
                &[0],
                Lost,
            ),
            ("size in a field of another length", Gzip, &[gzip(&[b'B', b'C', 4, 0, 9, 0, 0, 0], 50)], &[], Lost),
            ("field longer than the others", Gzip, &[gzip(&[b'X', b'Y', 99, 0, 1], 50)], &[], Lost),
            ("size of one byte", Gzip, &[gzip(&bc(1), 40)], &[0], Lost),
            ("zstd", Zstd, &[zstd(&[0x00, 0x58], 0), zstd(&[0x00, 0x58], 0), zstd(&[0x20, 9], 0)], &[0, 19, 38], More),
            ("zstd with a checksum", Zstd, &[zstd(&[0x04, 0x58], 4), zstd(&[0x04, 0x58], 4)], &[0, 23], More),
            (
                "zstd with sizes",
                Zstd,
                &[zstd(&[0xe0, 1, 2, 3, 4, 5, 6, 7, 8], 0), zstd(&[0x63, 1, 2, 3, 4, 5, 6], 0)],
                &[0, 26],
                More,
            ),
            (
                "zstd and frames to skip",
                Zstd,
                &[skipped(4), zstd(&[0x00, 0x58], 0), skipped(0), skipped(9)],
                &[0, 12, 31, 39],
                More,
            ),
            ("reserved zstd block", Zstd, &[ZSTD.to_vec(), vec![0, 0x58, 6, 0, 0]], &[0], Lost),
            ("zstd, then zeros", Zstd, &[zstd(&[0x00, 0x58], 0), vec![0; 9]], &[0], Lost),
            (
                "lz4",
                Lz4,
                &[lz4(&[0x60, 0x40, 0x82], &[3, 0, 0, 0, 1, 2, 3], 0), lz4(&[0x60, 0x40, 0x82], &[], 0)],
                &[0, 18],
                More,
            ),
            (
                "lz4 with all that it may have",
                Lz4,
                &[
                    lz4(&[0x7d, 0x40, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 0x82], &[1, 0, 0, 0x80, 7, 1, 1, 1, 1], 4),
                    skipped(1),
                    LZ4.to_vec(),
                    vec![0x60],
                ],
                &[0, 36, 45],
                More,
            ),
            ("legacy lz4", Lz4, &[vec![0x02, 0x21, 0x4c, 0x18, 1, 0, 0, 0]], &[], Lost),
            (
                "bzip2",
                Bzip2,
                &[bzip2(30), bzip2(0), bzip2(7), b"BZh9\x31\x41\x59\x26\x53".to_vec()],
                &[0, 40, 50],
                More,
            ),
            ("xz", Xz, &[vec![0xfd, b'7', b'z', b'X', b'Z', 0]], &[], Lost),
        ];
        for (name, compression, members, want, end) in cases {
            let bytes = members.concat();
            assert_eq!(starts(*compression, &bytes), (want.to_vec(), *end), "{name}");
        }
    }
}
