//! TLS on our own listener: a certificate and its key, read from files at start and again when they change.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use chrono::TimeDelta;
use derive_more::{Debug, Display, Error};
use parking_lot::Mutex;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use secrecy::ExposeSecret;
use x509_parser::parse_x509_certificate;

use resource_server::{clock::Clock, metrics::Text, secret_file, watched_file::WatchedFile};

use crate::metrics::MetricSource;

/// How often the files are checked for changes.
const CHECK_INTERVAL: TimeDelta = TimeDelta::seconds(2);

/// The longest file of certificates, in bytes.
const LONGEST_CHAIN: u64 = 256 * 1024;

/// Why a pair of files cannot be served with.
#[derive(Clone, Debug, Display, Error, PartialEq, Eq)]
pub enum TlsFault {
    /// The certificate, or one of its chain.
    #[display("{_0}")]
    Certificate(#[error(not(source))] String),
    /// The key.
    #[display("{_0}")]
    Key(#[error(not(source))] String),
    /// Each by itself is good.
    #[display("it is not the key of the certificate")]
    Mismatch,
}

/// A certificate with its chain, and its key: what was in the files when they were read.
#[derive(Clone, Debug)]
pub struct Identity {
    certificate: WatchedFile,
    key: WatchedFile,
    #[debug(skip)]
    pair: Arc<CertifiedKey>,
}

impl Identity {
    /// Reads a pair of PEM files: the certificate followed by its chain, and its key.
    ///
    /// # Errors
    /// What is wrong with either, or with both together.
    pub fn read(certificate_file: &Path, key_file: &Path) -> Result<Self, TlsFault> {
        let mut certificate = WatchedFile::new(certificate_file.to_owned(), CHECK_INTERVAL);
        let mut key = WatchedFile::new(key_file.to_owned(), CHECK_INTERVAL);
        // Before the files are read, so that a write in between is found by the next check.
        certificate.refresh();
        key.refresh();
        let pair = read_pair(certificate_file, key_file)?;
        Ok(Self {
            certificate,
            key,
            pair: Arc::new(pair),
        })
    }

    /// Where the certificate is.
    #[must_use]
    pub fn certificate_file(&self) -> &Path {
        self.certificate.path()
    }

    /// Where its key is.
    #[must_use]
    pub fn key_file(&self) -> &Path {
        self.key.path()
    }
}

/// The identity that is served with. It follows its files: a pair that is broken, as while one of them was
/// written and the other was not yet, leaves the one before in use.
#[derive(Debug)]
pub struct Identities {
    clock: Clock,
    current: Mutex<Identity>,
}

impl Identities {
    /// Begins with what was read at start.
    #[must_use]
    pub fn new(mut identity: Identity, clock: Clock) -> Arc<Self> {
        identity.certificate.mark_checked(clock.now());
        Arc::new(Self {
            clock,
            current: Mutex::new(identity),
        })
    }

    /// How connections are accepted: for HTTP/1.1 alone, over TLS 1.2 and 1.3, of which rustls allows
    /// nothing that is known to be weak. Clients are known by their tokens, not by certificates.
    ///
    /// # Errors
    /// None with the cryptography that this is built with.
    pub fn acceptor(self: &Arc<Self>) -> io::Result<ServerConfig> {
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth();
        let resolver = Arc::clone(self) as Arc<dyn ResolvesServerCert>;
        let mut config = config.with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    /// Reads the files again at once, even if they have not changed.
    pub fn reload(&self) {
        let mut identity = self.current.lock();
        identity.has_changed(&self.clock);
        identity.read_again();
    }

    /// The pair to present, after a check of the files if one is due.
    fn current(&self) -> Arc<CertifiedKey> {
        let mut identity = self.current.lock();
        if identity.certificate.is_due(self.clock.now()) && identity.has_changed(&self.clock) {
            identity.read_again();
        }
        Arc::clone(&identity.pair)
    }
}

/// When the certificate ends, for the metrics; of a server without TLS as well.
pub(crate) struct CertificateMetrics(pub(crate) Option<Arc<Identities>>);

impl MetricSource for CertificateMetrics {
    fn write(&self, text: &mut Text) {
        let name = "tls_certificate_not_after_seconds";
        let help = "When the TLS certificate or one of its chain ends; 0 without TLS.";
        text.family(name, "gauge", help);
        let pair = self.0.as_ref().map(|identities| identities.current());
        let end = pair.and_then(|pair| first_end(&pair.cert));
        text.sample(name, &[], end.unwrap_or_default());
    }
}

/// When the first of these certificates ends (`notAfter`, RFC 5280 §4.1.2.5), in seconds since 1970.
fn first_end(chain: &[CertificateDer<'_>]) -> Option<i64> {
    let ends = chain.iter().filter_map(|certificate| {
        let (_, parsed) = parse_x509_certificate(certificate).ok()?;
        Some(parsed.validity().not_after.timestamp())
    });
    ends.min()
}

impl Identity {
    /// Checks both files. A file that is missing for a moment is about to be replaced, so that counts as
    /// a change too.
    fn has_changed(&mut self, clock: &Clock) -> bool {
        self.certificate.mark_checked(clock.now());
        self.certificate.refresh() | self.key.refresh()
    }

    fn read_again(&mut self) {
        match read_pair(self.certificate.path(), self.key.path()) {
            Ok(pair) => {
                if pair.cert != self.pair.cert {
                    log::info!("a new TLS certificate is in use");
                }
                self.pair = Arc::new(pair);
            }
            Err(fault) => {
                let file = match fault {
                    TlsFault::Certificate(_) => &self.certificate,
                    TlsFault::Key(_) | TlsFault::Mismatch => &self.key,
                };
                log::error!(
                    "the TLS certificate before stays in use: {}: {fault}",
                    file.path().display()
                );
            }
        }
    }
}

impl ResolvesServerCert for Identities {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

fn read_pair(certificate: &Path, key: &Path) -> Result<CertifiedKey, TlsFault> {
    let chain = read_chain(certificate).map_err(TlsFault::Certificate)?;
    let key = read_key(key).map_err(TlsFault::Key)?;
    let key = ring::sign::any_supported_type(&key).map_err(|_| {
        TlsFault::Key("it is no key that can be used (ECDSA, Ed25519 or RSA)".to_owned())
    })?;
    let pair = CertifiedKey::new(chain, key);
    match pair.keys_match() {
        Ok(()) => Ok(pair),
        Err(rustls::Error::InconsistentKeys(_)) => Err(TlsFault::Mismatch),
        Err(error) => Err(TlsFault::Certificate(format!(
            "its first certificate cannot be used: {error}"
        ))),
    }
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut pem = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST_CHAIN + 1).read_to_end(&mut pem))
        .map_err(|error| format!("it cannot be read: {error}"))?;
    if pem.len() as u64 > LONGEST_CHAIN {
        return Err("it is longer than 256 KiB".to_owned());
    }
    let chain = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| "it is no PEM".to_owned())?;
    if chain.is_empty() {
        return Err("there is no certificate in it (PEM)".to_owned());
    }
    Ok(chain)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let pem = secret_file::read(path).map_err(|error| format!("it cannot be read: {error}"))?;
    // The error could hold a part of it.
    PrivateKeyDer::from_pem_slice(pem.expose_secret().as_bytes())
        .map_err(|_| "there is no private key in it (PEM)".to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_of_certificates_has_something_in_it_and_an_end() {
        let path = std::env::temp_dir().join(format!("tls-chain-{}", std::process::id()));
        let read_back = |text: &str| {
            fs::write(&path, text).unwrap();
            read_chain(&path).map(|chain| chain.len())
        };
        let one = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let longest = usize::try_from(LONGEST_CHAIN).unwrap();
        let padded = |length: usize| format!("{one}{}", " ".repeat(length - one.len()));
        let said = [
            read_back(one),
            read_back(&format!("with words before it\n{one}{one}")),
            read_back(&padded(longest)),
            read_back(&padded(longest + 1)),
            read_back("\n"),
            read_back("-----BEGIN CERTIFICATE-----\nAAAA\n"),
        ];
        fs::remove_file(&path).unwrap();
        let refused = |why: &str| Err(why.to_owned());
        assert_eq!(
            said,
            [
                Ok(1),
                Ok(2),
                Ok(1),
                refused("it is longer than 256 KiB"),
                refused("there is no certificate in it (PEM)"),
                refused("it is no PEM"),
            ]
        );
        assert!(read_chain(&path).is_err());
    }
}
