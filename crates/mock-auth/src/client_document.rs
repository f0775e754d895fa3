//! Clients whose id is the URL of a document about them (draft-ietf-oauth-client-id-metadata-document).

use std::{cell::OnceCell, net::ToSocketAddrs, sync::Arc, time::Duration};

use actix_web::{HttpRequest, web};
use awc::http::{StatusCode, header};
use derive_more::{Display, Error};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use serde::Deserialize;
use url::Url;

use crate::{
    addresses,
    client::{AuthMethod, Client, ClientMetadata, GrantType},
    redirect,
    state::State,
};

/// The longest document that is read.
const LONGEST: usize = 64 * 1024;
/// How long the whole fetch may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Fetches documents. One per worker thread, for the HTTP client in it cannot leave its thread.
#[derive(Default)]
pub(crate) struct Fetcher(OnceCell<awc::Client>);

impl Fetcher {
    fn client(&self) -> &awc::Client {
        // Made when it is first needed: reading the system's certificates takes a while.
        self.0.get_or_init(|| {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("ring speaks the default versions of TLS")
                .with_root_certificates(roots)
                .with_no_client_auth();
            awc::Client::builder()
                .connector(awc::Connector::new().rustls_0_23(Arc::new(tls)))
                .disable_redirects()
                .timeout(PATIENCE)
                .finish()
        })
    }
}

/// Why a client id is unknown, as a sentence for the person or program that sent it.
#[derive(Clone, Debug, PartialEq, Eq, Display, Error)]
pub(crate) enum NoClient {
    /// It never registered, or that was forgotten.
    #[display("the client is not registered here")]
    Unregistered,
    /// Its id is the URL of a document, and this server has no use for these.
    #[display(
        "the client names a document about itself, and this server takes clients that register only"
    )]
    DocumentsOff,
    /// Its id is no URL that a document may have.
    #[display("the client id is no URL that a document may have")]
    NoDocumentUrl,
    /// Too many documents are fetched at the moment.
    #[display("too many client documents are being fetched; try again")]
    Busy,
    /// The document cannot be had, or does not hold.
    #[display("the client's document cannot be used: {_0}")]
    Document(#[error(not(source))] String),
}

impl NoClient {
    /// What a person can do about it.
    pub(crate) fn what_to_do(&self) -> &'static str {
        match self {
            Self::Unregistered => {
                "The app uses an id that this server does not know, or does not know any more. Remove the connection in the app \
                 and add it again, so that the app registers anew."
            }
            Self::DocumentsOff => {
                "Remove the connection in the app and add it again: this server now tells apps to register, and most do. An \
                 app that cannot needs this server to be started with --client-documents=on (MOCK_AUTH_CLIENT_DOCUMENTS=on), \
                 and a way to the internet from here."
            }
            Self::Document(_) => {
                "This server fetches the document itself, without a proxy. Where it cannot, start it with \
                 --client-documents=off (MOCK_AUTH_CLIENT_DOCUMENTS=off), then remove the connection in the app and add it \
                 again: apps register instead, and need nothing outside of this machine."
            }
            Self::NoDocumentUrl => {
                "The app has to use an https URL with a path, or to register. Tell its makers."
            }
            Self::Busy => "Reload this page.",
        }
    }
}

/// The client that goes by this id: registered, remembered, or described by the document that the id
/// points to.
///
/// # Errors
/// Why there is no such client.
pub(crate) async fn find(
    request: &HttpRequest,
    state: &State,
    id: &str,
) -> Result<Arc<Client>, NoClient> {
    let known = {
        let (store, now) = state.store();
        store.client(id, now)
    };
    if let Some(client) = known {
        return Ok(client);
    }
    if !id.starts_with("https://") && !id.starts_with("http://") {
        return Err(NoClient::Unregistered);
    }
    if !state.client_documents {
        return Err(NoClient::DocumentsOff);
    }
    let url = document_url(id).ok_or(NoClient::NoDocumentUrl)?;
    let permit = state.fetches.try_acquire();
    let _permit = permit.map_err(|_| NoClient::Busy)?;
    let fetcher = request
        .app_data::<Fetcher>()
        .expect("the fetcher is part of the application");
    let fetched = tokio::time::timeout(PATIENCE, fetch(fetcher, &url, state.loopback_documents));
    let document = fetched
        .await
        .unwrap_or_else(|_| Err("its server took too long".to_owned()))
        .and_then(|document| read(id, &url, &document))
        .map_err(NoClient::Document)?;
    let client = Arc::new(document);
    let (mut store, now) = state.store();
    store.keep_document(Arc::clone(&client), now);
    Ok(client)
}

