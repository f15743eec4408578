//! What a power cut does to the operations that no sync had covered: kept, dropped, or torn at sectors.
//!
//! A style is drawn per cut. Independent fates alone would almost never show the extremes (all kept, all
//! dropped, everything up to one operation), and those are where recovery code breaks.

use std::ops::Range;

use fastrand::Rng;

use super::image::SECTOR;

/// Sectors of a torn operation that get a coin each; larger operations are torn into runs.
const TEAR_EACH_MAX: u64 = 16_384;

/// What becomes of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Kept,
    Dropped,
    Torn,
}

/// How a power cut chooses. Operations are known by the number the disk gave them, in order of completion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CutStyle {
    /// Everything reached the disk in time.
    KeepAll,
    /// Nothing did.
    DropAll,
    /// Everything up to an operation did, nothing after it; the operation itself may be torn.
    Prefix {
        /// How far, between 0 (nothing) and 1 (everything).
        share: f64,
    },
    /// Nothing up to an operation did, everything after it did: the worst order a disk may choose.
    Suffix {
        /// Where, between 0 (everything) and 1 (nothing).
        share: f64,
    },
    /// Each operation has a fate of its own.
    Independent {
        /// The probability that an operation is kept.
        keep: f64,
        /// The probability that one that is not kept is torn rather than dropped.
        tear: f64,
    },
}

impl CutStyle {
    /// A style by chance.
    pub(super) fn draw(rng: &mut Rng) -> CutStyle {
        match rng.u8(0..10) {
            0 => CutStyle::KeepAll,
            1 => CutStyle::DropAll,
            2 | 3 => CutStyle::Prefix { share: rng.f64() },
            4 => CutStyle::Suffix { share: rng.f64() },
            _ => CutStyle::Independent { keep: rng.f64(), tear: rng.f64() },
        }
    }
}

/// Decides the fates in one power cut.
pub(super) struct Fates<'a> {
    style: CutStyle,
    rng: &'a mut Rng,
    /// Numbers of the first and the last operation that is not durable.
    span: (u64, u64),
}

impl<'a> Fates<'a> {
    /// Fates in `style`. For the styles that need an order, [`Fates::over`] has to say what is at stake.
    pub(super) fn new(style: CutStyle, rng: &'a mut Rng) -> Fates<'a> {
        Fates { style, rng, span: (0, 0) }
    }

    /// Tells the numbers of all operations at stake.
    pub(super) fn over(mut self, at_stake: impl Iterator<Item = u64>) -> Fates<'a> {
        let span = at_stake.fold(None, |span: Option<(u64, u64)>, seq| {
            Some(span.map_or((seq, seq), |(first, last)| (first.min(seq), last.max(seq))))
        });
        self.span = span.unwrap_or((0, 0));
        self
    }

    /// The fate of an operation on content.
    pub(super) fn of(&mut self, seq: u64) -> Fate {
        match self.style {
            CutStyle::KeepAll => Fate::Kept,
            CutStyle::DropAll => Fate::Dropped,
            CutStyle::Prefix { share } => match seq.cmp(&self.turning_point(share)) {
                std::cmp::Ordering::Less => Fate::Kept,
                std::cmp::Ordering::Equal => self.any(),
                std::cmp::Ordering::Greater => Fate::Dropped,
            },
            CutStyle::Suffix { share } => {
                if seq < self.turning_point(share) {
                    Fate::Dropped
                } else {
                    Fate::Kept
                }
            }
            CutStyle::Independent { keep, tear } => {
                if self.chance(keep) {
                    Fate::Kept
                } else if self.chance(tear) {
                    Fate::Torn
                } else {
                    Fate::Dropped
                }
            }
        }
    }

    /// The fate of an operation on metadata, which is never torn.
    pub(super) fn keeps(&mut self, seq: u64) -> bool {
        match self.of(seq) {
            Fate::Kept => true,
            Fate::Dropped => false,
            Fate::Torn => self.rng.bool(),
        }
    }

    /// A place for an operation in flight among those that completed after it began.
    pub(super) fn place(&mut self, places: Range<usize>) -> usize {
        self.rng.usize(places.start..=places.end)
    }

    /// The parts of `range` that reached the disk although the whole did not.
    pub(super) fn sectors(&mut self, range: &Range<u64>) -> Vec<Range<u64>> {
        let sectors = range.start / SECTOR..range.end.div_ceil(SECTOR);
        let count = sectors.end - sectors.start;
        let mut kept: Vec<Range<u64>> = Vec::new();
        let mut at = sectors.start;
        let (mut coins, mut left) = (0u64, 0);
        while at < sectors.end {
            let run =
                if count <= TEAR_EACH_MAX { 1 } else { self.rng.u64(1..=count / 8).min(sectors.end - at) };
            if left == 0 {
                (coins, left) = (self.rng.u64(..), 64);
            }
            if coins & 1 == 1 {
                let part = (at * SECTOR).max(range.start)..((at + run) * SECTOR).min(range.end);
                match kept.last_mut().filter(|last| last.end == part.start) {
                    Some(last) => last.end = part.end,
                    None => kept.push(part),
                }
            }
            coins >>= 1;
            left -= 1;
            at += run;
        }
        kept
    }

    fn any(&mut self) -> Fate {
        match self.rng.u8(0..3) {
            0 => Fate::Kept,
            1 => Fate::Dropped,
            _ => Fate::Torn,
        }
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.rng.f64() < probability
    }

    fn turning_point(&self, share: f64) -> u64 {
        let (first, last) = self.span;
        let width = last - first + 2;
        first + ((width as f64 * share) as u64).min(width - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn torn_parts_are_sectors_of_the_range_in_order() {
        for seed in 0..200 {
            let mut rng = Rng::with_seed(seed);
            let start = rng.u64(0..5_000);
            let range = start..start + rng.u64(1..if seed % 10 == 0 { 1 << 30 } else { 20_000 });
            let parts = Fates::new(CutStyle::KeepAll, &mut rng).sectors(&range);
            for part in &parts {
                assert!(range.start <= part.start && part.start < part.end && part.end <= range.end);
                assert!(part.start == range.start || part.start % SECTOR == 0);
                assert!(part.end == range.end || part.end % SECTOR == 0);
            }
            assert!(parts.windows(2).all(|pair| pair[0].end < pair[1].start));
        }
    }

    #[test]
    fn a_prefix_reaches_both_ends() {
        let kept = |share| {
            let mut rng = Rng::with_seed(1);
            let mut fates = Fates::new(CutStyle::Prefix { share }, &mut rng).over([5, 9].into_iter());
            [5, 7, 9].map(|seq| fates.of(seq) == Fate::Kept)
        };
        assert_eq!(kept(0.999_999), [true; 3]);
        assert_eq!(kept(0.4), [true, false, false]);
    }
}
