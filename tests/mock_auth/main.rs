//! The mock authorization server, from outside: over real HTTP, against a port of its own.

#![cfg(feature = "dev")]

mod clients;
mod discovery;
mod faults;
mod introspection;
mod operator;
mod pages;
mod refusals;
mod support;
mod tokens;
