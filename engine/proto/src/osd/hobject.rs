//! Objects in the order in which placement groups hold them, for cursors of listings and ranges of backoffs.

use super::{ObjectLocator, Placement};
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::types::{PoolId, SnapId};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

/// The pool before all others, in which the smallest object lies.
const POOL_MIN: PoolId = PoolId(i64::MIN);
/// The pool that old senders put the smallest object into.
const POOL_MIN_OLD: PoolId = PoolId(-1);

/// An object as placement groups sort it, or the end of all of them.
///
/// They sort by pool, hash with its bits reversed, namespace, key (the name, if there is none), name and snapshot. The
/// bits are reversed so that a placement group, which is a hash's *low* bits, is one range of the order, also after it
/// was split.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Hobject {
    /// An object.
    Object(HashedObject),
    /// Behind all objects.
    Max,
}

/// An object with the hash that places it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HashedObject {
    /// Its pool.
    pub pool: PoolId,
    /// The hash, all 32 bits of it.
    pub hash: u32,
    /// Its namespace.
    pub namespace: Vec<u8>,
    /// Its name.
    pub name: Vec<u8>,
    /// The snapshot, or the head.
    pub snap: SnapId,
    /// What was hashed in place of the name; empty if it was the name.
    key: Vec<u8>,
}

impl HashedObject {
    /// The head of the object `name`.
    pub fn head(locator: &ObjectLocator, name: &[u8], hash: u32) -> HashedObject {
        let key = match &locator.placement {
            Placement::Key(key) if key != name => key.clone(),
            Placement::Key(_) | Placement::Name | Placement::Hash(_) => Vec::new(),
        };
        let (pool, namespace) = (locator.pool, locator.namespace.clone());
        HashedObject { pool, hash, namespace, name: name.to_vec(), snap: SnapId::HEAD, key }
    }

    /// The same object at a snapshot.
    pub fn at(self, snap: SnapId) -> HashedObject {
        HashedObject { snap, ..self }
    }

    /// What was hashed in place of the name; empty if it was the name.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    fn is_min(&self) -> bool {
        self.pool == POOL_MIN && self.hash == 0 && self.snap == SnapId(0) && self.name.is_empty()
    }

    fn order(&self) -> (PoolId, u32, &[u8], &[u8], &[u8], SnapId) {
        let key = if self.key.is_empty() { &self.name } else { &self.key };
        (self.pool, self.hash.reverse_bits(), &self.namespace, key, &self.name, self.snap)
    }
}

impl Hobject {
    /// Before all objects.
    pub const MIN: Hobject = Hobject::Object(HashedObject {
        pool: POOL_MIN,
        hash: 0,
        namespace: Vec::new(),
        name: Vec::new(),
        snap: SnapId(0),
        key: Vec::new(),
    });

    /// Reads one.
    pub fn decode(d: &mut Decoder<'_>) -> Result<Hobject, DecodeError> {
        d.versioned("an object's place", 4, |d, version| {
            if version < 4 {
                return Err(d.invalid("a form older than any that a supported cluster sends"));
            }
            let (mut key, name) = (d.blob()?.to_vec(), d.blob()?.to_vec());
            let (snap, hash) = (SnapId::decode(d)?, d.u32()?);
            let max = d.bool()?;
            let (namespace, mut pool) = (d.blob()?.to_vec(), PoolId::decode(d)?);
            if max {
                return Ok(Hobject::Max);
            }
            if pool == POOL_MIN_OLD && snap == SnapId(0) && hash == 0 && name.is_empty() {
                pool = POOL_MIN;
            }
            if key == name {
                key.clear();
            }
            Ok(Hobject::Object(HashedObject { pool, hash, namespace, name, snap, key }))
        })
    }

    /// Writes it.
    pub fn encode(&self, e: &mut Encoder<'_>) {
        e.versioned(4, 3, |e| match self {
            Hobject::Object(object) => {
                e.blob(&object.key).blob(&object.name).u64(object.snap.0).u32(object.hash);
                e.bool(false).blob(&object.namespace).i64(object.pool.0);
            }
            Hobject::Max => {
                e.blob(b"").blob(b"").u64(0).u32(0).bool(true).blob(b"").i64(POOL_MIN.0);
            }
        });
    }

    /// The hash that tells which placement group it lies in; none at the end.
    pub fn hash(&self) -> Option<u32> {
        match self {
            Hobject::Object(object) => Some(object.hash),
            Hobject::Max => None,
        }
    }
}

impl Ord for HashedObject {
    fn cmp(&self, other: &HashedObject) -> Ordering {
        self.order().cmp(&other.order())
    }
}

impl PartialOrd for HashedObject {
    fn partial_cmp(&self, other: &HashedObject) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Hobject {
    fn cmp(&self, other: &Hobject) -> Ordering {
        match (self, other) {
            (Hobject::Object(this), Hobject::Object(other)) => this.cmp(other),
            (Hobject::Object(_), Hobject::Max) => Ordering::Less,
            (Hobject::Max, Hobject::Object(_)) => Ordering::Greater,
            (Hobject::Max, Hobject::Max) => Ordering::Equal,
        }
    }
}

impl PartialOrd for Hobject {
    fn partial_cmp(&self, other: &Hobject) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Hobject {
    /// As Ceph writes it: `2:8b70cf3e:ns:key:name:head`, with the hash's bits reversed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let object = match self {
            Hobject::Max => return f.write_str("MAX"),
            Hobject::Object(object) if object.is_min() => return f.write_str("MIN"),
            Hobject::Object(object) => object,
        };
        write!(f, "{}:{:08x}:", object.pool, object.hash.reverse_bits())?;
        for part in [&object.namespace, &object.key, &object.name] {
            write!(f, "{}:", escaped(part))?;
        }
        match object.snap {
            SnapId::HEAD => f.write_str("head"),
            SnapId::DIR => f.write_str("snapdir"),
            SnapId(snap) => write!(f, "{snap:x}"),
        }
    }
}

