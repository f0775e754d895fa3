//! What declarations have in common: the scopes that they name, and what can be wrong with them.

use derive_more::{Display, Error};

use resource_server::scope::{ScopeError, ScopeSet, Scopes};

/// A declaration with which a server does not start.
#[derive(Clone, Debug, Display, Error, PartialEq, Eq)]
pub enum DeclarationError {
    /// A scope is declared badly, or a feature names one that is not declared.
    #[display("{feature}: {source}")]
    Scope {
        /// Which feature, such as ``the tool `add` ``; or `scopes`.
        feature: String,
        /// What is wrong with the scope.
        source: ScopeError,
    },
    /// Two features have one name, or one URI.
    #[display("the {kind} `{name}` is declared twice")]
    Doubled {
        /// `tool`, `resource`, `resource template` or `prompt`.
        kind: &'static str,
        /// The name or URI.
        name: String,
    },
    /// The URI cannot be one of this server's: see [`crate::features::uri`].
    #[display("the {kind} `{name}` has an unusable URI: {reason}")]
    Uri {
        /// `resource` or `resource template`.
        kind: &'static str,
        /// The URI.
        name: String,
        /// The rule that it breaks.
        #[error(not(source))]
        reason: &'static str,
    },
    /// More than one template lists its resources one by one, so that a cursor would not say where a
    /// list goes on.
    #[display("the resource template `{_0}` is the second one that is listed one by one")]
    SecondListing(#[error(not(source))] String),
}

/// The scopes that a declaration names: texts until the server is built, then a set.
#[derive(Clone, Debug)]
pub(crate) struct FeatureScopes {
    names: &'static [&'static str],
    set: ScopeSet,
}

impl FeatureScopes {
    pub(crate) const fn of(names: &'static [&'static str]) -> Self {
        Self {
            names,
            set: ScopeSet::EMPTY,
        }
    }

    pub(crate) fn resolve(
        &mut self,
        scopes: &Scopes,
        kind: &str,
        name: &str,
    ) -> Result<(), DeclarationError> {
        let resolved = scopes.set(self.names);
        self.set = resolved.map_err(|source| DeclarationError::Scope {
            feature: format!("the {kind} `{name}`"),
            source,
        })?;
        Ok(())
    }

    #[inline]
    pub(crate) const fn set(&self) -> ScopeSet {
        self.set
    }
}
