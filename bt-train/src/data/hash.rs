//! FNV-1a of 64 bits: the same number for the same content, on every machine.

/// A hash under way.
#[derive(Debug, Clone, Copy)]
pub struct Fnv(pub u64);

impl Default for Fnv {
    fn default() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    /// Adds a word.
    pub fn add(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3);
    }

    /// The hash of a text, a word a byte.
    pub fn of(text: &str) -> u64 {
        let mut hash = Fnv::default();
        text.bytes().for_each(|byte| hash.add(u64::from(byte)));
        hash.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of the algorithm's authors.
    #[test]
    fn is_fnv_1a() {
        assert_eq!(Fnv::of(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(Fnv::of("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(Fnv::of("foobar"), 0x8594_4171_f739_67e8);
    }
}
