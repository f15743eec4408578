//! Error numbers as they travel.

use std::fmt;

/// An error number. On the wire it is always Linux's, negative, whatever the sender runs on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Errno(i32);

macro_rules! errnos {
    ($($name:ident $number:literal $text:literal;)*) => {
        impl Errno {
            $(
                #[doc = concat!($number, ": ", $text, ".")]
                pub const $name: Errno = Errno($number);
            )*

            /// Its name, if it is one that Ceph uses.
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Errno::$name => Some(stringify!($name)),)*
                    Errno(_) => None,
                }
            }

            /// What it says, where Ceph uses it.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Errno::$name => $text,)*
                    Errno(_) => "an error that Ceph does not name",
                }
            }
        }
    };
}

errnos! {
    EPERM 1 "operation not permitted";
    ENOENT 2 "no such object, pool or entry";
    EINTR 4 "interrupted";
    EIO 5 "input/output error";
    ENXIO 6 "no such device or address";
    E2BIG 7 "argument list too long";
    ENOEXEC 8 "not of this kind";
    EBADF 9 "bad file number";
    EAGAIN 11 "try again";
    ENOMEM 12 "out of memory";
    EACCES 13 "permission denied";
    EFAULT 14 "bad address";
    EBUSY 16 "busy";
    EEXIST 17 "exists already";
    EXDEV 18 "not in the same pool";
    ENODEV 19 "no such device";
    ENOTDIR 20 "not a directory";
    EISDIR 21 "is a directory";
    EINVAL 22 "invalid argument";
    EFBIG 27 "too large";
    ENOSPC 28 "no space left";
    ESPIPE 29 "illegal seek";
    EROFS 30 "read-only";
    EMLINK 31 "too many links";
    EDOM 33 "outside of the domain";
    ERANGE 34 "out of range";
    EDEADLK 35 "would deadlock, or the lock is held by oneself already";
    ENAMETOOLONG 36 "name too long";
    ENOSYS 38 "not implemented";
    ENOTEMPTY 39 "not empty";
    ENODATA 61 "no such attribute";
    ETIME 62 "timer expired";
    EPROTO 71 "protocol error";
    EBADMSG 74 "bad message";
    EOVERFLOW 75 "too new or too large";
    EILSEQ 84 "the data differs";
    EOLDSNAPC 85 "the snapshot context is older than the object's";
    EMSGSIZE 90 "the message is too large";
    EOPNOTSUPP 95 "not supported";
    EADDRINUSE 98 "address in use";
    EADDRNOTAVAIL 99 "address not available";
    ECONNABORTED 103 "connection aborted";
    ECONNRESET 104 "connection reset";
    ENOTCONN 107 "not connected: the watch is gone";
    EBLOCKLISTED 108 "this client is blocklisted";
    ETIMEDOUT 110 "timed out";
    ECONNREFUSED 111 "connection refused";
    EALREADY 114 "under way already";
    EINPROGRESS 115 "in progress";
    ESTALE 116 "stale";
    EDQUOT 122 "over quota";
    ECANCELED 125 "the comparison failed, or the operation was cancelled";
    EOWNERDEAD 130 "the owner died";
    ENOTRECOVERABLE 131 "not recoverable";
}

impl Errno {
    /// The largest number that an error can have; below it a result is something else, see
    /// [`CmpExt`](crate::osd::OsdOp::CmpExt).
    pub const MAX: i32 = 4095;

    /// The error of a positive number; none for anything that cannot be one.
    pub const fn from_number(number: i32) -> Option<Errno> {
        if number > 0 { Some(Errno(number)) } else { None }
    }

    /// Splits what came over the wire: what is negative is an error.
    pub const fn from_result(result: i32) -> Result<u32, Errno> {
        match result {
            0.. => Ok(result.cast_unsigned()),
            // The smallest integer has no positive twin and is no error number either.
            i32::MIN => Err(Errno(i32::MAX)),
            _ => Err(Errno(-result)),
        }
    }

    /// The number, positive.
    pub const fn number(self) -> i32 {
        self.0
    }

    /// The number as it travels, negative.
    pub const fn as_result(self) -> i32 {
        -self.0
    }
}

impl fmt::Display for Errno {
    /// As `the data differs (EILSEQ 84)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{} ({name} {})", self.text(), self.0),
            None => write!(f, "{} ({})", self.text(), self.0),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "Errno({})", self.0),
        }
    }
}

impl std::error::Error for Errno {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_a_count_or_an_error() {
        assert_eq!(Errno::from_result(0), Ok(0));
        assert_eq!(Errno::from_result(7), Ok(7));
        assert_eq!(Errno::from_result(-108), Err(Errno::EBLOCKLISTED));
        assert_eq!(Errno::from_result(i32::MIN), Err(Errno(i32::MAX)));
        assert_eq!(Errno::EBLOCKLISTED.as_result(), -108);
        assert_eq!(Errno::ENOENT.to_string(), "no such object, pool or entry (ENOENT 2)");
        assert_eq!(format!("{:?}", Errno::EILSEQ), "EILSEQ");
        assert_eq!(Errno(4000).to_string(), "an error that Ceph does not name (4000)");
    }
}
