//! What one row of the table of keys says, and the macro with which the table is written.

/// A group of keys, under whose title `--help`, `check-config` and `docs/CONFIGURATION.md` show them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Heading {
    /// The listener.
    Server,
    /// TLS on the listener.
    Tls,
    /// PostgreSQL.
    Database,
    /// Whose tokens are accepted.
    AuthorizationServer,
    /// Calls to the introspection endpoint.
    Introspection,
    /// How long tokens are cached.
    TokenCache,
    /// Tokens that this server verifies itself.
    Jwt,
    /// What the server asks of MCP clients.
    Clients,
    /// Rate limits.
    RateLimits,
    /// Connections, and the memory that clients may make the server use.
    Memory,
    /// Legacy sessions and event streams.
    Sessions,
    /// Secrets of the server's own.
    Secrets,
    /// The end of the process.
    Shutdown,
    /// Logging, metrics and traces.
    Observability,
}

impl Heading {
    /// Every heading, in the order in which they are shown.
    pub const ALL: [Self; 14] = [
        Self::Server,
        Self::Tls,
        Self::Database,
        Self::AuthorizationServer,
        Self::Introspection,
        Self::TokenCache,
        Self::Jwt,
        Self::Clients,
        Self::RateLimits,
        Self::Memory,
        Self::Sessions,
        Self::Secrets,
        Self::Shutdown,
        Self::Observability,
    ];

    /// The title that is shown.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Server => "Server",
            Self::Tls => "TLS",
            Self::Database => "Database",
            Self::AuthorizationServer => "Authorization server",
            Self::Introspection => "Introspection",
            Self::TokenCache => "Token cache",
            Self::Jwt => "JWT access tokens",
            Self::Clients => "MCP clients",
            Self::RateLimits => "Rate limits",
            Self::Memory => "Connections and memory",
            Self::Sessions => "Sessions and streams",
            Self::Secrets => "Secrets of this server",
            Self::Shutdown => "Shutdown",
            Self::Observability => "Logging and metrics",
        }
    }
}

/// One key of the configuration: everything about it but its type, which the table has beside it.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name in the environment.
    pub name: &'static str,
    /// The placeholder for its value in `--help`.
    pub value_name: &'static str,
    /// The value if it is not set.
    pub default: Option<&'static str>,
    /// What it does, in one or two sentences.
    pub help: &'static str,
    /// Where it is shown.
    pub heading: Heading,
    /// Whether its value is masked, and can be given in a file named by `<name>_FILE`.
    pub is_secret: bool,
    /// Former names in the environment. They still work, and a warning at start names the new one.
    pub aliases: &'static [&'static str],
    /// The member of an issuer in `EPICME_ISSUERS_FILE` that says the same; of a secret, that of its file.
    pub member: Option<&'static str>,
    /// Whether there is only that member, and neither a variable nor a flag.
    pub is_member_only: bool,
}

impl Key {
    /// A key with neither a default nor anything else.
    pub(super) const fn new(name: &'static str, value_name: &'static str) -> Self {
        Self {
            name,
            value_name,
            default: None,
            help: "",
            heading: Heading::Server,
            is_secret: false,
            aliases: &[],
            member: None,
            is_member_only: false,
        }
    }

    /// A secret: masked, and with a `_FILE` variant.
    pub(super) const fn secret(name: &'static str, value_name: &'static str) -> Self {
        Self {
            is_secret: true,
            ..Self::new(name, value_name)
        }
    }

    /// A member of an issuer in `EPICME_ISSUERS_FILE` that has no key.
    pub(super) const fn member_only(member: &'static str, value_name: &'static str) -> Self {
        Self {
            is_member_only: true,
            ..Self::new(member, value_name).member(member)
        }
    }

    pub(super) const fn default(self, default: &'static str) -> Self {
        Self {
            default: Some(default),
            ..self
        }
    }

    pub(super) const fn member(self, member: &'static str) -> Self {
        Self {
            member: Some(member),
            ..self
        }
    }

    /// Former names of a key that was renamed, to be kept for one release.
    #[must_use]
    pub const fn formerly(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    pub(super) const fn described(self, help: &'static str, heading: Heading) -> Self {
        Self {
            help,
            heading,
            ..self
        }
    }

    /// The variable that names the file of a secret.
    #[must_use]
    pub fn file_name(&self) -> Option<String> {
        self.is_secret.then(|| file_variant(self.name))
    }
}

/// The variable that names the file of the secret that another variable holds.
pub(super) fn file_variant(name: &str) -> String {
    format!("{name}_FILE")
}

/// The flag of a variable, without the dashes: `EPICME_PUBLIC_URL` is `--public-url`.
#[must_use]
pub fn flag(name: &str) -> String {
    let name = name.strip_prefix("EPICME_").unwrap_or(name);
    name.to_ascii_lowercase().replace('_', "-")
}

/// Writes the table of keys. Each group fills one struct, and each row of it the field of its name:
///
/// ```text
/// GROUP: GroupKeys, function(reader, more: Type) -> Struct {
///     Heading {
///         /// What the key does (this is its help).
///         field: Key::new("EPICME_KEY", "VALUE").default("1") => kind of its value;
///     }
///     .. { field that no key fills: Some(value) }
/// }
/// ```
///
/// It makes of each group the keys, by the field that they fill (`GROUP.field`), and a function that reads
/// all of them before it gives up, so that no fault hides another. `-> partial Struct` keeps what could be
/// read, for a struct whose fields are all `Option`s, so that rules about several keys find what is there.
/// `KEYS` has every key.
macro_rules! keys {
    ($(
        $group:ident: $keys:ident, $read:ident($reader:ident $(, $more:ident: $type:ty)*) -> $($target:ident)+ {
            $($heading:ident {
                $($(#[doc = $help:literal])+ $field:ident: $key:expr => $kind:expr;)+
            })+
            $(.. { $($extra:ident: $value:expr),+ $(,)? })?
        }
    )+) => {
        $(
            #[doc = concat!("The keys that `", stringify!($read), "` reads, by the field that each fills.")]
            pub struct $keys {
                $($($(#[doc = $help])+ pub $field: Key,)+)+
            }

            #[doc = concat!("The keys of `", stringify!($group), "`, by the field that each fills.")]
            pub static $group: $keys = $keys {
                $($($field: $key.described(concat!($($help),+).trim_ascii_start(), Heading::$heading),)+)+
            };

            pub(super) fn $read($reader: &mut Reader<'_> $(, $more: $type)*) -> Option<keys!(@type $($target)+)> {
                $($(let $field = $reader.read(&$group.$field, $kind);)+)+
                $($(let $extra = $value;)+)?
                keys!(@build [$($target)+] [$($($field)+)+ $($($extra)+)?])
            }
        )+

        /// Every key, in the order of the table.
        pub static KEYS: &[&Key] = &[$($($(&$group.$field,)+)+)+];
    };
    (@type partial $target:ident) => { $target };
    (@type $target:ident) => { $target };
    (@build [partial $target:ident] [$($field:ident)+]) => {
        Some($target { $($field),+ })
    };
    (@build [$target:ident] [$($field:ident)+]) => {
        Some($target { $($field: $field?),+ })
    };
}

pub(super) use keys;
