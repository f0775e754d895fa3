//! What an operator relies on: configuration, logs, metrics, limits, shutdown and recovery.

mod access_log;
mod audit_file;
mod audit_log;
mod audit_of_confirmations;
mod command_line;
mod concurrency_limits;
mod connections;
mod core_dumps;
mod database_hang;
mod database_outage;
mod doctor;
mod fail_over;
mod http_attacks;
mod lifecycle;
mod memory;
mod metrics;
mod metrics_of_limits;
mod migrating;
mod no_delay;
#[cfg(feature = "otlp")]
mod otlp;
mod rate_limits;
mod readiness;
mod recovery;
mod restore;
mod rolling_restart;
mod secrets;
mod starting;
mod timeouts;
mod tls;
mod tracing;
mod users_share;
