//! Classes of request sizes: each up to the double of the one before.

use crate::gap::SECTOR_BYTES;

/// Number of classes: the first has up to one sector, the last everything above half of its size.
pub const SIZE_CLASSES: usize = 20;

/// Class of a request of so many bytes.
#[inline(always)]
#[must_use]
pub const fn size_class(bytes: u64) -> usize {
    let mut class = 0;
    let mut up_to = SECTOR_BYTES;
    // A BPF program has no instruction for the highest bit; most requests end this in few steps.
    while class < SIZE_CLASSES - 1 && bytes > up_to {
        up_to <<= 1;
        class += 1;
    }
    class
}

/// Most bytes of a request of a class; of the last one, half of what its requests may have at least.
#[must_use]
pub const fn size_class_end(class: usize) -> u64 {
    SECTOR_BYTES << class
}

#[cfg(test)]
mod tests {
    use super::{SIZE_CLASSES, size_class, size_class_end};

    #[test]
    fn a_class_ends_where_the_next_begins() {
        for class in 0..SIZE_CLASSES - 1 {
            assert_eq!(size_class(size_class_end(class)), class);
            assert_eq!(size_class(size_class_end(class) + 1), class + 1);
        }
        assert_eq!(size_class(u64::MAX), SIZE_CLASSES - 1);
        assert_eq!((size_class(0), size_class(1)), (0, 0));
    }
}
