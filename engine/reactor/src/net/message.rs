//! A gathered send: the buffers, and the list of them that the kernel reads.

use crate::buf::SharedBuf;

/// Buffers one sendmsg takes (UIO_MAXIOV).
const PARTS_MAX: usize = 1024;

/// Buffers on their way out. Boxed while the kernel has it, and kept between sends for its capacity.
#[derive(Debug)]
pub(crate) struct Message {
    bufs: Vec<SharedBuf>,
    /// The first buffer with unsent bytes, and how many of its bytes are sent.
    first: usize,
    sent: usize,
    parts: Vec<libc::iovec>,
    header: libc::msghdr,
}

impl Message {
    pub(super) fn new() -> Message {
        // SAFETY: all-zero is a valid msghdr: no name, no parts, no control data.
        let header = unsafe { std::mem::zeroed() };
        Message { bufs: Vec::new(), first: 0, sent: 0, parts: Vec::new(), header }
    }

    pub(super) fn load(&mut self, bufs: Vec<SharedBuf>) {
        self.bufs = bufs;
        self.first = 0;
        self.sent = 0;
        self.skip_empty();
    }

    pub(super) fn unload(&mut self) -> Vec<SharedBuf> {
        self.parts.clear();
        std::mem::take(&mut self.bufs)
    }

    pub(super) fn is_sent(&self) -> bool {
        self.first == self.bufs.len()
    }

    /// Lists what is unsent. The pointers in it are good while the message stays boxed where it is.
    pub(super) fn prepare(&mut self) -> *const libc::msghdr {
        self.parts.clear();
        let mut skip = self.sent;
        for buf in self.bufs[self.first..].iter().filter(|buf| !buf.is_empty()).take(PARTS_MAX) {
            let part = &buf[skip..];
            self.parts.push(libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() });
            skip = 0;
        }
        self.header.msg_iov = self.parts.as_mut_ptr();
        self.header.msg_iovlen = self.parts.len();
        &raw const self.header
    }

    /// Notes that the kernel took `n` bytes.
    pub(super) fn advance(&mut self, n: usize) {
        self.sent += n;
        while self.first < self.bufs.len() && self.sent >= self.bufs[self.first].len() {
            self.sent -= self.bufs[self.first].len();
            self.first += 1;
        }
        assert!(!self.is_sent() || self.sent == 0, "the kernel sends no more than it was given");
    }

    fn skip_empty(&mut self) {
        self.advance(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use proptest::{collection::vec, sample::Index};

    fn listed(message: &Message) -> Vec<u8> {
        let bytes = |part: &libc::iovec| {
            // SAFETY: `prepare` listed parts of the message's own buffers, which are alive.
            unsafe { std::slice::from_raw_parts(part.iov_base.cast::<u8>(), part.iov_len) }.to_vec()
        };
        message.parts.iter().flat_map(bytes).collect()
    }

    proptest! {
        #[test]
        fn partial_sends_lose_and_repeat_nothing(
            sizes in vec(0usize..40, 0..12),
            cuts in vec(any::<Index>(), 0..40),
        ) {
            let mut next = 0u8;
            let bufs: Vec<SharedBuf> = sizes.iter().map(|&size| {
                let mut buf = crate::buf::Buf::zeroed(size);
                buf.fill_with(|| { next = next.wrapping_add(1); next });
                buf.into()
            }).collect();
            let whole: Vec<u8> = bufs.iter().flat_map(|buf| buf.to_vec()).collect();
            let mut message = Box::new(Message::new());
            message.load(bufs);
            let mut sent = Vec::new();
            let mut cuts = cuts.into_iter();
            while !message.is_sent() {
                message.prepare();
                let left = listed(&message);
                prop_assert_eq!(&left[..], &whole[sent.len()..]);
                let n = cuts.next().map_or(left.len(), |cut| 1 + cut.index(left.len()));
                sent.extend_from_slice(&left[..n]);
                message.advance(n);
            }
            prop_assert_eq!(sent, whole);
            prop_assert_eq!(message.unload().len(), sizes.len());
        }
    }
}
