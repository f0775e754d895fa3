#![doc = include_str!("../README.md")]
//!
//! *Purpose:* a whole OAuth 2.1 authorization server for developing and testing resource servers and clients, with switches for
//! faults. It is a mock in one thing only: its demo users have no passwords.
//!
//! *Used by:* `epicme dev`, the tests, and the program `mock-auth`.
//!
//! *Invariants:* it shares no code with the resource server, so that the two check each other. It neither keeps nor logs a token, a
//! code or a secret in clear, but for its own keys, which lie sealed where it is given a folder. Its pages have no script, and no link is built from a request's `Host`.
//!
//! *Start reading at:* `server.rs` (the routes), then `store.rs` (what is kept), then one endpoint, such as `token.rs`.

mod addresses;
mod admin;
mod answer;
mod authorize;
mod bounded;
mod builder;
mod calls;
mod client;
mod client_auth;
mod client_document;
mod consent;
mod details;
mod dev_endpoints;
mod device;
mod device_codes;
mod dpop;
mod faults;
mod grants;
mod html;
mod introspection;
mod keeper;
mod metadata;
mod middleware;
mod pages;
mod params;
mod paths;
mod pkce;
mod question;
mod questions;
mod redirect;
mod register;
mod resource;
mod saved;
mod scopes;
mod secret;
mod server;
mod settings;
mod signing;
mod state;
mod store;
mod style;
mod token;
mod user;
mod vault;

pub use builder::Builder;
pub use faults::{Endpoint, Fault, FaultMode, Faults};
pub use server::MockAuth;
pub use settings::{
    IntrospectionClient, Scope, Settings, TokenFormat, TokenGrant, demo_scopes, demo_users,
    on_or_off,
};
pub use user::User;
