//! Reads the length-prefixed vectors of the TLS presentation language (RFC 8446 section 3.4) without ever panicking.

/// What is left to read of a message. Every method takes from the front; `None` means that too little is left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    /// The next `count` bytes.
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// The next byte.
    pub(crate) fn u8(&mut self) -> Option<u8> {
        let (&value, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(value)
    }

    /// The next two bytes, big-endian.
    pub(crate) fn u16(&mut self) -> Option<u16> {
        let (value, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*value))
    }

    /// The next three bytes, big-endian.
    pub(crate) fn u24(&mut self) -> Option<usize> {
        let (&[a, b, c], rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c))
    }

    /// A vector with a length of one byte.
    pub(crate) fn vector8(&mut self) -> Option<&'a [u8]> {
        let len = self.u8()?;
        self.take(len.into())
    }

    /// A vector with a length of two bytes.
    pub(crate) fn vector16(&mut self) -> Option<&'a [u8]> {
        let len = self.u16()?;
        self.take(len.into())
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The 16-bit numbers of `bytes`, big-endian; an odd last byte is left out.
pub(crate) fn numbers(bytes: &[u8]) -> impl Iterator<Item = u16> + '_ {
    bytes.chunks_exact(2).filter_map(|pair| pair.first_chunk().map(|pair| u16::from_be_bytes(*pair)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_stops() {
        let mut reader = Reader(&[1, 0, 2, 0, 0, 3, 2, 8, 9, 0, 1]);
        assert_eq!((reader.u8(), reader.u16(), reader.u24()), (Some(1), Some(2), Some(3)));
        assert_eq!(reader.vector8(), Some(&[8, 9][..]));
        assert_eq!(reader.vector16(), None, "length without content");
        assert!(reader.is_empty(), "the length itself is taken");
        assert_eq!((reader.u8(), reader.u16(), reader.u24(), reader.take(1)), (None, None, None, None));
    }

    #[test]
    fn numbers_leave_out_an_odd_byte() {
        assert_eq!(numbers(&[0x13, 1, 0x13, 2, 9]).collect::<Vec<_>>(), [0x1301, 0x1302]);
    }
}
