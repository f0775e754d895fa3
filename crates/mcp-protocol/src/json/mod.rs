//! JSON where reading and writing it is most of the work of a request.

pub mod data;
pub mod object;
