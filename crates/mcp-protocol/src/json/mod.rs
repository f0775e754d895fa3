//! JSON parsing and serialisation on the hot path.

pub mod dual;
pub mod object;
