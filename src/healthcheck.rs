//! `epicme healthcheck`: asks a server on this machine whether it is ready.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use awc::{Client, Connector};
use clap::Args;
use derive_more::{Display, Error};
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use crate::config::keys;

/// Time limit for the response, longer than the server's own limit for its checks.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The longest report that is read, in bytes.
const LONGEST_REPORT: usize = 64 * 1024;

/// The options of the command.
#[derive(Args, Clone, Debug)]
pub struct HealthcheckOptions {
    /// Address and port on which the server listens. If it listens on every address, the loopback address
    /// is used
    #[arg(
        long,
        env = keys::HTTP.bind.name,
        value_name = keys::HTTP.bind.value_name,
        default_value = keys::HTTP.bind.default
    )]
    pub bind: SocketAddr,

    /// Set if the server uses TLS; the file is not read
    #[arg(long, env = keys::TLS.certificate.name, value_name = keys::TLS.certificate.value_name)]
    pub tls_certificate_file: Option<PathBuf>,
}

/// Why a server is not healthy.
#[derive(Debug, Display, Error)]
pub enum Unhealthy {
    /// There is no response.
    #[display("{_0} gives no answer")]
    Silent(#[error(not(source))] SocketAddr),
    /// It is not ready.
    #[display("the server answers {status}: {report}")]
    NotReady {
        /// Its status.
        status: u16,
        /// Its report.
        report: String,
    },
}

/// Asks the server that listens at `bind`, with TLS or without, and returns its report. Needs an actix
/// `System`.
///
/// # Errors
/// If it is not ready, or does not answer.
pub async fn ask(bind: SocketAddr, uses_tls: bool) -> Result<String, Unhealthy> {
    let address = reachable(bind);
    let silent = || Unhealthy::Silent(address);
    let connector = Connector::new().timeout(TIMEOUT);
    let (connector, scheme) = if uses_tls {
        (connector.rustls_0_23(Arc::new(any_certificate())), "https")
    } else {
        (connector, "http")
    };
    let client = Client::builder()
        .connector(connector)
        .disable_redirects()
        .timeout(TIMEOUT)
        .finish();
    let mut response = client
        .get(format!("{scheme}://{address}/readyz"))
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

/// The address by which a server that listens at `bind` can be reached from the same machine.
fn reachable(bind: SocketAddr) -> SocketAddr {
    let host = match bind.ip() {
        IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    };
    SocketAddr::new(host, bind.port())
}

/// Accepts any certificate, because none is issued for a loopback address. No secret is sent, and the response
/// only decides the exit code.
fn any_certificate() -> ClientConfig {
    let provider = Arc::new(ring::default_provider());
    ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring offers the protocol versions that rustls has by default")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth()
}

#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
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
