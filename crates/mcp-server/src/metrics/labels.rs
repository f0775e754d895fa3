//! The labels of a server's own metrics.

use resource_server::metric_label;

metric_label! {
    /// The era of a request.
    Era {
        /// 2026-07-28.
        Modern = "modern",
        /// 2025-03-26 to 2025-11-25.
        Legacy = "legacy",
        /// It was refused before its era was known, or it is not an MCP request.
        None = "none",
    }
}

metric_label! {
    /// The method of a request.
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
        /// Any notification of a client.
        Notification = "notification",
        /// A response of a client to a request of the server.
        Response = "response",
        /// A batch.
        Batch = "batch",
        /// An unknown method.
        Other = "other",
        /// No message was read: a GET or a DELETE, another path, or a request that was refused before.
        None = "none",
    }
}

impl Method {
    /// The label for a method name.
    #[must_use]
    pub(crate) fn of_request(name: &str) -> Self {
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

metric_label! {
    /// The outcome of a request.
    Outcome {
        /// Success.
        Ok = "ok",
        /// The response is an event stream.
        Streamed = "streamed",
        /// A tool result with `isError`.
        ToolError = "tool_error",
        /// A JSON-RPC error, or an invalid body or header.
        Error = "error",
        /// 401.
        Unauthorized = "unauthorized",
        /// 403: the token lacks a scope.
        Forbidden = "forbidden",
        /// 404, 405, 421, or 403 for an origin.
        Refused = "refused",
        /// 429.
        Limited = "limited",
        /// 503: the server is at capacity.
        Busy = "busy",
        /// 503: the authorization server or another dependency is unreachable.
        Unavailable = "unavailable",
        /// An error of the server.
        Internal = "internal",
        /// The client disconnected before the response.
        Cancelled = "cancelled",
    }
}

metric_label! {
    /// How a call of a tool ended.
    CallEnd {
        /// It did what it was to do.
        Ok = "ok",
        /// The client has to answer a question first.
        Asked = "asked",
        /// The user did not confirm it, so nothing was done.
        Declined = "declined",
        /// A tool result with `isError`.
        ToolError = "tool_error",
        /// A JSON-RPC error: its arguments or its request state cannot be used.
        Error = "error",
        /// The token lacks a scope.
        Forbidden = "forbidden",
        /// The server, or the user's share of it, is at capacity.
        Busy = "busy",
        /// Something that the tool needs cannot be reached.
        Unavailable = "unavailable",
        /// An error of the server.
        Internal = "internal",
        /// The client left or cancelled the call.
        Cancelled = "cancelled",
    }
}

metric_label! {
    /// A limit that a request ran into.
    Limit {
        /// Unknown tokens of a source in a minute.
        UnknownTokens = "unknown_tokens",
        /// Requests of a user in a minute.
        RequestsOfUser = "requests_of_user",
        /// Requests of a client in a minute.
        RequestsOfClient = "requests_of_client",
        /// Wrong secrets of operators of a source in a minute.
        WrongSecrets = "wrong_secrets",
        /// Requests of a user that are under way.
        RequestsUnderWay = "requests_under_way",
        /// Memory of a user or a source.
        MemoryOfCaller = "memory_of_caller",
        /// Memory of all.
        Memory = "memory",
        /// What one user may have under way in a dependency of the features.
        ShareOfUser = "share_of_user",
        /// Legacy sessions, of the user or in all.
        Sessions = "sessions",
        /// `subscriptions/listen`, of the user or in all.
        Streams = "streams",
        /// Work at once: a gate is full.
        Concurrency = "concurrency",
    }
}

metric_label! {
    /// The kind of an event stream.
    StreamKind {
        /// `subscriptions/listen`.
        Subscription = "subscription",
        /// The standalone stream of a session, or a resumed stream.
        Session = "session",
        /// A call that sends messages before its answer.
        Call = "call",
    }
}

metric_label! {
    /// Why the server closed a connection, or did not serve it.
    Closed {
        /// Its source had too many connections without a good token.
        Source = "source",
        /// There were too many connections in all.
        Full = "full",
        /// Its user had too many.
        User = "user",
        /// There were too many, and none of them gave way.
        Refused = "refused",
        /// The rest of a request's head did not come.
        SlowHead = "slow_head",
        /// There was no memory for a request's head.
        Memory = "memory",
        /// The client did not take what was sent.
        WriteStalled = "write_stalled",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use resource_server::metrics::Label;

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
        check::<CallEnd>();
        check::<Limit>();
        check::<StreamKind>();
        check::<Closed>();
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
