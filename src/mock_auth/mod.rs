//! **Lives here:** the mock authorization server: discovery, dynamic registration and client
//! documents, sign-in and consent pages, tokens, introspection, revocation, and switches for
//! faults. It is mock in one thing only: its demo people have no passwords.
//!
//! **May enter:** nobody; this room imports no other room, not even the words of the house, so that
//! this server and the resource server check each other.
//!
//! **Never here:** a token, code or secret kept in clear or logged; a page with a script; a link built
//! from a request's `Host`; a way into a production build (cargo feature `dev`).
//!
//! **Begin with** `server.rs` (routes and their order), then `store.rs` (what is remembered, pure and
//! told the time), then one endpoint, say `token.rs`. `docs/MOCK_AUTH.md` is the user's page.

mod addresses;
mod admin;
mod answer;
mod authorize;
mod bounded;
mod client;
mod client_auth;
mod client_document;
mod consent;
mod doorman;
mod dpop;
mod faults;
mod html;
mod introspection;
mod metadata;
mod pages;
mod params;
mod pkce;
mod redirect;
mod register;
mod resource;
mod scopes;
mod secret;
mod server;
mod settings;
mod shortcuts;
mod signing;
mod store;
mod style;
mod token;

pub use faults::{Endpoint, Fault, FaultMode, Faults};
pub use server::MockAuth;
pub use settings::{IntrospectionClient, Settings, TokenFormat, TokenGrant, User, demo_users};
