//! The reactor: the only code of ringbd that meets the kernel, and its simulated twin.

mod sim;
pub use sim::*;
