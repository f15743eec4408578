//! A gathered send: what is sent, and the list of it that the kernel reads.

use super::gather::Gather;

/// Parts one sendmsg takes (UIO_MAXIOV).
const PARTS_MAX: usize = 1024;

/// A send on its way out. Boxed while the kernel has it, and kept between sends for its capacity.
#[derive(Debug)]
pub(crate) struct Message {
    gather: Gather,
    /// All parts of `gather`, which is not touched while they are listed. Those before `first` are sent; that one is cut to
    /// what is unsent of it.
    parts: Vec<libc::iovec>,
    first: usize,
    header: libc::msghdr,
}

impl Message {
    pub(super) fn new() -> Message {
        // SAFETY: all-zero is a valid msghdr: no name, no parts, no control data.
        let header = unsafe { std::mem::zeroed() };
        Message { gather: Gather::new(), parts: Vec::new(), first: 0, header }
    }

    pub(super) fn load(&mut self, gather: Gather) {
        self.gather = gather;
        self.first = 0;
        let listed =
            |part: &[u8]| libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() };
        self.parts.extend(self.gather.parts().map(listed));
    }

    pub(super) fn unload(&mut self) -> Gather {
        self.parts.clear();
        std::mem::take(&mut self.gather)
    }

    pub(super) fn is_sent(&self) -> bool {
        self.first == self.parts.len()
    }

    /// Names what is unsent. The pointers in it are good while the message stays boxed where it is.
    pub(super) fn prepare(&mut self) -> *const libc::msghdr {
        let unsent = &mut self.parts[self.first..];
        self.header.msg_iov = unsent.as_mut_ptr();
        self.header.msg_iovlen = unsent.len().min(PARTS_MAX);
        &raw const self.header
    }

    /// Notes that the kernel took `n` bytes.
    pub(super) fn advance(&mut self, mut n: usize) {
        while let Some(part) = self.parts.get_mut(self.first) {
            if n < part.iov_len {
                part.iov_base = part.iov_base.wrapping_byte_add(n);
                part.iov_len -= n;
                return;
            }
            n -= part.iov_len;
            self.first += 1;
        }
        assert!(n == 0, "the kernel sends no more than it was given");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buf::Buf;
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use proptest::{collection::vec, sample::Index};

    fn unsent(message: &mut Message) -> Vec<u8> {
        message.prepare();
        let bytes = |part: &libc::iovec| {
            // SAFETY: the parts listed are of the message's own gather, which is alive.
            unsafe { std::slice::from_raw_parts(part.iov_base.cast::<u8>(), part.iov_len) }.to_vec()
        };
        message.parts[message.first..].iter().flat_map(bytes).collect()
    }

    proptest! {
        #[test]
        fn partial_sends_lose_and_repeat_nothing(
            sizes in vec((0usize..40, 0usize..40), 0..12),
            cuts in vec(any::<Index>(), 0..40),
        ) {
            let (mut gather, mut whole) = (Gather::new(), Vec::new());
            for (written, shared) in sizes {
                let first = whole.len();
                whole.extend((first..first + written + shared).map(|at| at as u8));
                gather.bytes().extend_from_slice(&whole[first..first + written]);
                gather.push(Buf::from_slice(&whole[first + written..]));
            }
            prop_assert_eq!(gather.len(), whole.len());
            let mut message = Box::new(Message::new());
            message.load(gather);
            let mut sent = Vec::new();
            let mut cuts = cuts.into_iter();
            while !message.is_sent() {
                let left = unsent(&mut message);
                prop_assert_eq!(&left[..], &whole[sent.len()..]);
                let n = cuts.next().map_or(left.len(), |cut| 1 + cut.index(left.len()));
                sent.extend_from_slice(&left[..n]);
                message.advance(n);
            }
            prop_assert_eq!(message.unload().len(), whole.len());
            prop_assert_eq!(sent, whole);
        }
    }
}
