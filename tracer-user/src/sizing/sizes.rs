//! Which sizes a curve has.

/// Points that a curve has by itself.
const POINTS: u64 = 17;

/// Sizes from about a tenth of the weights to a little more than all of them, and those that were asked for; ascending.
pub fn sizes(beside_bytes: u64, used_bytes: u64, others: &[u64]) -> Vec<u64> {
    // In 16ths: 1/8 … 17/16 and a little.
    let own = (2..=POINTS).map(|part| beside_bytes + used_bytes / 16 * part);
    let mut sizes: Vec<u64> = own.chain(others.iter().copied()).collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// By how much more memory a curve is read off: 1 GiB, or a power of two that is at most an eighth of the weights.
pub const fn step(used_bytes: u64) -> u64 {
    const GIB: u64 = 1 << 30;
    let eighth = used_bytes / 8;
    if eighth >= GIB || eighth == 0 {
        return GIB;
    }
    1 << eighth.ilog2()
}

#[cfg(test)]
mod tests {
    use super::{sizes, step};

    #[test]
    fn a_curve_begins_low_ends_above_the_weights_and_has_what_was_asked_for_once() {
        let found = sizes(10, 1600, &[900, 210, 210]);
        assert_eq!((found.first(), found.last()), (Some(&210), Some(&1710)));
        assert_eq!(found.iter().filter(|size| **size == 210).count(), 1);
        assert!(found.contains(&900) && found.is_sorted());
    }

    #[test]
    fn a_large_model_is_read_off_by_gibibytes() {
        assert_eq!(step(40 << 30), 1 << 30);
        assert_eq!(step(130 << 20), 16 << 20);
    }
}
