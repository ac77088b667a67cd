//! Chance that can be repeated: numbers that follow from where they start (splitmix64).

/// Where the numbers stand.
pub struct Chance(u64);

impl Chance {
    /// Numbers from this start.
    pub const fn new(start: u64) -> Self {
        Self(start)
    }

    /// The next number below this one.
    pub const fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }
}
