//! fio's external-engine ABI, written by hand and checked at run time.
//!
//! fio ships no development headers, so nothing here comes from one. What is the same in every release from 3.28 to
//! 3.42 is a constant; what moves is a row of a table in [`layout`]; which row holds is found out by [`detect`] from the
//! running fio itself, never from what the plugin was built against. Only this module knows byte offsets.

pub(crate) mod detect;
pub(crate) mod layout;
pub(crate) mod option;
pub(crate) mod symbols;
pub(crate) mod view;
