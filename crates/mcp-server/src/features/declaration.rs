//! Scopes and errors of declarations.

use derive_more::{Display, Error};

use resource_server::scope::{ScopeError, ScopeSet, Scopes};

/// An incorrect declaration. The server does not start.
#[derive(Clone, Debug, Display, Error, PartialEq, Eq)]
pub enum DeclarationError {
    /// A scope is invalid, or a feature needs one that is not declared.
    #[display("{feature}: {source}")]
    Scope {
        /// The feature, such as ``the tool `add` ``; or `scopes`.
        feature: String,
        /// The error of the scope.
        source: ScopeError,
    },
    /// Two features of one kind have the same name or URI.
    #[display("the {kind} `{name}` is declared twice")]
    Duplicate {
        /// `tool`, `resource`, `resource template` or `prompt`.
        kind: &'static str,
        /// The name or URI.
        name: String,
    },
    /// The URI is invalid: see [`crate::features::uri`].
    #[display("the {kind} `{name}` has an unusable URI: {reason}")]
    Uri {
        /// `resource` or `resource template`.
        kind: &'static str,
        /// The URI.
        name: String,
        /// The rule that it violates.
        #[error(not(source))]
        reason: &'static str,
    },
    /// More than one template is listed, so that a cursor would be ambiguous.
    #[display("the resource template `{_0}` is the second one that is listed one by one")]
    SecondListing(#[error(not(source))] String),
}

/// The scopes of a declaration: names until the server is built, then a set.
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
