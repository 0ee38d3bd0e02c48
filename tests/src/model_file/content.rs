//! What the files contain, so that a reader can prove what it read.

/// Fills a buffer with what a file has at an offset, which is a multiple of 8: each eight bytes are their
/// own offset, mixed (the finaliser of SplitMix64), so that no two blocks are alike.
pub fn content_at(offset_bytes: u64, buffer: &mut [u8]) {
    debug_assert!(offset_bytes.is_multiple_of(8));
    for (word, chunk) in (offset_bytes / 8..).zip(buffer.chunks_mut(8)) {
        let mut mixed = (word + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        chunk.copy_from_slice(&mixed.to_le_bytes()[..chunk.len()]);
    }
}

/// Sum of the hashes of all reads: the same whatever thread read what first, different if one read brought
/// other bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checksum(u64);

impl Checksum {
    /// Adds the bytes of one read.
    pub fn add(&mut self, bytes: &[u8]) {
        // FNV-1a over words instead of bytes.
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        let mut step = |word: u64| hash = (hash ^ word).wrapping_mul(0x0100_0000_01b3);
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            step(u64::from_le_bytes(*word));
        }
        for byte in rest {
            step(u64::from(*byte));
        }
        self.0 = self.0.wrapping_add(hash);
    }

    /// Adds what another thread read.
    pub fn merge(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
    }

    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{Checksum, content_at};

    #[test]
    fn content_depends_on_the_offset_only() {
        let mut whole = [0u8; 64];
        content_at(0, &mut whole);
        let mut part = [0u8; 20];
        content_at(24, &mut part);
        assert_eq!(whole[24..44], part);
        assert_ne!(whole[..8], whole[8..16]);
    }

    #[test]
    fn the_order_of_reads_does_not_matter_and_their_content_does() {
        let sum = |reads: &[&[u8]]| {
            let mut sum = Checksum::default();
            reads.iter().for_each(|read| sum.add(read));
            sum.value()
        };
        assert_eq!(sum(&[b"abcdefghi", b"xyz"]), sum(&[b"xyz", b"abcdefghi"]));
        assert_ne!(sum(&[b"abcdefghi", b"xyz"]), sum(&[b"abcdefghj", b"xyz"]));
        assert_ne!(sum(&[b"abcdefghi"]), sum(&[b"abcdefghi", b"abcdefghi"]));
    }
}
