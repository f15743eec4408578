//! What the ends of a connection can do: the two sets of feature bits.
//!
//! [`Features`] is the large, old set. Daemons look at the client's bits to choose how they encode maps *for it*, so
//! the set must be that of a release whose encodings ringbd reads, bit by bit: an invented one quietly gets maps of
//! an old form. [`BannerFeatures`] is the small set of the messenger itself.

use std::fmt;

/// Features of a release. Several meanings shared a bit over the years; a newer meaning counts only together with the
/// bits of its incarnation, so a feature here is a mask, and an end has the feature when it has all of the mask's bits.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Features(pub u64);

/// The bits that go with a bit of the second incarnation.
const SECOND: u64 = 1 << 57;
/// The bits that go with a bit of the third.
const THIRD: u64 = SECOND | 1 << 28;

impl Features {
    /// The encodings of Jewel: requests that name their attempts.
    pub const SERVER_JEWEL: Features = Features(SECOND);
    /// The encodings of Luminous: maps with upmaps and choose_args; OSDs ask for quiet with backoffs, and take requests
    /// again when a placement group splits.
    pub const SERVER_LUMINOUS: Features = Features(1 << 21 | SECOND);
    /// The encodings of Mimic.
    pub const SERVER_MIMIC: Features = Features(1 << 28 | SECOND);
    /// The encodings of Nautilus: maps in which every participant has several addresses.
    pub const SERVER_NAUTILUS: Features = Features(1 << 2 | THIRD);
    /// The encodings of Octopus.
    pub const SERVER_OCTOPUS: Features = Features(1 << 16 | THIRD);
    /// The encodings of Pacific.
    pub const SERVER_PACIFIC: Features = Features(1 << 20 | THIRD);
    /// The encodings of Quincy.
    pub const SERVER_QUINCY: Features = Features(1 << 33 | THIRD);
    /// The encodings of Reef: maps with primaries set by hand.
    pub const SERVER_REEF: Features = Features(1 << 31 | THIRD);
    /// Blocklists with ranges of addresses: Quincy's, and brought to Pacific later.
    pub const RANGE_BLOCKLIST: Features = Features(1 << 34 | THIRD);
    /// CRUSH rules as erasure-coded pools need them.
    pub const CRUSH_V2: Features = Features(1 << 36);
    /// The present encoding of requests to OSDs.
    pub const NEW_OSDOP_ENCODING: Features = Features(1 << 56);
    /// The present encoding of their answers, and the last tunables of CRUSH.
    pub const NEW_OSDOPREPLY_ENCODING: Features = Features(1 << 58);
    /// Addresses that say which protocol is spoken there. The second messenger protocol needs it.
    pub const MSG_ADDR2: Features = Features(1 << 59);
    /// Authentication in which the server challenges the client.
    pub const CEPHX_V2: Features = Features(1 << 61);

    /// What ringbd says that it supports: the exact mask of Pacific's last release, 16.2.15. Newer clusters then encode
    /// as they do for Pacific, older ones as they always did. The mask has Reef's bit, which meant something else when
    /// Pacific was young, so from Reef on maps come with primaries set by hand.
    pub const PACIFIC: Features = Features(0x3f01_cfbd_fffd_ffff);

    /// What ringbd needs of a peer. All else that it relies on came before the second messenger protocol did.
    pub const REQUIRED: Features = Features::MSG_ADDR2;

    /// Whether all of `wanted` is there.
    pub const fn contains(self, wanted: Features) -> bool {
        wanted.0 & !self.0 == 0
    }

    /// What both have.
    pub const fn common(self, other: Features) -> Features {
        Features(self.0 & other.0)
    }

    /// What of `wanted` is missing here.
    pub const fn missing(self, wanted: Features) -> Features {
        Features(wanted.0 & !self.0)
    }

    /// Whether nothing is set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Features({:#x})", self.0)
    }
}

const _: () = {
    let bits = [
        Features::SERVER_JEWEL,
        Features::SERVER_LUMINOUS,
        Features::SERVER_MIMIC,
        Features::SERVER_NAUTILUS,
        Features::SERVER_OCTOPUS,
        Features::SERVER_PACIFIC,
        Features::CRUSH_V2,
        Features::NEW_OSDOP_ENCODING,
        Features::NEW_OSDOPREPLY_ENCODING,
        Features::MSG_ADDR2,
        Features::CEPHX_V2,
    ];
    let mut at = 0;
    while at < bits.len() {
        assert!(Features::PACIFIC.contains(bits[at]));
        at += 1;
    }
    assert!(Features::PACIFIC.contains(Features::REQUIRED));
    assert!(Features::PACIFIC.contains(Features::RANGE_BLOCKLIST));
    assert!(!Features::PACIFIC.contains(Features::SERVER_QUINCY));
    assert!(Features::PACIFIC.contains(Features::SERVER_REEF));
};

/// What the messenger itself can do, as the banner announces it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct BannerFeatures(pub u64);

impl BannerFeatures {
    /// Frames of revision 1, the only ones that ringbd speaks.
    pub const REVISION_1: BannerFeatures = BannerFeatures(1);
    /// Frames may be compressed once both ends have agreed on how. ringbd does not announce it, so it never happens.
    pub const COMPRESSION: BannerFeatures = BannerFeatures(2);
    /// What ringbd announces.
    pub const SUPPORTED: BannerFeatures = BannerFeatures::REVISION_1;

    /// Whether all of `wanted` is there.
    pub const fn contains(self, wanted: BannerFeatures) -> bool {
        wanted.0 & !self.0 == 0
    }
}

impl fmt::Display for BannerFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Debug for BannerFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BannerFeatures({:#x})", self.0)
    }
}
