//! The `epicme` program.

fn main() {}
