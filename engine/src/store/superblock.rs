//! The superblock and the data label: the two fixed blocks that say what a store is. Pure encoding and decoding.
//!
//! Both are [`BLOCK_BYTES`] long and end in a CRC-32C over everything before it, so that any flipped bit, any truncation and any
//! foreign file is told apart from a good block. The layout is drawn in `FORMAT.md`.

use std::fmt;
use std::path::PathBuf;

/// The bytes of each block: one disk page, written and read whole.
pub(super) const BLOCK_BYTES: usize = 4096;

/// The format version this code writes, and the only one it reads. Additions are feature bits; the version changes
/// only when the blocks themselves do.
pub const FORMAT_VERSION: u32 = 1;

const SUPERBLOCK_MAGIC: [u8; 16] = *b"ringbd store\r\n\x1a\n";
const LABEL_MAGIC: [u8; 16] = *b"ringbd data.\r\n\x1a\n";
const CRC_AT: usize = BLOCK_BYTES - 4;
/// The longest path of a block device. Linux allows 4095; this leaves room in the block and is far above any /dev name.
pub(super) const PATH_MAX: usize = 1024;

/// What a store may use beyond the base format. A bit that this code does not know means something different in each word.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Features {
    /// Unknown bits here are harmless: older code may read and write.
    pub compat: u64,
    /// Unknown bits here forbid opening at all.
    pub incompat: u64,
    /// Unknown bits here allow reading but forbid writing.
    pub ro_compat: u64,
}

impl Features {
    /// Images may have snapshots: object entries under a snapshot id other than the head's. Reserved.
    pub const INCOMPAT_SNAPSHOTS: u64 = 1 << 0;
    /// Images may have parents, and objects may be whiteouts. Reserved.
    pub const INCOMPAT_CLONES: u64 = 1 << 1;
    /// The table `object_maps` is kept up to date by every writer. Reserved.
    pub const RO_COMPAT_OBJECT_MAPS: u64 = 1 << 0;

    /// The incompatible features that this code understands.
    pub const KNOWN_INCOMPAT: u64 = 0;
    /// The read-only compatible features that this code keeps correct when it writes.
    pub const KNOWN_RO_COMPAT: u64 = 0;
}

/// The store's identity, the same in superblock, label and metadata.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StoreUuid(pub [u8; 16]);

impl fmt::Display for StoreUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for StoreUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where the data lies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DataLocation {
    /// The file `data` in the store's directory.
    File,
    /// A block device (or any other file) somewhere else.
    Path(PathBuf),
}

/// What the file `superblock` says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Superblock {
    /// The store's identity.
    pub uuid: StoreUuid,
    /// When the store was made, in nanoseconds since 1970.
    pub created_ns: u64,
    /// The features in use.
    pub features: Features,
    /// The most bytes the data may grow to, label included; `None` means until the disk is full.
    pub data_bytes_max: Option<u64>,
    /// Where the data lies.
    pub data: DataLocation,
}

/// Why a block is no good.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BlockError {
    /// Shorter (or longer) than a block.
    #[error("it has {0} bytes where {BLOCK_BYTES} belong (truncated?)")]
    Length(usize),
    /// Something else lies there.
    #[error("it does not begin as ringbd's do: this is some other program's file")]
    Magic,
    /// A format of another time.
    #[error("it has format version {0}; this ringbd reads version {FORMAT_VERSION}")]
    Version(u32),
    /// A bit flipped, or the write was torn.
    #[error("its checksum is wrong: {found:#010x} where {expected:#010x} was computed")]
    Checksum {
        /// What the block carries.
        found: u32,
        /// What its bytes give.
        expected: u32,
    },
    /// The checksum is right and a field still makes no sense: a bug in the code that wrote it.
    #[error("its field {0} has an impossible value")]
    Field(&'static str),
}

impl Superblock {
    /// The block to write.
    ///
    /// # Panics
    /// If the device path is longer than 1024 bytes; the creator has checked that.
    pub fn encode(&self) -> Vec<u8> {
        let mut block = start(SUPERBLOCK_MAGIC, self.uuid);
        block[36..44].copy_from_slice(&self.created_ns.to_le_bytes());
        block[44..52].copy_from_slice(&self.features.compat.to_le_bytes());
        block[52..60].copy_from_slice(&self.features.incompat.to_le_bytes());
        block[60..68].copy_from_slice(&self.features.ro_compat.to_le_bytes());
        block[68..76].copy_from_slice(&self.data_bytes_max.unwrap_or(0).to_le_bytes());
        if let DataLocation::Path(path) = &self.data {
            let bytes = path.as_os_str().as_encoded_bytes();
            assert!(!bytes.is_empty() && bytes.len() <= PATH_MAX, "the creator checks the path's length");
            block[76..78].copy_from_slice(&(bytes.len() as u16).to_le_bytes());
            block[78..78 + bytes.len()].copy_from_slice(bytes);
        }
        finish(block)
    }

