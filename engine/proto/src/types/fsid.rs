//! A cluster's name.

use crate::codec::{DecodeError, Decoder, Encoder};
use std::fmt;
use std::str::FromStr;

/// The UUID that a cluster is known by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fsid(pub [u8; 16]);

impl Fsid {
    /// Reads one.
    pub fn decode(d: &mut Decoder<'_>) -> Result<Fsid, DecodeError> {
        d.array().map(Fsid)
    }

    /// Writes it.
    pub fn encode(self, e: &mut Encoder<'_>) {
        e.bytes(&self.0);
    }
}

impl fmt::Display for Fsid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// A text that is no UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a UUID is written as 32 hexadecimal digits in groups of 8, 4, 4, 4 and 12, with dashes between them"
)]
pub struct FsidError;

impl FromStr for Fsid {
    type Err = FsidError;

    /// Reads what `Display` writes; capital letters are accepted.
    fn from_str(text: &str) -> Result<Fsid, FsidError> {
        const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
        let mut bytes = [0; 16];
        let mut filled = bytes.iter_mut();
        let mut groups = text.split('-');
        for digits in GROUPS {
            let group = groups.next().filter(|group| group.len() == digits).ok_or(FsidError)?;
            let (pairs, _) = group.as_bytes().as_chunks::<2>();
            for ([high, low], byte) in pairs.iter().zip(&mut filled) {
                let digit = |c: u8| char::from(c).to_digit(16).ok_or(FsidError);
                *byte = u8::try_from(digit(*high)? << 4 | digit(*low)?)
                    .expect("two hexadecimal digits are a byte");
            }
        }
        match groups.next() {
            None => Ok(Fsid(bytes)),
            Some(_) => Err(FsidError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_back() {
        let text = "00112233-4455-6677-8899-aabbccddeeff";
        let fsid: Fsid = text.parse().unwrap();
        assert_eq!(fsid.0[..3], [0x00, 0x11, 0x22]);
        assert_eq!(fsid.0[15], 0xff);
        assert_eq!(fsid.to_string(), text);
        assert_eq!(text.to_uppercase().parse(), Ok(fsid));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "0011223344556677-8899-aabbccddeeff",
            "00112233-4455-6677-8899-aabbccddeef",
            "00112233-4455-6677-8899-aabbccddeeff-",
            "00112233-4455-6677-8899-aabbccddeefg",
            "{0112233-4455-6677-8899-aabbccddeef}",
            "0011223é-4455-6677-8899-aabbccddeeff",
        ] {
            assert_eq!(text.parse::<Fsid>(), Err(FsidError), "{text}");
        }
    }
}
