//! What a person is asked on the pages, and what each page is posted for.

use std::sync::Arc;

use crate::{
    authorize::AuthorizationRequest, client::Client, device_codes::DeviceRequest, scopes::Scopes,
    user::User,
};

/// May this client have access?
#[derive(Clone, Debug)]
pub(crate) enum Question {
    /// The browser came from the client, and goes back to it.
    Authorization(Arc<AuthorizationRequest>),
    /// The client runs on a device elsewhere, and waits.
    Device(Arc<DeviceRequest>),
}

impl Question {
    pub(crate) fn client(&self) -> &Client {
        match self {
            Self::Authorization(asked) => &asked.client,
            Self::Device(asked) => &asked.client,
        }
    }

    /// The scopes asked for, if any were named.
    pub(crate) fn scopes(&self) -> Option<&Scopes> {
        match self {
            Self::Authorization(asked) => asked.scopes.as_ref(),
            Self::Device(asked) => asked.scopes.as_ref(),
        }
    }

    pub(crate) fn resources(&self) -> &[String] {
        match self {
            Self::Authorization(asked) => &asked.resources,
            Self::Device(asked) => &asked.resources,
        }
    }

    /// Where the browser goes in the end, if that is not here.
    pub(crate) fn redirect_uri(&self) -> Option<&str> {
        match self {
            Self::Authorization(asked) => Some(&asked.way_back.redirect_uri),
            Self::Device(_) => None,
        }
    }
}

/// What a page is posted for.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A person is to be chosen.
    SignIn(Question),
    /// This person is to consent.
    Consent(Question, User),
    /// The code of a device is to be entered.
    Device,
    /// Switches and revocations.
    Admin,
}