    /// Reads a block back. Feature bits are returned, not judged: the opener knows whether it will write.
    pub fn decode(block: &[u8]) -> Result<Self, BlockError> {
        let uuid = verify(block, SUPERBLOCK_MAGIC)?;
        let path_len = usize::from(u16::from_le_bytes([block[76], block[77]]));
        if path_len > PATH_MAX {
            return Err(BlockError::Field("data path length"));
        }
        let data = match &block[78..78 + path_len] {
            [] => DataLocation::File,
            bytes => DataLocation::Path(PathBuf::from(
                std::str::from_utf8(bytes).map_err(|_| BlockError::Field("data path"))?,
            )),
        };
        let limit = u64_at(block, 68);
        Ok(Self {
            uuid,
            created_ns: u64_at(block, 36),
            features: Features {
                compat: u64_at(block, 44),
                incompat: u64_at(block, 52),
                ro_compat: u64_at(block, 60),
            },
            data_bytes_max: (limit != 0).then_some(limit),
            data,
        })
    }
}

/// The label at the start of the data, which makes sure that this file or device belongs to that superblock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Label {
    /// The store this data belongs to.
    pub uuid: StoreUuid,
}

impl Label {
    /// The block to write at byte 0 of the data.
    pub(super) fn encode(&self) -> Vec<u8> {
        finish(start(LABEL_MAGIC, self.uuid))
    }

    /// Reads a label back.
    pub(super) fn decode(block: &[u8]) -> Result<Self, BlockError> {
        verify(block, LABEL_MAGIC).map(|uuid| Self { uuid })
    }
}

/// A block with the fields that both kinds share: magic, version, identity.
fn start(magic: [u8; 16], uuid: StoreUuid) -> Vec<u8> {
    let mut block = vec![0; BLOCK_BYTES];
    block[..16].copy_from_slice(&magic);
    block[16..20].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    block[20..36].copy_from_slice(&uuid.0);
    block
}

fn finish(mut block: Vec<u8>) -> Vec<u8> {
    let crc = crc32c::crc32c(&block[..CRC_AT]);
    block[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
    block
}

/// Checks everything both kinds share, in the order that names the likeliest cause first.
fn verify(block: &[u8], magic: [u8; 16]) -> Result<StoreUuid, BlockError> {
    if block.len() != BLOCK_BYTES {
        return Err(BlockError::Length(block.len()));
    }
    if block[..16] != magic {
        return Err(BlockError::Magic);
    }
    let found = u32_at(block, CRC_AT);
    let expected = crc32c::crc32c(&block[..CRC_AT]);
    if found != expected {
        return Err(BlockError::Checksum { found, expected });
    }
    let version = u32_at(block, 16);
    if version != FORMAT_VERSION {
        return Err(BlockError::Version(version));
    }
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&block[20..36]);
    Ok(StoreUuid(uuid))
}

fn u32_at(block: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(block[at..at + 4].try_into().expect("four bytes were sliced"))
}

fn u64_at(block: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(block[at..at + 8].try_into().expect("eight bytes were sliced"))
}

/// Decodes a block as both kinds, as it is and completed: whatever decodes must survive encoding.
pub(super) fn fuzz(bytes: &[u8]) {
    let whole = (bytes.len() < BLOCK_BYTES).then(|| {
        let mut block = vec![0; BLOCK_BYTES];
        block[..bytes.len()].copy_from_slice(bytes);
        finish(block)
    });
    for block in [Some(bytes.to_vec()), whole].into_iter().flatten() {
        if let Ok(superblock) = Superblock::decode(&block) {
            assert_eq!(Superblock::decode(&superblock.encode()), Ok(superblock));
        }
        if let Ok(label) = Label::decode(&block) {
            assert_eq!(Label::decode(&label.encode()), Ok(label));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Superblock {
        Superblock {
            uuid: StoreUuid(*b"0123456789abcdef"),
            created_ns: 77,
            features: Features { compat: 1, incompat: 2, ro_compat: 4 },
            data_bytes_max: Some(1 << 30),
            data: DataLocation::Path("/dev/nvme0n1".into()),
        }
    }

    #[test]
    fn blocks_come_back_as_written() {
        assert_eq!(Superblock::decode(&sample().encode()), Ok(sample()));
        let plain = Superblock { data: DataLocation::File, data_bytes_max: None, ..sample() };
        assert_eq!(Superblock::decode(&plain.encode()), Ok(plain));
        let label = Label { uuid: sample().uuid };
        assert_eq!(Label::decode(&label.encode()), Ok(label));
        assert_eq!(Superblock::decode(&label.encode()), Err(BlockError::Magic));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let good = sample().encode();
        for byte in 0..BLOCK_BYTES {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[byte] ^= 1 << bit;
                assert!(Superblock::decode(&bad).is_err(), "bit {bit} of byte {byte}");
            }
        }
    }

    #[test]
    fn truncation_and_newer_versions_are_named() {
        let good = sample().encode();
        assert_eq!(Superblock::decode(&good[..100]), Err(BlockError::Length(100)));
        assert_eq!(Superblock::decode(&[]), Err(BlockError::Length(0)));
        let mut newer = good;
        newer[16] = 9;
        assert_eq!(Superblock::decode(&finish(newer)), Err(BlockError::Version(9)));
    }

    #[test]
    fn any_path_length_and_bytes_are_safe() {
        let mut block = sample().encode();
        for len in [0u16, 1, 1024, 1025, u16::MAX] {
            block[76..78].copy_from_slice(&len.to_le_bytes());
            block[78] = 0xff;
            fuzz(&block[..BLOCK_BYTES - 1]);
        }
    }

    #[test]
    fn a_uuid_reads_as_uuids_do() {
        assert_eq!(sample().uuid.to_string(), "30313233-3435-3637-3839-616263646566");
    }
}
