//! Readahead: notices that an image is read in sequence, and says what to read before it is asked for.
//!
//! The options mean what they mean in librbd. After `trigger_requests` reads that each began where the last one
//! ended, the first window is as long as what those reads brought; each later window doubles, up to
//! `max_bytes`, and opens when the reader is half way through the one before. A window's end is moved to a
//! boundary (of an object set, a stripe, a stripe unit: the first that is near enough) if that changes its
//! length by less than a half. After `disable_after_bytes` have been read in all it stops: it is meant for the
//! guest's boot, after which the guest's own readahead works.

/// The options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadaheadConfig {
    /// Sequential reads before the first window (`rbd_readahead_trigger_requests`).
    pub trigger_requests: u32,
    /// The longest window (`rbd_readahead_max_bytes`). Zero: no readahead.
    pub max_bytes: u64,
    /// Bytes read in all after which it stops (`rbd_readahead_disable_after_bytes`). Zero: never.
    pub disable_after_bytes: u64,
    /// Where windows should end, the most wanted first: multiples of these. Not zero.
    pub alignments: Vec<u64>,
}

impl Default for ReadaheadConfig {
    fn default() -> Self {
        Self {
            trigger_requests: 10,
            max_bytes: 512 << 10,
            disable_after_bytes: 50 << 20,
            alignments: Vec::new(),
        }
    }
}

/// Something to read ahead: a range of the image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// First byte in the image.
    pub offset: u64,
    /// Length in bytes; not zero.
    pub len: u64,
}

/// The detector of one image.
#[derive(Clone, Debug)]
pub struct Readahead {
    config: ReadaheadConfig,
    read_bytes: u64,
    /// Where a sequential read would begin.
    expected: u64,
    sequence_reads: u32,
    sequence_bytes: u64,
    /// Reads up to here have been asked for in advance.
    ahead: u64,
    /// Reaching this opens the next window.
    reopen_at: u64,
    /// The window before it was aligned; zero before the first.
    window_bytes: u64,
}

impl Readahead {
    /// A detector that has seen nothing.
    pub fn new(config: ReadaheadConfig) -> Self {
        assert!(!config.alignments.contains(&0), "nothing is aligned to zero");
        Self {
            config,
            read_bytes: 0,
            expected: 0,
            sequence_reads: 0,
            sequence_bytes: 0,
            ahead: 0,
            reopen_at: 0,
            window_bytes: 0,
        }
    }

    /// Notes a read of the image, which has `image_bytes`; says what to read ahead.
    pub fn read(&mut self, offset: u64, len: u64, image_bytes: u64) -> Option<Window> {
        if self.is_over() {
            return None;
        }
        self.read_bytes = self.read_bytes.saturating_add(len);
        self.note(offset, len);
        if self.sequence_reads < self.config.trigger_requests || self.expected < self.reopen_at {
            return None;
        }
        self.open(image_bytes)
    }

    /// Will it never say anything again?
    pub fn is_over(&self) -> bool {
        let limit = self.config.disable_after_bytes;
        self.config.max_bytes == 0 || (limit != 0 && self.read_bytes > limit)
    }

    fn note(&mut self, offset: u64, len: u64) {
        if offset == self.expected {
            self.sequence_reads = self.sequence_reads.saturating_add(1);
            self.sequence_bytes = self.sequence_bytes.saturating_add(len);
        } else {
            self.sequence_reads = 0;
            self.sequence_bytes = 0;
            self.reopen_at = 0;
            self.window_bytes = 0;
        }
        self.expected = offset + len;
    }

    fn open(&mut self, image_bytes: u64) -> Option<Window> {
        if self.window_bytes == 0 {
            self.window_bytes = self.sequence_bytes;
            self.ahead = self.expected;
        } else {
            self.window_bytes = self.window_bytes.saturating_mul(2);
            self.ahead = self.ahead.max(self.expected);
        }
        self.window_bytes = self.window_bytes.min(self.config.max_bytes);
        let offset = self.ahead;
        let end = self.aligned_end(offset, self.window_bytes).min(image_bytes.max(offset));
        self.reopen_at = offset + (end - offset) / 2;
        self.ahead = end;
        (end > offset).then_some(Window { offset, len: end - offset })
    }

    fn aligned_end(&self, offset: u64, len: u64) -> u64 {
        let end = offset + len;
        for alignment in &self.config.alignments {
            let below = end / alignment * alignment;
            let above = below + alignment;
            let (to_below, to_above) = (end - below, above - end);
            if to_below < len / 2 && to_below < to_above {
                return below;
            }
            if to_above < len / 2 {
                return above;
            }
        }
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: u64 = 1 << 30;

    fn sequential(readahead: &mut Readahead, from: u64, len: u64, reads: u64) -> Vec<Window> {
        (0..reads).filter_map(|n| readahead.read(from + n * len, len, IMAGE)).collect()
    }

    #[test]
    fn ten_sequential_reads_open_the_first_window_and_it_doubles() {
        let mut readahead = Readahead::new(ReadaheadConfig::default());
        assert_eq!(sequential(&mut readahead, 0, 4096, 9), []);
        assert_eq!(readahead.read(9 * 4096, 4096, IMAGE), Some(Window { offset: 40_960, len: 40_960 }));
        let windows = sequential(&mut readahead, 40_960, 4096, 130);
        assert_eq!(windows[0], Window { offset: 81_920, len: 81_920 });
        assert_eq!(windows[1], Window { offset: 163_840, len: 163_840 });
        assert_eq!(windows[2], Window { offset: 327_680, len: 327_680 });
        assert_eq!(windows[3], Window { offset: 655_360, len: 512 << 10 });
    }

    #[test]
    fn a_jump_starts_over_and_its_own_read_does_not_count() {
        let mut readahead = Readahead::new(ReadaheadConfig::default());
        sequential(&mut readahead, 0, 4096, 20);
        assert_eq!(sequential(&mut readahead, 1 << 20, 4096, 10), []);
        assert_eq!(
            readahead.read((1 << 20) + 10 * 4096, 4096, IMAGE),
            Some(Window { offset: (1 << 20) + 11 * 4096, len: 40_960 })
        );
    }

    #[test]
    fn windows_end_at_object_boundaries_when_near() {
        let config = ReadaheadConfig { alignments: vec![1 << 20], ..ReadaheadConfig::default() };
        let mut readahead = Readahead::new(config);
        let windows = sequential(&mut readahead, 0, 65_536, 40);
        assert_eq!(windows[0], Window { offset: 655_360, len: (1 << 20) - 655_360 });
        assert!(windows[1..].iter().all(|w| (w.offset + w.len) % (512 << 10) == 0), "{windows:?}");
    }

    #[test]
    fn it_never_reads_past_the_image_and_ends_after_its_bytes() {
        let mut readahead = Readahead::new(ReadaheadConfig::default());
        let image = 100_000;
        for n in 0..24 {
            if let Some(window) = readahead.read(n * 4096, 4096, image) {
                assert!(window.offset + window.len <= image);
            }
        }
        let config = ReadaheadConfig { disable_after_bytes: 100_000, ..ReadaheadConfig::default() };
        let mut readahead = Readahead::new(config);
        let windows = sequential(&mut readahead, 0, 4096, 1000);
        assert!(readahead.is_over());
        assert_eq!(windows.len(), 2);
        let config = ReadaheadConfig { max_bytes: 0, ..ReadaheadConfig::default() };
        assert_eq!(sequential(&mut Readahead::new(config), 0, 4096, 100), []);
    }
}
