//! What was found out.

/// One thing that was found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it is right.
    pub level: Level,
    /// What was expected and what was found.
    pub text: String,
    /// What to do.
    pub advice: Option<Advice>,
}

/// Whether something is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It is right.
    Ok,
    /// It works, and may not be what is wanted.
    Warning,
    /// It does not work.
    Wrong,
}

impl Level {
    /// Its name: `ok`, `warning` or `wrong`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Wrong => "wrong",
        }
    }
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// A sentence.
    pub text: String,
    /// The setting of this resource server that it is about; `None` if the fault is elsewhere.
    pub setting: Option<Setting>,
}

/// A setting of a resource server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// The identifier of the issuer.
    Issuer,
    /// What the issuer's opaque tokens begin with.
    TokenPrefixes,
    /// The URL of its metadata.
    MetadataUrl,
    /// Its introspection endpoint.
    IntrospectionUrl,
    /// Its key set.
    KeysUrl,
    /// The client id and the secret of this resource server.
    Credentials,
    /// Whether replies have to be signed.
    SignedReplies,
    /// How JWTs are verified.
    Jwt,
    /// The algorithms of signatures.
    Algorithms,
    /// The types of JWTs.
    JwtTypes,
    /// The claims that name the client.
    ClientClaims,
    /// The claims that have the scopes.
    ScopeClaims,
    /// The claim that identifies the user.
    Subject,
    /// The audiences besides the resource.
    Audiences,
    /// The URL of this resource server, which is the audience of its tokens.
    Resource,
    /// Whether a token needs no audience.
    AudienceMayBeAbsent,
    /// Whether tokens that are bound to a key are accepted.
    Proofs,
}

/// Findings in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Findings(pub(super) Vec<Finding>);

impl Findings {
    pub(super) fn ok(&mut self, text: impl Into<String>) {
        self.add(Level::Ok, text, None);
    }

    pub(super) fn warning(
        &mut self,
        text: impl Into<String>,
        setting: Option<Setting>,
        advice: impl Into<String>,
    ) {
        self.add(Level::Warning, text, Some((setting, advice.into())));
    }

    pub(super) fn wrong(
        &mut self,
        text: impl Into<String>,
        setting: Option<Setting>,
        advice: impl Into<String>,
    ) {
        self.add(Level::Wrong, text, Some((setting, advice.into())));
    }

    pub(super) fn is_wrong(&self) -> bool {
        self.0.iter().any(|finding| finding.level == Level::Wrong)
    }

    fn add(
        &mut self,
        level: Level,
        text: impl Into<String>,
        advice: Option<(Option<Setting>, String)>,
    ) {
        self.0.push(Finding {
            level,
            text: text.into(),
            advice: advice.map(|(setting, text)| Advice { text, setting }),
        });
    }
}