/// Bytes as text in which nothing can be mistaken for a colon between parts.
fn escaped(bytes: &[u8]) -> Cow<'_, str> {
    let plain = |byte: &u8| matches!(byte, 0x20..=0x7e) && !matches!(byte, b'%' | b':' | b'/');
    match str::from_utf8(bytes) {
        Ok(text) if bytes.iter().all(plain) => Cow::Borrowed(text),
        Ok(_) | Err(_) => {
            let escape =
                |byte: &u8| if plain(byte) { char::from(*byte).to_string() } else { format!("%{byte:02x}") };
            Cow::Owned(bytes.iter().map(escape).collect())
        }
    }
}

/// A range of the order: from `begin` up to before `end`, and `begin` itself in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HobjectRange {
    /// The first.
    pub begin: Hobject,
    /// Behind the last.
    pub end: Hobject,
}

impl HobjectRange {
    /// Whether an object lies in it.
    pub fn contains(&self, object: &Hobject) -> bool {
        *object == self.begin || (&self.begin..&self.end).contains(&object)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn object(pool: i64, hash: u32, name: &[u8], snap: u64) -> Hobject {
        let locator = ObjectLocator::pool(PoolId(pool));
        Hobject::Object(HashedObject::head(&locator, name, hash).at(SnapId(snap)))
    }

    /// The order as it is told, part by part, on the bits of the hash from its lowest.
    fn naive(one: &Hobject, other: &Hobject) -> Ordering {
        let (one, other) = match (one, other) {
            (Hobject::Object(one), Hobject::Object(other)) => (one, other),
            (one, other) => return (one == &Hobject::Max).cmp(&(other == &Hobject::Max)),
        };
        let mut order = one.pool.0.cmp(&other.pool.0);
        for bit in 0..32 {
            order = order.then(((one.hash >> bit) & 1).cmp(&((other.hash >> bit) & 1)));
        }
        order = order.then(one.namespace.cmp(&other.namespace));
        if !(one.key.is_empty() && other.key.is_empty()) {
            let effective = |o: &HashedObject| if o.key.is_empty() { o.name.clone() } else { o.key.clone() };
            order = order.then(effective(one).cmp(&effective(other)));
        }
        order.then(one.name.cmp(&other.name)).then(one.snap.0.cmp(&other.snap.0))
    }

    /// Objects that often agree in their first parts.
    fn any_hobject() -> impl Strategy<Value = Hobject> {
        let short = || proptest::collection::vec(prop_oneof![Just(b'a'), Just(b'b'), Just(0xff)], 0..3);
        let hash = prop_oneof![0..4_u32, any::<u32>(), Just(0x8000_0000)];
        let object = (-1..2_i64, hash, short(), short(), short(), 0..3_u64).prop_map(
            |(pool, hash, namespace, key, name, snap)| {
                let placement = if key.is_empty() { Placement::Name } else { Placement::Key(key) };
                let locator = ObjectLocator { pool: PoolId(pool), namespace, placement };
                Hobject::Object(HashedObject::head(&locator, &name, hash).at(SnapId(snap)))
            },
        );
        prop_oneof![20 => object, 1 => Just(Hobject::Max), 1 => Just(Hobject::MIN)]
    }

    proptest! {
        #[test]
        fn the_order_is_the_naive_one(one in any_hobject(), other in any_hobject()) {
            prop_assert_eq!(one.cmp(&other), naive(&one, &other));
            prop_assert_eq!(one.cmp(&other) == Ordering::Equal, one == other);
            prop_assert!(Hobject::MIN <= one && one <= Hobject::Max);
        }

        #[test]
        fn it_comes_back(one in any_hobject()) {
            let bytes = Encoder::to_vec(|e| one.encode(e));
            let mut d = Decoder::new("test", &bytes);
            let read = Hobject::decode(&mut d).unwrap();
            // The old form of the smallest object reads as the smallest.
            match &one {
                Hobject::Object(o) if o.pool == POOL_MIN_OLD && o.hash == 0 && o.name.is_empty() => {}
                _ => prop_assert_eq!(read, one),
            }
            prop_assert_eq!(d.left(), 0);
        }
    }

    #[test]
    fn it_prints_as_ceph_prints_it() {
        assert_eq!(object(2, 0x7fc1_f406, b"foo", SnapId::HEAD.0).to_string(), "2:602f83fe:::foo:head");
        assert_eq!(object(2, 1, b"a:\xff", 0x1f).to_string(), "2:80000000:::a%3a%ff:1f");
        assert_eq!(Hobject::MIN.to_string(), "MIN");
        assert_eq!(Hobject::Max.to_string(), "MAX");
    }

    #[test]
    fn a_range_of_nothing_is_its_one_object() {
        let (a, b, c) = (object(1, 0, b"a", 5), object(1, 0, b"b", 5), object(1, 0, b"c", 5));
        let one = HobjectRange { begin: b.clone(), end: b.clone() };
        assert!(one.contains(&b) && !one.contains(&a) && !one.contains(&c));
        let range = HobjectRange { begin: a.clone(), end: c.clone() };
        assert!(range.contains(&a) && range.contains(&b) && !range.contains(&c));
        let all = HobjectRange { begin: Hobject::MIN, end: Hobject::Max };
        assert!(all.contains(&a) && !all.contains(&Hobject::Max));
    }
}