/// The id as a URL, if the draft's §3 lets a client have it: https with a path, without dot segments,
/// fragment, user name or password. For development, http on loopback will do.
fn document_url(id: &str) -> Option<Url> {
    let url = Url::parse(id).ok()?;
    let secure = url.scheme() == "https" || redirect::is_loopback(&url);
    // What parsing changed had dot segments, an upper-case host or the like; two spellings of one id
    // would be two clients.
    let sound = url.as_str() == id
        && id.len() <= 1024
        && url.path() != "/"
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    (secure && sound).then_some(url)
}

async fn fetch(fetcher: &Fetcher, url: &Url, loopback_too: bool) -> Result<Vec<u8>, String> {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default().unwrap_or(443);
    let addresses: Vec<_> = web::block(move || (host, port).to_socket_addrs())
        .await
        .map_err(|_| "its host's name cannot be resolved")?
        .map_err(|_| "its host's name cannot be resolved")?
        .collect();
    if let Some(special) = addresses
        .iter()
        .find(|address| !addresses::may_call(address.ip(), loopback_too))
    {
        log::debug!("a client document at {} is not fetched", special.ip());
        return Err("its host is not on the public internet".to_owned());
    }
    let address = addresses.first().ok_or("its host has no address")?;
    // The connection goes to the address that was checked, so that a name cannot change in between.
    let mut response = fetcher
        .client()
        .get(url.as_str())
        .address(*address)
        .insert_header((header::ACCEPT, "application/json"))
        .send()
        .await
        .map_err(|error| {
            log::debug!("a client document cannot be fetched: {error}");
            "its server cannot be reached"
        })?;
    if response.status() != StatusCode::OK {
        return Err(format!(
            "its server answered {}",
            response.status().as_u16()
        ));
    }
    let body = response.body().limit(LONGEST).await;
    let body = body.map_err(|_| "it is too long, or broke off")?;
    Ok(body.to_vec())
}

/// Reads the document as the description of the client with this id.
fn read(id: &str, url: &Url, document: &[u8]) -> Result<Client, String> {
    #[derive(Deserialize)]
    struct Named {
        client_id: Option<String>,
        client_secret: Option<serde::de::IgnoredAny>,
        token_endpoint_auth_method: Option<String>,
    }
    let named: Named =
        serde_json::from_slice(document).map_err(|_| "it is not the JSON of a client")?;
    if named.client_id.as_deref() != Some(id) {
        return Err("its client_id is not its own URL".to_owned());
    }
    // Anybody can read the document, so no secret can be agreed upon in it (§4.1 of the draft).
    if named.client_secret.is_some() {
        return Err("it has a client_secret".to_owned());
    }
    let mut json: serde_json::Value =
        serde_json::from_slice(document).map_err(|_| "it is not the JSON of a client")?;
    if named.token_endpoint_auth_method.is_none() {
        json["token_endpoint_auth_method"] = "none".into();
    }
    let metadata =
        ClientMetadata::parse(json.to_string().as_bytes()).map_err(|error| error.description)?;
    if metadata.token_endpoint_auth_method != AuthMethod::None {
        return Err("its token_endpoint_auth_method is not none".to_owned());
    }
    Ok(Client {
        id: id.to_owned(),
        name: metadata.client_name,
        redirect_uris: metadata.redirect_uris,
        grant_types: metadata
            .grant_types
            .into_iter()
            .filter(|it| *it != GrantType::ClientCredentials)
            .collect(),
        secret: None,
        document_host: url.host_str().map(ToOwned::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_an_https_url_with_a_path() {
        for good in ["https://app.example/client.json", "http://127.0.0.1:9/c"] {
            assert!(document_url(good).is_some(), "{good}");
        }
        for bad in [
            "https://app.example",
            "https://app.example/",
            "https://app.example/a/../b",
            "https://app.example/%2e%2e/b",
            "https://APP.example/c",
            "https://app.example:443/c",
            "https://u@app.example/c",
            "https://app.example/c#f",
            "http://app.example/c",
        ] {
            assert!(document_url(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_document_has_to_name_itself_and_no_secret() {
        let id = "https://app.example/c";
        let url = Url::parse(id).unwrap();
        let good =
            r#"{"client_id":"https://app.example/c","redirect_uris":["https://app.example/cb"]}"#;
        assert!(read(id, &url, good.as_bytes()).is_ok());
        for bad in [
            good.replace("/c\"", "/d\""),
            good.replace("{", r#"{"client_secret":"x","#),
            good.replace(
                "{",
                r#"{"token_endpoint_auth_method":"client_secret_post","#,
            ),
            good.replace("https://app.example/cb", "http://app.example/cb"),
            "[]".to_owned(),
            "<html>".to_owned(),
        ] {
            assert!(read(id, &url, bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
