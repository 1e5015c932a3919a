//! A place in a frame, with two ends: where the captured bytes stop, and where the layer in hand stops on the wire.

use crate::model::Loss;

/// What is still to be read of a frame. Cheap to copy, so that a guess can be tried on a copy.
///
/// The place is never behind the captured bytes nor behind the end of the layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    frame: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Cursor<'a> {
    /// At the start of `frame`, of which `wire_len` bytes were on the wire. A capture that claims fewer than it holds is
    /// not believed.
    #[inline]
    pub(crate) fn new(frame: &'a [u8], wire_len: u32) -> Self {
        Self { frame, at: 0, end: frame.len().max(wire_len as usize) }
    }

    /// At `at` of `frame`, in a layer that ends at `end` on the wire.
    #[inline]
    pub(crate) fn within(frame: &'a [u8], at: usize, end: usize) -> Self {
        Self { frame, at: at.min(frame.len()).min(end), end }
    }

    /// Offset from the start of the frame.
    #[inline]
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The captured bytes of the layer from here on.
    #[inline]
    pub(crate) fn left(&self) -> &'a [u8] {
        self.frame.get(self.at..self.end.min(self.frame.len())).unwrap_or_default()
    }

    /// Bytes of the layer from here on that were on the wire, captured or not.
    #[inline]
    pub(crate) fn wire_left(&self) -> usize {
        self.end.saturating_sub(self.at)
    }

    /// Why `wanted` bytes are not there: the snap length cut them, or the wire never had them.
    #[cold]
    pub(crate) fn shortage(&self, wanted: usize) -> Loss {
        if wanted <= self.wire_left() { Loss::HeaderCutShort } else { Loss::MalformedHeader }
    }

    /// The next `N` bytes, without moving.
    #[inline]
    pub(crate) fn peek<const N: usize>(&self) -> Result<&'a [u8; N], Loss> {
        self.left().first_chunk().ok_or_else(|| self.shortage(N))
    }

    /// The next `N` bytes.
    #[inline]
    pub(crate) fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], Loss> {
        let bytes = self.peek()?;
        self.at += N;
        Ok(bytes)
    }

    /// The next byte.
    pub(crate) fn u8(&mut self) -> Result<u8, Loss> {
        self.take::<1>().map(|bytes| bytes[0])
    }

    /// The next two bytes, most significant first.
    pub(crate) fn u16(&mut self) -> Result<u16, Loss> {
        self.take().map(|bytes| u16::from_be_bytes(*bytes))
    }

    /// The next four bytes, most significant first.
    pub(crate) fn u32(&mut self) -> Result<u32, Loss> {
        self.take().map(|bytes| u32::from_be_bytes(*bytes))
    }

    /// Moves on by `count` bytes.
    pub(crate) fn skip(&mut self, count: usize) -> Result<(), Loss> {
        if count > self.left().len() {
            return Err(self.shortage(count));
        }
        self.at += count;
        Ok(())
    }

    /// The layer ends `count` bytes from here, if it does not end sooner.
    #[inline]
    pub(crate) fn limit(&mut self, count: usize) {
        self.end = self.end.min(self.at.saturating_add(count));
    }

    /// The last `count` bytes of the layer (a checksum, a tag) do not belong to what is inside.
    pub(crate) fn trim_end(&mut self, count: usize) {
        self.end = self.end.saturating_sub(count).max(self.at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_cut_from_a_lie() {
        let mut cursor = Cursor::new(&[1, 2, 3, 4], 10);
        assert_eq!(cursor.u16(), Ok(0x0102));
        assert_eq!(cursor.peek::<4>(), Err(Loss::HeaderCutShort));
        assert_eq!(cursor.skip(9), Err(Loss::MalformedHeader));
        cursor.limit(1);
        assert_eq!((cursor.left(), cursor.wire_left()), (&[3][..], 1));
        assert_eq!(cursor.u16(), Err(Loss::MalformedHeader));
        cursor.trim_end(9);
        assert_eq!((cursor.at(), cursor.wire_left()), (2, 0));
    }

    #[test]
    fn more_captured_than_claimed() {
        assert_eq!(Cursor::new(&[0; 8], 4).wire_left(), 8);
    }
}
