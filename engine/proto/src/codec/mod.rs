//! Ceph's encoding: little-endian integers, length-prefixed strings and lists, and versioned structures whose unknown
//! tail is skipped.
//!
//! [`Decoder`] reads, [`Encoder`] writes; a type that travels has `decode(&mut Decoder)` and `encode(&mut Encoder)`.

mod decoder;
mod encoder;
mod error;

pub use decoder::Decoder;
pub use encoder::Encoder;
pub use error::{DecodeError, DecodeErrorKind};

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_structure_is_read_up_to_what_is_known() {
        let bytes = Encoder::to_vec(|e| {
            e.versioned(9, 2, |e| {
                e.u32(7).string("from the future");
            });
            e.u8(1);
        });
        let mut d = Decoder::new("a test", &bytes);
        let read = d.versioned("a structure", 3, |d, version| Ok((version, d.u32()?)));
        assert_eq!(read, Ok((9, 7)));
        assert_eq!(d.u8(), Ok(1));
        assert_eq!(d.finish(), Ok(()));
        let mut d = Decoder::new("a test", &bytes);
        let error = d.versioned("a structure", 1, |_, _| Ok(())).unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::Incompatible { compat: 2, known: 1 });
    }

    #[test]
    fn a_count_beyond_the_input_does_not_allocate() {
        let bytes = u32::MAX.to_le_bytes();
        let error = Decoder::new("a test", &bytes).list(4, Decoder::u32).unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::TooMany { count: 0xffff_ffff, left: 0 });
    }

    #[test]
    fn errors_say_where_in_the_outermost_input() {
        let bytes = Encoder::to_vec(|e| {
            e.u32(1).nested(|e| {
                e.u8(0);
            });
        });
        let mut d = Decoder::new("outer", &bytes);
        d.u32().unwrap();
        let error = d.nested("inner").unwrap().u16().unwrap_err();
        assert_eq!(error.to_string(), "inner at byte 8: 2 bytes are needed and 1 are left");
    }
}
