//! `epicme healthcheck`: asks a server on this machine whether it is ready.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use awc::{Client, Connector};
use derive_more::{Display, Error};

/// How long an answer is waited for: longer than the server itself waits for its parts.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest report that is read, in bytes.
const LONGEST_REPORT: usize = 64 * 1024;

/// Why a server is not healthy.
#[derive(Debug, Display, Error)]
pub enum Unhealthy {
    /// Nobody answers there.
    #[display("{_0} gives no answer")]
    Silent(#[error(not(source))] SocketAddr),
    /// It says that it is not ready.
    #[display("the server answers {status}: {report}")]
    NotReady {
        /// Its status.
        status: u16,
        /// What it says of itself.
        report: String,
    },
}

/// Asks the server that listens at `bind`, and returns what it says of itself. Needs an actix `System`.
///
/// # Errors
/// If it is not ready, or does not answer.
pub async fn ask(bind: SocketAddr) -> Result<String, Unhealthy> {
    let address = reachable(bind);
    let silent = || Unhealthy::Silent(address);
    let client = Client::builder()
        .connector(Connector::new().timeout(PATIENCE))
        .disable_redirects()
        .timeout(PATIENCE)
        .finish();
    let mut response = client
        .get(format!("http://{address}/readyz"))
        .send()
        .await
        .map_err(|_| silent())?;
    let report = response.body().limit(LONGEST_REPORT).await;
    let report = String::from_utf8_lossy(&report.map_err(|_| silent())?).into_owned();
    let status = response.status();
    if status.is_success() {
        Ok(report)
    } else {
        Err(Unhealthy::NotReady {
            status: status.as_u16(),
            report,
        })
    }
}

/// Where a server that listens at this address can be reached from its own machine.
fn reachable(bind: SocketAddr) -> SocketAddr {
    let host = match bind.ip() {
        IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    };
    SocketAddr::new(host, bind.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_everywhere_is_asked_on_this_machine() {
        for (bind, asked) in [
            ("0.0.0.0:8787", "127.0.0.1:8787"),
            ("[::]:8787", "[::1]:8787"),
            ("10.0.0.7:80", "10.0.0.7:80"),
        ] {
            assert_eq!(reachable(bind.parse().unwrap()).to_string(), asked);
        }
    }
}
