//! The labels and all the values that each can have.

/// A label, the values of which are a closed set.
pub trait Label: Copy + Sized + 'static {
    /// All values, each at its place.
    const ALL: &'static [Self];

    /// The value's place among all.
    fn index(self) -> usize;

    /// The value as Prometheus is told it.
    fn as_str(self) -> &'static str;
}

/// Declares a label with its values.
macro_rules! label {
    ($(#[$about:meta])* $name:ident { $($(#[$what:meta])* $value:ident = $text:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$what])* $value,)+
        }

        impl Label for $name {
            const ALL: &'static [Self] = &[$(Self::$value,)+];

            fn index(self) -> usize {
                self as usize
            }

            fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $text,)+
                }
            }
        }
    };
}

label! {
    /// The era of a request, if it came so far as to have one.
    Era {
        /// 2026-07-28.
        Modern = "modern",
        /// 2025-03-26 to 2025-11-25.
        Legacy = "legacy",
        /// It was refused before that was known, or is none of MCP's.
        None = "none",
    }
}

label! {
    /// What a request asks for.
    Method {
        /// `initialize`.
        Initialize = "initialize",
        /// `ping`.
        Ping = "ping",
        /// `server/discover`.
        Discover = "server/discover",
        /// `tools/list`.
        ListTools = "tools/list",
        /// `tools/call`.
        CallTool = "tools/call",
        /// `resources/list`.
        ListResources = "resources/list",
        /// `resources/templates/list`.
        ListResourceTemplates = "resources/templates/list",
        /// `resources/read`.
        ReadResource = "resources/read",
        /// `resources/subscribe`.
        Subscribe = "resources/subscribe",
        /// `resources/unsubscribe`.
        Unsubscribe = "resources/unsubscribe",
        /// `prompts/list`.
        ListPrompts = "prompts/list",
        /// `prompts/get`.
        GetPrompt = "prompts/get",
        /// `completion/complete`.
        Complete = "completion/complete",
        /// `subscriptions/listen`.
        Listen = "subscriptions/listen",
        /// `logging/setLevel`.
        SetLogLevel = "logging/setLevel",
        /// Any notification of a client's.
        Notification = "notification",
        /// A client's response to a question.
        Response = "response",
        /// Several messages at once.
        Batch = "batch",
        /// A method that is not MCP's, or not served.
        Other = "other",
        /// No message was read: a GET or a DELETE, another path, or it was refused before.
        None = "none",
    }
}

impl Method {
    /// The value for a request of a method of this name.
    #[must_use]
    pub fn of_request(name: &str) -> Self {
        match name {
            "initialize" => Self::Initialize,
            "ping" => Self::Ping,
            "server/discover" => Self::Discover,
            "tools/list" => Self::ListTools,
            "tools/call" => Self::CallTool,
            "resources/list" => Self::ListResources,
            "resources/templates/list" => Self::ListResourceTemplates,
            "resources/read" => Self::ReadResource,
            "resources/subscribe" => Self::Subscribe,
            "resources/unsubscribe" => Self::Unsubscribe,
            "prompts/list" => Self::ListPrompts,
            "prompts/get" => Self::GetPrompt,
            "completion/complete" => Self::Complete,
            "subscriptions/listen" => Self::Listen,
            "logging/setLevel" => Self::SetLogLevel,
            _ => Self::Other,
        }
    }
}

label! {
    /// What became of a request.
    Outcome {
        /// It was answered.
        Ok = "ok",
        /// It is being answered on a stream, which will tell.
        Streamed = "streamed",
        /// The tool could not do what it was asked to, and said why.
        ToolError = "tool_error",
        /// It was wrong: a JSON-RPC error, or a body or a header that will not do.
        Error = "error",
        /// 401.
        Unauthorized = "unauthorized",
        /// 403: the token does not reach so far.
        Forbidden = "forbidden",
        /// 404, 405, 421, or 403 for an origin: nothing that is served here, or to nobody there.
        Refused = "refused",
        /// 429.
        Limited = "limited",
        /// 503: as much is under way as may be.
        Busy = "busy",
        /// 503: the authorization server or the database cannot be reached.
        Unavailable = "unavailable",
        /// Our own fault.
        Internal = "internal",
        /// The client left before it was answered.
        Cancelled = "cancelled",
    }
}

label! {
    /// What became of an introspection (RFC 7662).
    Introspection {
        /// The authorization server vouches for the token.
        Active = "active",
        /// It does not.
        Inactive = "inactive",
        /// It could not be reached, or had an error of its own, or took too long.
        Unavailable = "unavailable",
        /// It answered what it should not, or refuses us.
        Nonsense = "nonsense",
        /// It was not asked: it failed several times in a row.
        CircuitOpen = "circuit_open",
    }
}

