//! Random numbers, which whoever drives an exchange brings along.

/// A source of random bytes. Any `FnMut(&mut [u8])` is one.
///
/// What is drawn from it becomes challenges and keys, so outside of tests it must be the system's own generator.
pub trait Random {
    /// Fills `bytes`.
    fn fill(&mut self, bytes: &mut [u8]);
}

impl<F: FnMut(&mut [u8])> Random for F {
    fn fill(&mut self, bytes: &mut [u8]) {
        self(bytes);
    }
}

/// Draws `N` bytes.
pub(super) fn draw<const N: usize>(random: &mut dyn Random) -> [u8; N] {
    let mut bytes = [0; N];
    random.fill(&mut bytes);
    bytes
}

/// Draws a number.
pub(super) fn draw_u64(random: &mut dyn Random) -> u64 {
    u64::from_le_bytes(draw(random))
}
