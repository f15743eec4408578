//! Requests and replies: a header of 128 bytes that begins with the request's tag; requests carry 4 KiB after
//! it.

pub(crate) const HEADER: usize = 128;
pub(crate) const PAYLOAD: usize = 4096;
pub(crate) const REQUEST: usize = HEADER + PAYLOAD;

/// Finds the tags of replies in a stream that arrives in pieces.
#[derive(Default)]
pub(crate) struct Replies {
    tag: [u8; 8],
    at: usize,
}

impl Replies {
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut reply: impl FnMut(usize)) {
        while !bytes.is_empty() {
            let n = (HEADER - self.at).min(bytes.len());
            if self.at < 8 {
                let part = n.min(8 - self.at);
                self.tag[self.at..self.at + part].copy_from_slice(&bytes[..part]);
            }
            self.at += n;
            bytes = &bytes[n..];
            if self.at == HEADER {
                self.at = 0;
                reply(u64::from_le_bytes(self.tag) as usize);
            }
        }
    }
}
