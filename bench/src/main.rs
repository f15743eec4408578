//! The `ringbd` command.
fn main() {}
