//! The nearcache binary.
fn main() {}
