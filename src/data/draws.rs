//! Chance from a seed, so that a run is one.
//!
//! It owns the state of one generator, never what is drawn for. Pure. Next: [`super::balancer`] hands it to its methods.

/// SplitMix64: even, fast, and to be guessed by whoever sees a few draws; nothing secret depends on it.
#[derive(Debug, Clone)]
pub struct Draws(u64);

impl Draws {
    /// The draws of that seed, the same each time.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next draw.
    #[inline]
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number below `end`, each as likely as the others to within `end` in 2⁶⁴; 0 if there is none.
    #[inline]
    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.draw()) * u128::from(end)) >> 64) as u64
    }
}

/// By how much the state goes on with each draw.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// The draw of this number from a seed, without those before it; worked out only where somebody looks at it.
#[inline(always)]
#[must_use]
pub fn nth(seed: u64, number: u64) -> u64 {
    mix(seed.wrapping_add(number.wrapping_mul(STEP)))
}

/// Bits that have nothing to do with those of a number one higher.
#[inline(always)]
#[must_use]
pub fn mix(state: u64) -> u64 {
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_those_of_the_reference_and_even() {
        // The first of seed 1234567, from the generator's published test vector.
        let mut draws = Draws::new(1_234_567);
        assert_eq!(draws.draw(), 6_457_827_717_110_365_317);
        assert_eq!(nth(1_234_567, 1), 6_457_827_717_110_365_317);
        let mut counts = [0_u32; 7];
        (0..70_000).for_each(|_| counts[draws.below(7) as usize] += 1);
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
        assert_eq!(draws.below(0), 0);
    }
}
