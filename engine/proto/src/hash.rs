//! The hashes that place data: of an object's name, and of the few integers that CRUSH draws lots with.
//!
//! Both are Bob Jenkins' 96-bit mix of 1997. Every client and OSD of a cluster must agree on them to the bit, for ever.

/// What the integer hashes start from.
const SEED: u32 = 1_315_423_911;
/// Two more words that the integer hashes stir in.
const X: u32 = 231_232;
const Y: u32 = 1232;
/// What the string hash starts from: the golden ratio.
const GOLDEN: u32 = 0x9e37_79b9;

/// What is between a namespace and an object's name when both are hashed. No name may contain it.
const NAMESPACE_END: u8 = 0x1f;

/// Numbers that are hashed side by side in [`hash3_lanes`]: as many as two SSE registers hold, or one of AVX2.
pub const LANES: usize = 8;

#[inline(always)]
fn mix(a: &mut u32, b: &mut u32, c: &mut u32) {
    *a = a.wrapping_sub(*b).wrapping_sub(*c) ^ (*c >> 13);
    *b = b.wrapping_sub(*c).wrapping_sub(*a) ^ (*a << 8);
    *c = c.wrapping_sub(*a).wrapping_sub(*b) ^ (*b >> 13);
    *a = a.wrapping_sub(*b).wrapping_sub(*c) ^ (*c >> 12);
    *b = b.wrapping_sub(*c).wrapping_sub(*a) ^ (*a << 16);
    *c = c.wrapping_sub(*a).wrapping_sub(*b) ^ (*b >> 5);
    *a = a.wrapping_sub(*b).wrapping_sub(*c) ^ (*c >> 3);
    *b = b.wrapping_sub(*c).wrapping_sub(*a) ^ (*a << 10);
    *c = c.wrapping_sub(*a).wrapping_sub(*b) ^ (*b >> 15);
}

/// The hash of two numbers.
pub fn hash2(mut a: u32, mut b: u32) -> u32 {
    let mut h = SEED ^ a ^ b;
    let (mut x, mut y) = (X, Y);
    mix(&mut a, &mut b, &mut h);
    mix(&mut x, &mut a, &mut h);
    mix(&mut b, &mut y, &mut h);
    h
}

/// The hash of three numbers.
#[inline(always)]
pub fn hash3(mut a: u32, mut b: u32, mut c: u32) -> u32 {
    let mut h = SEED ^ a ^ b ^ c;
    let (mut x, mut y) = (X, Y);
    mix(&mut a, &mut b, &mut h);
    mix(&mut c, &mut x, &mut h);
    mix(&mut y, &mut a, &mut h);
    mix(&mut b, &mut x, &mut h);
    mix(&mut y, &mut c, &mut h);
    h
}

/// [`hash3`] of `a`, each of `b`, and `c`. The loop has no branches, so that it becomes vector instructions.
pub fn hash3_lanes(a: u32, b: &[i32; LANES], c: u32) -> [u32; LANES] {
    let mut hashes = [0; LANES];
    for (hash, b) in hashes.iter_mut().zip(b) {
        *hash = hash3(a, b.cast_unsigned(), c);
    }
    hashes
}

/// The hash of four numbers.
pub fn hash4(mut a: u32, mut b: u32, mut c: u32, mut d: u32) -> u32 {
    let mut h = SEED ^ a ^ b ^ c ^ d;
    let (mut x, mut y) = (X, Y);
    mix(&mut a, &mut b, &mut h);
    mix(&mut c, &mut d, &mut h);
    mix(&mut a, &mut x, &mut h);
    mix(&mut y, &mut b, &mut h);
    mix(&mut c, &mut x, &mut h);
    mix(&mut y, &mut d, &mut h);
    h
}

/// The hash of an object's name (or of the key that stands for it) in a namespace; the default one is empty.
pub fn object_hash(namespace: &[u8], name: &[u8]) -> u32 {
    let mut hash = StringHash::default();
    if !namespace.is_empty() {
        hash.update(namespace);
        hash.update(&[NAMESPACE_END]);
    }
    hash.update(name);
    hash.finish()
}

/// The hash of a string, which may come in pieces.
struct StringHash {
    a: u32,
    b: u32,
    c: u32,
    /// What is not mixed in yet: `len % BLOCK` bytes.
    block: [u8; BLOCK],
    len: usize,
}

/// Bytes that are mixed in at once.
const BLOCK: usize = 12;

impl Default for StringHash {
    fn default() -> StringHash {
        StringHash { a: GOLDEN, b: GOLDEN, c: 0, block: [0; BLOCK], len: 0 }
    }
}

impl StringHash {
    fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let at = self.len % BLOCK;
            let n = bytes.len().min(BLOCK - at);
            self.block[at..at + n].copy_from_slice(&bytes[..n]);
            self.len += n;
            bytes = &bytes[n..];
            if at + n == BLOCK {
                self.add(0);
                mix(&mut self.a, &mut self.b, &mut self.c);
            }
        }
    }

    /// Adds the block to the state. The last block leaves the lowest byte of `c` to the length.
    fn add(&mut self, shift: u32) {
        let word = |at: usize| {
            u32::from_le_bytes([self.block[at], self.block[at + 1], self.block[at + 2], self.block[at + 3]])
        };
        let (a, b, c) = (word(0), word(4), word(8));
        self.a = self.a.wrapping_add(a);
        self.b = self.b.wrapping_add(b);
        self.c = self.c.wrapping_add(c << shift);
    }

    fn finish(mut self) -> u32 {
        // The format has 32 bits for a length that no name comes near.
        self.c = self.c.wrapping_add(self.len as u32);
        self.block[self.len % BLOCK..].fill(0);
        self.add(8);
        mix(&mut self.a, &mut self.b, &mut self.c);
        self.c
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_hash_as_osds_hash_them() {
        for (name, hash) in [
            ("", 0xbd49_d10d),
            ("a", 0x29ee_c818),
            ("foo", 0x7fc1_f406),
            ("rbd_directory", 0x30a9_8c1c),
            ("rbd_data.10226b8b4567.0000000000000000", 0x87bd_7b9a),
            ("0123456789ab", 0x92f3_1ad0),
            ("0123456789abc", 0x88c1_bd29),
        ] {
            assert_eq!(object_hash(b"", name.as_bytes()), hash, "{name}");
        }
        assert_eq!(object_hash(b"ns", b"obj"), 0x4df6_7843);
    }

    #[test]
    fn a_string_in_pieces_hashes_as_the_whole() {
        let text = b"twelve bytes, and then twelve more, and some";
        for cut in 0..text.len() {
            let mut hash = StringHash::default();
            hash.update(&text[..cut]);
            hash.update(&text[cut..]);
            assert_eq!(hash.finish(), object_hash(b"", text), "cut at {cut}");
        }
    }

    #[test]
    fn integers_hash_as_osds_hash_them() {
        assert_eq!(hash2(1, 2), 0xb78d_ee9c);
        assert_eq!(hash3(1, 2, 3), 0x735a_d42b);
        assert_eq!(hash4(1, 2, 3, 4), 0x696d_1f16);
        assert_eq!(hash3(0x1234_5678, (-5i32).cast_unsigned(), 7), 0x0043_1c76);
        let ids = [3, -1, 0, 7, -5, i32::MAX, i32::MIN, 12];
        let hashes = hash3_lanes(99, &ids, 4);
        assert_eq!(hashes, ids.map(|id| hash3(99, id.cast_unsigned(), 4)));
    }
}
