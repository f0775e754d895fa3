//! Several instances of the server on one database: what each hears of the others.

mod changes;
mod connection;
mod revocations;
