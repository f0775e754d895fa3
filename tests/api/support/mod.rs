//! A server per test, an authorization server that answers and misbehaves as the test says, and clients.

mod app;
mod challenge;
mod client;
mod cluster;
mod confirmation;
#[path = "../../support/database.rs"]
mod database;
mod dpop_client;
mod events;
mod features;
#[path = "../../support/frozen.rs"]
mod frozen;
mod issuer;
mod journal;
mod log;
mod metrics;
mod program;
mod replicas;
mod revisions;
mod samples;
mod schema;
mod secret_file;
mod signing;
#[path = "../../support/silence.rs"]
mod silence;
mod stored;
mod wire;

pub(crate) use app::{ISSUER_SECRET, PUBLIC_HOST, PUBLIC_URL, RESOURCE, TestApp};
pub(crate) use challenge::{parse_challenge, parse_challenges};
pub(crate) use client::{Ask, Reply, Session, envelope};
pub(crate) use cluster::MortalCluster;
pub(crate) use confirmation::{
    able, again, asked, deletion, entry_question, is_there, noes, question, refused, yes,
};
pub(crate) use database::{TestDatabase, new_cluster};
pub(crate) use dpop_client::DpopClient;
pub(crate) use events::{Events, patiently};
pub(crate) use features::{Feature, Kind, names_for, scope_table, tools_for};
pub(crate) use frozen::Frozen;
pub(crate) use issuer::{Answer, Issuer, KEYS, Seen, asked_about};
pub(crate) use journal::{ALL, Journal, redacted};
pub(crate) use log::{lines_of_all_tests_with, lines_with, log_contains};
pub(crate) use metrics::{metrics_at, scraped};
pub(crate) use program::{Program, epicme, said};
pub(crate) use replicas::{Replicas, is_connected};
pub(crate) use revisions::{Client, ERAS, MODERN, OLDEST, REVISIONS, asked_for, untitled};
pub(crate) use samples::{Rows, Sample, samples};
pub(crate) use schema::complaints;
pub(crate) use secret_file::SecretFile;
pub(crate) use signing::SigningKey;
pub(crate) use silence::Silence;
pub(crate) use wire::header_lines;