label! {
    /// What was known of a token before anybody was asked.
    CacheResult {
        /// That it is good.
        Hit = "hit",
        /// Nothing.
        Miss = "miss",
        /// That it is no good.
        NegativeHit = "negative_hit",
        /// That it was good, which has to do while its authorization server cannot be asked.
        Stale = "stale",
        /// Nothing, but somebody was asking already.
        Coalesced = "coalesced",
    }
}

label! {
    /// Whether an authorization server is asked.
    CircuitState {
        /// It is.
        Closed = "closed",
        /// One call is let through to find out.
        HalfOpen = "half_open",
        /// It is left alone for a while.
        Open = "open",
    }
}

label! {
    /// What bounds the work of an actor.
    Gate {
        /// Introspections, and metadata for the relay.
        Introspection = "introspection",
        /// Logout tokens.
        Logout = "logout",
        /// Messages to the journal.
        Journal = "journal",
    }
}

label! {
    /// What an event stream is of.
    StreamKind {
        /// `subscriptions/listen`.
        Subscription = "subscription",
        /// The general stream of a legacy session, or the rest of one that was lost.
        Session = "session",
        /// A call that has something to say before its answer.
        Call = "call",
    }
}

label! {
    /// What a connection to the database does.
    ConnectionState {
        /// It waits to be used.
        Idle = "idle",
        /// It is in use.
        Busy = "busy",
    }
}

label! {
    /// What the journal was asked.
    Operation {
        /// Write an entry.
        CreateEntry = "create_entry",
        /// Read an entry.
        GetEntry = "get_entry",
        /// List entries.
        ListEntries = "list_entries",
        /// Search entries.
        SearchEntries = "search_entries",
        /// Read the newest entries of a span of time.
        DigestEntries = "digest_entries",
        /// Suggest entries to somebody who types.
        SuggestEntries = "suggest_entries",
        /// Change an entry.
        UpdateEntry = "update_entry",
        /// Delete an entry.
        DeleteEntry = "delete_entry",
        /// Whether there is any entry.
        HasEntries = "has_entries",
        /// Make a tag.
        CreateTag = "create_tag",
        /// Read a tag.
        GetTag = "get_tag",
        /// List tags.
        ListTags = "list_tags",
        /// Suggest tags to somebody who types.
        SuggestTags = "suggest_tags",
        /// Change a tag.
        UpdateTag = "update_tag",
        /// Delete a tag.
        DeleteTag = "delete_tag",
        /// Put a tag on an entry.
        AddTagToEntry = "add_tag_to_entry",
        /// Take a tag off an entry.
        RemoveTagFromEntry = "remove_tag_from_entry",
        /// Any step of writing an export or of reading one.
        Export = "export",
        /// Use a confirmation up.
        UseRequestState = "use_request_state",
        /// Read activity or connected clients.
        ReadActivity = "read_activity",
        /// Write activity down.
        AddActivity = "add_activity",
        /// Delete what has expired.
        DeleteExpired = "delete_expired",
        /// Whether the database answers.
        Ping = "ping",
    }
}

label! {
    /// What became of what the journal was asked.
    JournalOutcome {
        /// It was done.
        Ok = "ok",
        /// It could not be done: no such thing, a name that is taken, a key that was used.
        Refused = "refused",
        /// There was no place behind the gate in time.
        Busy = "busy",
        /// The database could not be reached, or broke off.
        Unavailable = "unavailable",
        /// The database answered what it should not.
        Corrupt = "corrupt",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn check<L: Label>() {
        for (place, value) in L::ALL.iter().enumerate() {
            assert_eq!(value.index(), place);
        }
        let words: BTreeSet<_> = L::ALL.iter().map(|value| value.as_str()).collect();
        assert_eq!(words.len(), L::ALL.len());
    }

    #[test]
    fn every_value_has_a_place_and_a_word_of_its_own() {
        check::<Era>();
        check::<Method>();
        check::<Outcome>();
        check::<Introspection>();
        check::<CacheResult>();
        check::<CircuitState>();
        check::<Gate>();
        check::<StreamKind>();
        check::<ConnectionState>();
        check::<Operation>();
        check::<JournalOutcome>();
    }

    #[test]
    fn a_name_counts_as_the_method_that_it_names() {
        for method in Method::ALL {
            let named = Method::of_request(method.as_str());
            assert!(named == *method || named == Method::Other, "{method:?}");
        }
        assert_eq!(Method::of_request("tools/call"), Method::CallTool);
        assert_eq!(Method::of_request("tools/call2"), Method::Other);
    }
}
