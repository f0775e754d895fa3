//! The rules for DPoP proofs at one resource.

use actix_web::{HttpRequest, http::header::HeaderName};

use super::{
    nonce::Nonces,
    proof::{Proof, ProvedRequest, Window, proof_in, verify_proof},
};
use crate::{bearer::BearerToken, clock::Timestamp, url::ResourceUri, validation::Refusal};

static DPOP: HeaderName = HeaderName::from_static("dpop");

/// The rules for DPoP proofs at one resource.
pub(crate) struct ProofRules {
    accepted: bool,
    nonces: Option<Nonces>,
    /// The required `htu`: the resource identifier, independent of `Host`.
    url: String,
    window: Window,
}

impl ProofRules {
    /// The rules for a resource. With `nonces`, a proof needs one of them. If proofs are not accepted, a token
    /// that is bound to a key cannot be used.
    pub(crate) fn new(resource: &ResourceUri, accepted: bool, nonces: Option<Nonces>) -> Self {
        Self {
            accepted,
            nonces,
            url: resource.as_str().to_owned(),
            window: Window::default(),
        }
    }

    /// The nonce for the next proof, if one is needed.
    pub(crate) fn nonce(&self, now: Timestamp) -> Option<String> {
        self.nonces.as_ref().map(|nonces| nonces.issue(now))
    }

    /// Verifies the proof of a request.
    ///
    /// # Errors
    /// [`Refusal::Proof`], or [`Refusal::SenderConstrained`] if proofs are not accepted.
    pub(crate) fn verify(
        &self,
        request: &HttpRequest,
        token: &BearerToken,
        now: Timestamp,
    ) -> Result<Proof, Refusal> {
        if !self.accepted {
            return Err(Refusal::SenderConstrained);
        }
        let fields = request.headers().get_all(&DPOP);
        let proof = proof_in(fields.map(|value| value.as_bytes())).map_err(Refusal::Proof)?;
        let proved = ProvedRequest {
            method: request.method().as_str(),
            url: &self.url,
            token,
            window: self.window,
            nonces: self.nonces.as_ref(),
        };
        verify_proof(proof, &proved, now).map_err(Refusal::Proof)
    }
}
