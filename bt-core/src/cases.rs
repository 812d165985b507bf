//! What the lists of cases share: noise to make them of, a digest to fold their results into.

/// FNV-1a over words.
pub(crate) struct Digest(u32);

impl Digest {
    pub(crate) fn new() -> Self {
        Self(0x811c_9dc5)
    }

    pub(crate) fn add(&mut self, word: u32) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0100_0193);
        // FNV mixes upwards only.
        self.0 ^= self.0 >> 15;
    }

    pub(crate) fn value(&self) -> u32 {
        self.0
    }
}

/// Xorshift; its state, which is not zero.
pub(crate) struct Noise(pub(crate) u32);

impl Noise {
    /// The next 32 bits.
    pub(crate) fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    /// The next sample of sound.
    #[cfg(test)]
    pub(crate) fn sample(&mut self) -> i16 {
        (self.next() >> 16) as i16
    }
}
