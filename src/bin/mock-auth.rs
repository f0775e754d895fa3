//! The `mock-auth` program.

fn main() {}
