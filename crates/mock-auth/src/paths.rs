//! Paths that more than one module needs.

/// The metadata's path of RFC 8414 §3.
pub(crate) const OAUTH_METADATA: &str = "/.well-known/oauth-authorization-server";
/// The path of OpenID Connect Discovery §4 for the same.
pub(crate) const OPENID_METADATA: &str = "/.well-known/openid-configuration";
/// Where clients send browsers, and where the pages' forms are posted to.
pub(crate) const AUTHORIZE: &str = "/oauth/authorize";
/// The page that asks who is there, and the one that asks for consent.
pub(crate) const SIGN_IN: &str = "/oauth/sign-in";
pub(crate) const CONSENT: &str = "/oauth/consent";
/// Where devices ask for their codes (RFC 8628 §3.1), and where people enter them (§3.3).
pub(crate) const DEVICE_AUTHORIZATION: &str = "/oauth/device_authorization";
pub(crate) const DEVICE: &str = "/device";
/// The pages after a person's answer to a device.
pub(crate) const DEVICE_ALLOWED: &str = "/device/allowed";
pub(crate) const DEVICE_DENIED: &str = "/device/denied";
