//! Arguments that several tools and prompts have.

pub mod dates;
pub mod ids;
pub mod pages;
