//! Writing.

/// Appends encoded values to a byte vector, which its owner keeps and reuses.
#[derive(Debug)]
pub struct Encoder<'a> {
    out: &'a mut Vec<u8>,
}

macro_rules! integers {
    ($($name:ident: $ty:ty),*) => {$(
        #[doc = concat!("A little-endian `", stringify!($ty), "`.")]
        #[inline]
        pub fn $name(&mut self, value: $ty) -> &mut Self {
            self.bytes(&value.to_le_bytes())
        }
    )*};
}

impl<'a> Encoder<'a> {
    /// Appends to `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Encoder<'a> {
        Encoder { out }
    }

    /// What `write` writes, in a vector of its own.
    pub fn to_vec(write: impl FnOnce(&mut Encoder<'_>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut Encoder::new(&mut out));
        out
    }

    /// Bytes as they are.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.out.extend_from_slice(bytes);
        self
    }

    integers!(u8: u8, u16: u16, u32: u32, u64: u64, i32: i32, i64: i64);

    /// A byte, 0 or 1.
    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.u8(u8::from(value))
    }

    /// `n` zero bytes.
    pub fn zeros(&mut self, n: usize) -> &mut Self {
        self.out.resize(self.out.len() + n, 0);
        self
    }

    /// A count or a length.
    pub fn count(&mut self, n: usize) -> &mut Self {
        self.u32(u32::try_from(n).expect("what ringbd sends has fewer than 2^32 elements"))
    }

    /// Bytes behind their 32-bit length.
    #[inline]
    pub fn blob(&mut self, bytes: &[u8]) -> &mut Self {
        self.count(bytes.len());
        self.bytes(bytes)
    }

    /// Text behind its 32-bit length.
    pub fn string(&mut self, text: &str) -> &mut Self {
        self.blob(text.as_bytes())
    }

    /// What `write` writes, behind its 32-bit length.
    pub fn nested(&mut self, write: impl FnOnce(&mut Encoder<'_>)) -> &mut Self {
        let at = self.out.len();
        self.u32(0);
        write(&mut Encoder { out: &mut *self.out });
        let len = u32::try_from(self.out.len() - at - 4).expect("what ringbd sends is shorter than 4 GiB");
        self.out[at..at + 4].copy_from_slice(&len.to_le_bytes());
        self
    }

    /// A counted list.
    pub fn list<T>(
        &mut self,
        items: impl ExactSizeIterator<Item = T>,
        mut element: impl FnMut(&mut Encoder<'_>, T),
    ) -> &mut Self {
        self.count(items.len());
        for item in items {
            element(self, item);
        }
        self
    }

    /// A value behind a byte that says whether there is one.
    pub fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Encoder<'_>, T)) -> &mut Self {
        self.bool(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
        self
    }

    /// A versioned structure: version, oldest reader, length, body.
    pub fn versioned(&mut self, version: u8, compat: u8, body: impl FnOnce(&mut Encoder<'_>)) -> &mut Self {
        self.u8(version).u8(compat).nested(body)
    }
}
