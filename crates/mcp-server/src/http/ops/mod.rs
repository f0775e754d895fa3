//! What operators and load balancers ask.

pub(crate) mod health;
pub(crate) mod scrape;
