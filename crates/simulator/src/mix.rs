//! Numbers that depend on nothing but their seeds.
//!
//! A generated org must be the same on every machine and in every year, so its numbers come from a mixing
//! function that is written down here and not from a crate whose stream may change with its version. What the
//! numbers mean is left to `inventory`.

/// Mixes two numbers into one whose bits all depend on both (the finaliser of splitmix64).
pub(crate) fn mix(a: u64, b: u64) -> u64 {
    let mut z = a.wrapping_add(b.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A number for a text.
pub(crate) fn mix_text(seed: u64, text: &str) -> u64 {
    mix_bytes(seed, text.as_bytes())
}

/// A number for bytes; good enough to tell two versions of a file apart.
pub(crate) fn mix_bytes(seed: u64, bytes: &[u8]) -> u64 {
    let mut state = mix(seed, bytes.len() as u64);
    for chunk in bytes.chunks(8) {
        let mut word = [0_u8; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        state = mix(state, u64::from_le_bytes(word));
    }
    state
}

/// A stream of numbers from one seed.
#[derive(Clone, Debug)]
pub(crate) struct Numbers {
    seed: u64,
    drawn: u64,
}

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.drawn += 1;
        mix(self.seed, self.drawn)
    }

    /// A number below `bound`, which must not be 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// One of the values.
    pub(crate) fn one_of<'a>(&mut self, values: &[&'a str]) -> &'a str {
        values[self.below(values.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_for_ever() {
        let mut numbers = Numbers::new(7);
        assert_eq!([numbers.next(), numbers.next()], [mix(7, 1), mix(7, 2)]);
        assert_eq!(mix(7, 1), 309_689_372_594_955_804);
        assert_ne!(mix_text(1, "ab"), mix_text(1, "ba"));
        assert_ne!(mix_text(1, "a"), mix_text(1, "a\0"));
    }
}
