//! Arguments that several tools and prompts share.

pub mod dates;
pub mod ids;
pub mod pages;
pub mod texts;
