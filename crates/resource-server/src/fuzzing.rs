//! Private functions for the fuzz targets of the workspace. Not part of the public interface.

use crate::{
    auth::error::AuthError,
    bearer::BearerToken,
    clock::Timestamp,
    dpop::proof::{ProofFault, ProvedRequest, Window, proof_in, verify_proof},
    issuer::{destinations::Destinations, metadata::Metadata, settings::IssuerSettings},
};

/// What a valid DPoP proof says.
#[derive(Debug)]
pub struct Proved {
    /// The thumbprint of its key.
    pub thumbprint: String,
    /// `jti`.
    pub token_id: String,
    /// `iat`.
    pub issued_at: Timestamp,
}

/// Verifies the proof in the `DPoP` fields of a request.
///
/// # Errors
/// The first check that fails.
pub fn verify_dpop_proof<'a>(
    fields: impl Iterator<Item = &'a [u8]>,
    method: &str,
    url: &str,
    token: &BearerToken,
    now: Timestamp,
) -> Result<Proved, ProofFault> {
    let request = ProvedRequest {
        method,
        url,
        token,
        window: Window::default(),
        nonces: None,
    };
    let proof = verify_proof(proof_in(fields)?, &request, now)?;
    Ok(Proved {
        thumbprint: proof.thumbprint.to_string(),
        token_id: proof.token_id,
        issued_at: proof.issued_at,
    })
}

/// What the metadata of an issuer says.
#[derive(Debug)]
pub struct ReadMetadata {
    /// The document.
    pub document: String,
    /// The introspection endpoint, if it may be called.
    pub introspection: Option<String>,
    /// The URL of the key set, if it may be called.
    pub keys: Option<String>,
}

/// Reads the metadata of an issuer.
///
/// # Errors
/// It is not metadata of this issuer.
pub fn read_issuer_metadata(
    body: &[u8],
    settings: &IssuerSettings,
) -> Result<ReadMetadata, AuthError> {
    let metadata = Metadata::read(body, settings, &Destinations::of(settings))?;
    Ok(ReadMetadata {
        document: metadata.document.to_string(),
        introspection: metadata.introspection.ok().map(|uri| uri.to_string()),
        keys: metadata.keys.ok().map(|uri| uri.to_string()),
    })
}
