//! The data of a message: none, one buffer (the usual case, without a list), or several in order.

use ringbd_proto::crc;
use ringbd_reactor::SharedBuf;

/// Buffers that follow each other.
#[derive(Clone, Debug, Default)]
pub(super) enum Pieces {
    #[default]
    None,
    One(SharedBuf),
    Many(Vec<SharedBuf>),
}

impl Pieces {
    /// Puts a buffer behind the others.
    pub(super) fn push(&mut self, piece: SharedBuf) {
        if piece.is_empty() {
            return;
        }
        *self = match std::mem::take(self) {
            Pieces::None => Pieces::One(piece),
            Pieces::One(first) => Pieces::Many(vec![first, piece]),
            Pieces::Many(mut all) => {
                all.push(piece);
                Pieces::Many(all)
            }
        };
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, SharedBuf> {
        match self {
            Pieces::None => [].iter(),
            Pieces::One(piece) => std::slice::from_ref(piece).iter(),
            Pieces::Many(all) => all.iter(),
        }
    }

    /// Bytes of all.
    pub(super) fn len(&self) -> usize {
        self.iter().map(|piece| piece.len()).sum()
    }

    /// Calls `f` with the bytes of all.
    pub(super) fn with_slices<R>(&self, f: impl FnOnce(&[&[u8]]) -> R) -> R {
        match self {
            Pieces::None => f(&[]),
            Pieces::One(piece) => f(&[piece]),
            Pieces::Many(all) => f(&all.iter().map(|piece| &piece[..]).collect::<Vec<_>>()),
        }
    }

    /// The checksum that a frame carries of them.
    pub(super) fn crc(&self) -> u32 {
        self.with_slices(|slices| crc::crc32c_slices(crc::SEED, slices))
    }
}
