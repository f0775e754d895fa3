//! The labels of a server's own metrics.

use resource_server::metric_label;

metric_label! {
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

metric_label! {
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

metric_label! {
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
        /// 503: the authorization server or something else that is needed cannot be reached.
        Unavailable = "unavailable",
        /// Our own fault.
        Internal = "internal",
        /// The client left before it was answered.
        Cancelled = "cancelled",
    }
}

metric_label! {
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
        check::<StreamKind>();
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
