//! *Purpose:* the configuration of `epicme serve`: plain structs, and how the environment, flags and files
//! fill them.
//!
//! *Used by:* `main`, `app`, `dev`. Each section goes to the module that it configures; [`Config`] itself
//! travels no further than `app`.
//!
//! *Invariants:* a key is described in one place, `keys.rs`; every fault is reported at once, by its key;
//! no error and no printed value contains a secret.
//!
//! *Start reading at* `keys.rs`, the table of keys; `sections.rs` has the structs that it fills.

mod command_line;
mod errors;
mod issuers;
mod issuers_file;
pub mod key;
pub mod keys;
mod kind;
mod options;
mod parts;
mod read;
mod reader;
mod reference;
mod relaxations;
mod rules;
mod sections;
mod spelling;
mod unknown;
mod warnings;
mod words;

pub use self::{
    errors::{ConfigErrors, Fault},
    options::{Options, Source},
    reader::EffectiveValue,
    reference::{reference, table},
    sections::{
        Config, ConnectionConfig, DatabaseConfig, DrainConfig, HttpConfig, IssuerConfig,
        LimitConfig, MemoryConfig, ONE_PROCESS, ProofConfig, RequestStateConfig, SealingKey,
        SessionConfig, StreamConfig, Verification,
    },
    unknown::unknown_keys,
};
