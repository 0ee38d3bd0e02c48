//! Buckets of the kernel's latency histogram: eight to a power of two, so that a bucket is at most
//! 12.5 % wide.

/// log2 of the number of buckets to a power of two.
const SUBDIVISION_BITS: u32 = 3;

/// Number of buckets: every `u64` falls into one.
pub const LATENCY_BUCKETS: usize = ((64 - SUBDIVISION_BITS as usize) + 1) << SUBDIVISION_BITS;

/// Bucket of a latency in nanoseconds. Below 8 ns a bucket holds one value; above, a bucket holds the
/// values that share their highest four bits.
#[inline(always)]
#[must_use]
pub const fn latency_bucket(nanos: u64) -> usize {
    if nanos < 1 << SUBDIVISION_BITS {
        return nanos as usize;
    }
    let exponent = highest_bit(nanos);
    let shift = exponent - SUBDIVISION_BITS;
    let fraction = (nanos >> shift) as usize & ((1 << SUBDIVISION_BITS) - 1);
    (((shift + 1) as usize) << SUBDIVISION_BITS) | fraction
}

/// Smallest latency, in nanoseconds, of a bucket below [`LATENCY_BUCKETS`].
#[must_use]
pub const fn latency_bucket_start(bucket: usize) -> u64 {
    if bucket < 1 << SUBDIVISION_BITS {
        return bucket as u64;
    }
    let shift = (bucket >> SUBDIVISION_BITS) - 1;
    let fraction = (bucket & ((1 << SUBDIVISION_BITS) - 1)) as u64;
    ((1 << SUBDIVISION_BITS) | fraction) << shift
}

/// Position of the highest bit set. BPF has no instruction for it, and a chain of comparisons is cheaper
/// there than what `leading_zeros` compiles to.
#[inline(always)]
const fn highest_bit(mut value: u64) -> u32 {
    let mut position = 0;
    if value >= 1 << 32 {
        value >>= 32;
        position += 32;
    }
    if value >= 1 << 16 {
        value >>= 16;
        position += 16;
    }
    if value >= 1 << 8 {
        value >>= 8;
        position += 8;
    }
    if value >= 1 << 4 {
        value >>= 4;
        position += 4;
    }
    if value >= 1 << 2 {
        value >>= 2;
        position += 2;
    }
    if value >= 1 << 1 {
        position += 1;
    }
    position
}

#[cfg(test)]
mod tests {
    use super::{LATENCY_BUCKETS, latency_bucket, latency_bucket_start};
    use proptest::prelude::*;

    #[test]
    fn every_bucket_begins_where_it_says() {
        for bucket in 0..LATENCY_BUCKETS {
            assert_eq!(latency_bucket(latency_bucket_start(bucket)), bucket);
            if bucket > 0 {
                assert_eq!(latency_bucket(latency_bucket_start(bucket) - 1), bucket - 1);
            }
        }
        assert_eq!(latency_bucket(u64::MAX), LATENCY_BUCKETS - 1);
    }

    proptest! {
        #[test]
        fn buckets_keep_the_order(a: u64, b: u64) {
            prop_assert!(latency_bucket(a.min(b)) <= latency_bucket(a.max(b)));
        }

        #[test]
        fn a_bucket_is_at_most_an_eighth_wide(nanos in 8u64..u64::MAX) {
            let start = latency_bucket_start(latency_bucket(nanos));
            prop_assert!(start <= nanos && nanos - start <= start / 8);
        }
    }
}
