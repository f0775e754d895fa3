//! The cryptography provider of `jsonwebtoken`: `ring`.

use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind, EncodingKey,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{ErrorKind, Result},
    signature::{Error, Signer, Verifier},
};
use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
        ECDSA_P384_SHA384_FIXED_SIGNING, ED25519, EcdsaKeyPair, EcdsaSigningAlgorithm,
        Ed25519KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
        RSA_PKCS1_2048_8192_SHA512, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
        RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
        RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair, RsaParameters,
        RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
    },
};

static RING: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Installs the provider for the whole process. Call it before signing or verifying; repeated calls do nothing.
pub(crate) fn install() {
    let _ = RING.install_default();
}

struct RingVerifier {
    algorithm: Algorithm,
    key: DecodingKey,
}

struct RingSigner {
    algorithm: Algorithm,
    key: PrivateKey,
}

/// A private key with its parameters.
enum PrivateKey {
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    if key.family() != algorithm.family() {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    Ok(Box::new(RingVerifier {
        algorithm: *algorithm,
        key: key.clone(),
    }))
}

/// The key's bytes are PKCS#8.
fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    let pkcs8 = key.as_bytes();
    let rsa = |encoding| {
        RsaKeyPair::from_pkcs8(pkcs8)
            .map(|key| PrivateKey::Rsa(key, encoding))
            .map_err(|_| ErrorKind::InvalidKeyFormat)
    };
    let ecdsa = |curve: &'static EcdsaSigningAlgorithm| {
        EcdsaKeyPair::from_pkcs8(curve, pkcs8, &SystemRandom::new())
            .map(PrivateKey::Ecdsa)
            .map_err(|_| ErrorKind::InvalidEcdsaKey)
    };
    if key.family() != algorithm.family() {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    let key = match algorithm {
        Algorithm::RS256 => rsa(&RSA_PKCS1_SHA256),
        Algorithm::RS384 => rsa(&RSA_PKCS1_SHA384),
        Algorithm::RS512 => rsa(&RSA_PKCS1_SHA512),
        Algorithm::PS256 => rsa(&RSA_PSS_SHA256),
        Algorithm::PS384 => rsa(&RSA_PSS_SHA384),
        Algorithm::PS512 => rsa(&RSA_PSS_SHA512),
        Algorithm::ES256 => ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING),
        Algorithm::ES384 => ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING),
        Algorithm::EdDSA => Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8)
            .map(PrivateKey::Ed25519)
            .map_err(|_| ErrorKind::InvalidEddsaKey),
        _ => Err(ErrorKind::InvalidAlgorithm),
    }?;
    Ok(Box::new(RingSigner {
        algorithm: *algorithm,
        key,
    }))
}

/// The parameters of RSA algorithms; `ring` refuses keys below 2048 bits and above 8192.
fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::RS256 => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::RS384 => &RSA_PKCS1_2048_8192_SHA384,
        Algorithm::RS512 => &RSA_PKCS1_2048_8192_SHA512,
        Algorithm::PS256 => &RSA_PSS_2048_8192_SHA256,
        Algorithm::PS384 => &RSA_PSS_2048_8192_SHA384,
        Algorithm::PS512 => &RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

/// The parameters of elliptic-curve algorithms.
fn curve(algorithm: Algorithm) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match algorithm {
        Algorithm::ES256 => &ECDSA_P256_SHA256_FIXED,
        Algorithm::ES384 => &ECDSA_P384_SHA384_FIXED,
        Algorithm::EdDSA => &ED25519,
        _ => return None,
    })
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        match self.key.kind() {
            DecodingKeyKind::RsaModulusExponent { n, e } => {
                let parameters = rsa_parameters(self.algorithm).ok_or_else(Error::new)?;
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
            }
            DecodingKeyKind::SecretOrDer(point) => {
                let curve = curve(self.algorithm).ok_or_else(Error::new)?;
                UnparsedPublicKey::new(curve, point).verify(message, signature)
            }
        }
        .map_err(|_| Error::new())
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Signer<Vec<u8>> for RingSigner {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, Error> {
        let random = SystemRandom::new();
        match &self.key {
            PrivateKey::Rsa(key, encoding) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(*encoding, &random, message, &mut signature)
                    .map(|()| signature)
            }
            PrivateKey::Ecdsa(key) => key
                .sign(&random, message)
                .map(|signature| signature.as_ref().to_vec()),
            PrivateKey::Ed25519(key) => Ok(key.sign(message).as_ref().to_vec()),
        }
        .map_err(|_| Error::new())
    }
}

impl JwtSigner for RingSigner {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

/// The private key in a PKCS#8 document, and its algorithms, the default one first. `None` if `ring` does not
/// support it.
pub(crate) fn private_key(pkcs8: &[u8]) -> Option<(EncodingKey, &'static [Algorithm])> {
    let kinds: [(EncodingKey, &[Algorithm]); 4] = [
        (
            EncodingKey::from_rsa_der(pkcs8),
            &[
                Algorithm::RS256,
                Algorithm::RS384,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::PS384,
                Algorithm::PS512,
            ],
        ),
        (EncodingKey::from_ec_der(pkcs8), &[Algorithm::ES256]),
        (EncodingKey::from_ec_der(pkcs8), &[Algorithm::ES384]),
        (EncodingKey::from_ed_der(pkcs8), &[Algorithm::EdDSA]),
    ];
    kinds
        .into_iter()
        .find(|(key, algorithms)| signer(&algorithms[0], key).is_ok())
}
