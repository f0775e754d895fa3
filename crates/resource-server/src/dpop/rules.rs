//! Whether and how proofs of a token's key are taken (DPoP, RFC 9449).

use actix_web::{HttpRequest, http::header::HeaderName};

use super::{
    nonce::Nonces,
    proof::{Proof, ProvedRequest, Window, proof_in, verify_proof},
};
use crate::{bearer::BearerToken, clock::Timestamp, url::ResourceUri, validation::Refusal};

static DPOP: HeaderName = HeaderName::from_static("dpop");

/// What proofs have to be to be taken here.
pub struct ProofRules {
    taken: bool,
    nonces: Option<Nonces>,
    /// What a proof has to name: the one resource, however it was reached.
    url: String,
    window: Window,
}

impl ProofRules {
    /// The rules for a resource. With `nonces`, a proof has to have one of them; without `taken`,
    /// none is taken, and no token that is bound to a key can be used.
    #[must_use]
    pub fn new(resource: &ResourceUri, taken: bool, nonces: Option<Nonces>) -> Self {
        Self {
            taken,
            nonces,
            url: resource.as_str().to_owned(),
            window: Window::default(),
        }
    }

    /// Whether any is taken.
    #[must_use]
    pub const fn are_taken(&self) -> bool {
        self.taken
    }

    /// The nonce for the next proof, where one is needed.
    #[must_use]
    pub fn nonce(&self, now: Timestamp) -> Option<String> {
        self.nonces.as_ref().map(|nonces| nonces.issue(now))
    }

    /// The proof that came with a request, if it is good for it.
    ///
    /// # Errors
    /// The refusal that applies.
    pub fn verify(
        &self,
        request: &HttpRequest,
        token: &BearerToken,
        now: Timestamp,
    ) -> Result<Proof, Refusal> {
        if !self.taken {
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
