//! The numbers of operations.

use std::fmt;

/// The bits that tell reading from writing operations.
const MODE_WRITE: u16 = 0x2000;

/// Whether an operation reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpClass {
    /// It reads.
    Read,
    /// It writes.
    Write,
    /// A class's method does what it likes: it takes after the list it is in.
    Call,
}

/// The number of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Opcode(u16);

macro_rules! opcodes {
    ($($(#[$doc:meta])* $name:ident = $number:literal;)*) => {
        impl Opcode {
            $($(#[$doc])* pub const $name: Opcode = Opcode($number);)*

            /// Its name, if ringbd knows it.
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Opcode::$name => Some(stringify!($name)),)*
                    Opcode(_) => None,
                }
            }
        }
    };
}

opcodes! {
    /// Read an extent.
    READ = 0x1201;
    /// Size and time of modification.
    STAT = 0x1202;
    /// Read what is allocated of an extent.
    SPARSE_READ = 0x1205;
    /// Notify all watchers.
    NOTIFY = 0x1206;
    /// Answer a notification.
    NOTIFY_ACK = 0x1207;
    /// Fail unless the object has this version.
    ASSERT_VER = 0x1208;
    /// Who watches.
    LIST_WATCHERS = 0x1209;
    /// An object's clones.
    LIST_SNAPS = 0x120a;
    /// Keys of the omap.
    OMAPGETKEYS = 0x1211;
    /// Entries of the omap.
    OMAPGETVALS = 0x1212;
    /// The omap's header.
    OMAPGETHEADER = 0x1213;
    /// Chosen entries of the omap.
    OMAPGETVALSBYKEYS = 0x1214;
    /// Fail unless omap entries compare.
    OMAP_CMP = 0x1219;
    /// Checksums of an extent.
    CHECKSUM = 0x121f;
    /// Fail unless an extent has these bytes.
    CMPEXT = 0x1220;
    /// Write an extent.
    WRITE = 0x2201;
    /// Replace the whole object.
    WRITEFULL = 0x2202;
    /// Set the size.
    TRUNCATE = 0x2203;
    /// Zero an extent.
    ZERO = 0x2204;
    /// Remove the object.
    DELETE = 0x2205;
    /// Write at the end.
    APPEND = 0x2206;
    /// Create the object.
    CREATE = 0x220d;
    /// Make the head as a snapshot is.
    ROLLBACK = 0x220e;
    /// Watch, or stop.
    WATCH = 0x220f;
    /// Set omap entries.
    OMAPSETVALS = 0x2215;
    /// Set the omap's header.
    OMAPSETHEADER = 0x2216;
    /// Remove all of the omap.
    OMAPCLEAR = 0x2217;
    /// Remove omap entries.
    OMAPRMKEYS = 0x2218;
    /// Say how large the object will be.
    SETALLOCHINT = 0x2223;
    /// Write a pattern over an extent.
    WRITESAME = 0x2226;
    /// Remove a range of omap entries.
    OMAPRMKEYRANGE = 0x222c;
    /// An extended attribute.
    GETXATTR = 0x1301;
    /// All extended attributes.
    GETXATTRS = 0x1302;
    /// Fail unless an extended attribute compares.
    CMPXATTR = 0x1303;
    /// Set an extended attribute.
    SETXATTR = 0x2301;
    /// Remove an extended attribute.
    RMXATTR = 0x2304;
    /// Call a class's method.
    CALL = 0x1401;
    /// List a placement group's objects.
    PGNLS = 0x1505;
}

impl Opcode {
    /// The operation with that number.
    pub const fn from_number(number: u16) -> Opcode {
        Opcode(number)
    }

    /// Its number on the wire.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Whether it reads or writes.
    pub const fn class(self) -> OpClass {
        match self {
            Opcode::CALL => OpClass::Call,
            Opcode(number) if number & MODE_WRITE != 0 => OpClass::Write,
            Opcode(_) => OpClass::Read,
        }
    }
}

impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "operation {:#06x}", self.0),
        }
    }
}

impl fmt::Debug for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
