//! Routes for operators and load balancers.

pub(crate) mod health;
pub(crate) mod probes;
pub(crate) mod scrape;
