//! Seeded random numbers that are the same on every machine: integer arithmetic only, no logarithm or cosine of a
//! platform's mathematics library.

/// SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014).
#[derive(Debug, Clone)]
pub(crate) struct SplitMix64(u64);

/// Standard deviation of the sum of four independent uniform integers of 0 ..= 65535: sqrt(4 (65536² - 1) / 12).
const FOUR_UNIFORMS_DEVIATION: f32 = 37_837.23;

impl SplitMix64 {
    /// A stream for one purpose of one seed; streams of different purposes are unrelated.
    pub(crate) fn new(seed: u64, purpose: u64) -> Self {
        let mut mixed = Self(seed);
        let state = mixed.next() ^ purpose.wrapping_mul(0xD6E8_FEB8_6659_FD93);
        Self(state)
    }

    /// The next 64 random bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        value ^ (value >> 31)
    }

    /// A number below `bound` (at least 1). The bias is below `bound` / 2^64.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number of 0 ..< 1 with 53 random bits.
    pub(crate) fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Nearly normal, mean 0: the sum of four uniform numbers.
    pub(crate) fn normal(&mut self, deviation: f32) -> f32 {
        let bits = self.next();
        let sum = (bits & 0xFFFF) + (bits >> 16 & 0xFFFF) + (bits >> 32 & 0xFFFF) + (bits >> 48);
        (sum as f32 - 131_070.0) * (deviation / FOUR_UNIFORMS_DEVIATION)
    }
}

#[cfg(test)]
mod tests {
    use super::SplitMix64;

    #[test]
    fn is_splitmix64() {
        // First outputs for state 1234567, as in the generator's published test vectors.
        let mut random = SplitMix64(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn normal_has_the_deviation_asked_for() {
        let mut random = SplitMix64::new(1, 2);
        let values: Vec<f64> = (0..100_000).map(|_| random.normal(0.5).into()).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values
            .iter()
            .map(|value| (value - mean).powi(2))
            .sum::<f64>()
            / values.len() as f64;
        assert!(mean.abs() < 0.01, "{mean}");
        assert!((variance.sqrt() - 0.5).abs() < 0.01, "{variance}");
    }

    #[test]
    fn seeds_and_purposes_give_different_streams() {
        let first = |seed, purpose| SplitMix64::new(seed, purpose).next();
        assert_eq!(first(1, 1), first(1, 1));
        assert_ne!(first(1, 1), first(1, 2));
        assert_ne!(first(1, 1), first(2, 1));
    }

    #[test]
    fn below_reaches_all_and_only_what_is_below() {
        let mut random = SplitMix64::new(0, 0);
        let mut seen = [false; 5];
        (0..1000).for_each(|_| seen[random.below(5) as usize] = true);
        assert_eq!(seen, [true; 5]);
    }
}
