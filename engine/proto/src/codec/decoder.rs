//! Reading.

use super::{DecodeError, DecodeErrorKind};
use std::collections::BTreeMap;

/// A cursor over encoded bytes. Every method either advances past what it returns, or fails and says where.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    rest: &'a [u8],
    /// Where `rest` begins in the outermost input.
    offset: usize,
    /// What is being read, for errors.
    what: &'static str,
}

macro_rules! integers {
    ($($name:ident: $ty:ty),*) => {$(
        #[doc = concat!("A little-endian `", stringify!($ty), "`.")]
        #[inline]
        pub fn $name(&mut self) -> Result<$ty, DecodeError> {
            Ok(<$ty>::from_le_bytes(self.array()?))
        }
    )*};
}

impl<'a> Decoder<'a> {
    /// Reads `bytes`, which are a `what`.
    pub fn new(what: &'static str, bytes: &'a [u8]) -> Decoder<'a> {
        Decoder { rest: bytes, offset: 0, what }
    }

    /// Bytes that are left.
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// Bytes read since the outermost input began.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// An error at this place.
    pub fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError { what: self.what, offset: self.offset, kind }
    }

    /// An error at this place, of a value that makes no sense.
    pub fn invalid(&self, why: &'static str) -> DecodeError {
        self.error(DecodeErrorKind::Invalid(why))
    }

    /// The next `n` bytes.
    #[inline]
    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        let Some((taken, rest)) = self.rest.split_at_checked(n) else {
            return Err(self.error(DecodeErrorKind::Truncated { needed: n, left: self.rest.len() }));
        };
        self.rest = rest;
        self.offset += n;
        Ok(taken)
    }

    /// The next `N` bytes.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let Some((taken, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.error(DecodeErrorKind::Truncated { needed: N, left: self.rest.len() }));
        };
        self.rest = rest;
        self.offset += N;
        Ok(*taken)
    }

    integers!(u8: u8, u16: u16, u32: u32, u64: u64, i32: i32, i64: i64);

    /// A byte that is 0 or not.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.u8()? != 0)
    }

    /// Bytes behind a 32-bit length: Ceph's `bufferlist`, and its `string` where it need not be text.
    pub fn blob(&mut self) -> Result<&'a [u8], DecodeError> {
        let n = self.u32()? as usize;
        self.bytes(n)
    }

    /// Text behind a 32-bit length. Bytes that are no UTF-8 are an error: use [`blob`](Decoder::blob) for names that
    /// anybody may choose.
    pub fn string(&mut self) -> Result<String, DecodeError> {
        let at = self.clone();
        let bytes = self.blob()?;
        str::from_utf8(bytes).map(str::to_owned).map_err(|_| at.invalid("a string that is not UTF-8"))
    }

    /// Text behind a 32-bit length that is shown to people, where one that is no UTF-8 must not spoil all the rest: what
    /// is wrong in it is replaced.
    pub fn label(&mut self) -> Result<String, DecodeError> {
        self.blob().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// A decoder of what lies behind a 32-bit length.
    pub fn nested(&mut self, what: &'static str) -> Result<Decoder<'a>, DecodeError> {
        let n = self.u32()? as usize;
        let offset = self.offset;
        Ok(Decoder { rest: self.bytes(n)?, offset, what })
    }

    /// The count in front of a list whose elements take `element_min` bytes or more each, so that a wrong count neither
    /// allocates nor loops for long.
    pub fn count(&mut self, element_min: usize) -> Result<usize, DecodeError> {
        let at = self.clone();
        let count = self.u32()? as usize;
        match count.checked_mul(element_min.max(1)) {
            Some(needed) if needed <= self.left() => Ok(count),
            _ => Err(at.error(DecodeErrorKind::TooMany { count, left: self.left() })),
        }
    }

    /// A counted list: Ceph's vector, list, set, and (with pairs) map.
    pub fn list<T>(
        &mut self,
        element_min: usize,
        mut element: impl FnMut(&mut Decoder<'a>) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = self.count(element_min)?;
        let mut list = Vec::new();
        list.try_reserve(count)
            .map_err(|_| self.error(DecodeErrorKind::TooMany { count, left: self.left() }))?;
        for _ in 0..count {
            list.push(element(self)?);
        }
        Ok(list)
    }

    /// A counted map, whose entries take `entry_min` bytes or more each. Of entries with the same key the last stays.
    pub fn map<K: Ord, V>(
        &mut self,
        entry_min: usize,
        mut key: impl FnMut(&mut Decoder<'a>) -> Result<K, DecodeError>,
        mut value: impl FnMut(&mut Decoder<'a>) -> Result<V, DecodeError>,
    ) -> Result<BTreeMap<K, V>, DecodeError> {
        let count = self.count(entry_min)?;
        let mut map = BTreeMap::new();
        for _ in 0..count {
            map.insert(key(self)?, value(self)?);
        }
        Ok(map)
    }

    /// A value behind a byte that says whether there is one.
    pub fn optional<T>(
        &mut self,
        value: impl FnOnce(&mut Decoder<'a>) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        if self.bool()? { value(self).map(Some) } else { Ok(None) }
    }

    /// A versioned structure (version, oldest reader, length, body). `body` gets the sender's version and reads what
    /// is known; what it leaves is newer than we are and is skipped.
    pub fn versioned<T>(
        &mut self,
        what: &'static str,
        known: u8,
        body: impl FnOnce(&mut Decoder<'a>, u8) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let at = Decoder { what, ..self.clone() };
        let version = self.u8()?;
        let compat = self.u8()?;
        if compat > known {
            return Err(at.error(DecodeErrorKind::Incompatible { compat, known }));
        }
        body(&mut self.nested(what)?, version)
    }

    /// The end of the input: anything left is an error.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(self.error(DecodeErrorKind::Trailing(self.rest.len())))
    }
}
