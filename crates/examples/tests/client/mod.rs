//! The official client.

use std::{future::Future, sync::Arc, time::Duration};

use parking_lot::Mutex;
use reqwest::RequestBuilder;
use rmcp::{
    ClientHandler, ClientLifecycleMode, ClientServiceExt, ErrorData, RoleClient,
    model::{
        CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig,
        ElicitRequestParams, ElicitResult, ElicitationAction, GetPromptRequestParams,
        Implementation, ProtocolVersion, ReadResourceRequestParams, ResourceContents,
        ResourceUpdatedNotificationParam, SubscribeRequestParams,
    },
    service::{NotificationContext, Peer, RequestContext, RunningService},
    transport::{
        StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::support::Example;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Era {
    Modern,
    Legacy,
}

impl Era {
    pub(crate) const BOTH: [Self; 2] = [Self::Modern, Self::Legacy];

    pub(crate) fn revision(self) -> &'static str {
        match self {
            Self::Modern => "2026-07-28",
            Self::Legacy => "2025-06-18",
        }
    }
}

/// A client that is connected to an example.
pub(crate) struct Client {
    service: RunningService<RoleClient, User>,
    user: User,
    updates: tokio::sync::Mutex<UnboundedReceiver<String>>,
}

/// What the client's user is asked and answers, and what the client is notified of.
#[derive(Clone)]
struct User {
    config: ClientConfig,
    answer: Arc<Mutex<ElicitationAction>>,
    questions: Arc<Mutex<Vec<String>>>,
    updates: UnboundedSender<String>,
}

impl ClientHandler for User {
    fn get_info(&self) -> ClientConfig {
        self.config.clone()
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        if let ElicitRequestParams::FormElicitationParams { message, .. } = request {
            self.questions.lock().push(message);
        }
        let mut result = ElicitResult::new(self.answer.lock().clone());
        if result.action == ElicitationAction::Accept {
            result.content = Some(json!({ "confirmed": true }));
        }
        Ok(result)
    }

    async fn on_resource_updated(
        &self,
        updated: ResourceUpdatedNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.updates.send(updated.uri).unwrap();
    }
}

impl Client {
    pub(crate) async fn connect(example: &Example, token: &str, era: Era) -> Self {
        let capabilities = ClientCapabilities::builder().enable_elicitation().build();
        let mut config = ClientConfig::new(capabilities, Implementation::new("test", "1"));
        let lifecycle = match era {
            Era::Modern => ClientLifecycleMode::Discover {
                preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            },
            Era::Legacy => ClientLifecycleMode::Initialize,
        };
        if era == Era::Legacy {
            config.protocol_version = ProtocolVersion::V_2025_06_18;
        }
        let (sender, updates) = unbounded_channel();
        let user = User {
            config,
            answer: Arc::new(Mutex::new(ElicitationAction::Decline)),
            questions: Arc::default(),
            updates: sender,
        };
        let transport = StreamableHttpClientTransportConfig::with_uri(example.url.as_str());
        let transport = StreamableHttpClientTransport::with_client(
            example.http.clone(),
            transport.auth_header(token),
        );
        let service = user.clone().serve_with_lifecycle(transport, lifecycle);
        Self {
            service: service.await.unwrap(),
            user,
            updates: updates.into(),
        }
    }

    pub(crate) fn peer(&self) -> &Peer<RoleClient> {
        self.service.peer()
    }

    pub(crate) fn revision(&self) -> String {
        let info = self.peer().peer_info().unwrap();
        info.protocol_version.to_string()
    }

    pub(crate) async fn tools(&self) -> Vec<String> {
        let tools = self.peer().list_all_tools().await.unwrap();
        tools.iter().map(|tool| tool.name.to_string()).collect()
    }

    pub(crate) async fn call(&self, tool: &str, arguments: &Value) -> CallToolResult {
        let arguments = arguments.as_object().unwrap().clone();
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        self.service.call_tool(params).await.unwrap()
    }

    /// The URIs of the resources.
    pub(crate) async fn resources(&self) -> Vec<String> {
        let resources = self.peer().list_all_resources().await.unwrap();
        resources.into_iter().map(|resource| resource.uri).collect()
    }

    /// The text of a resource, if there is one.
    pub(crate) async fn read(&self, uri: &str) -> Option<String> {
        let read = self
            .peer()
            .read_resource(ReadResourceRequestParams::new(uri));
        match read.await.ok()?.contents.pop()? {
            ResourceContents::TextResourceContents { text, .. } => Some(text),
            other => panic!("{other:?}"),
        }
    }

    /// The texts of the prompt about a topic.
    pub(crate) async fn prompt(&self, name: &str, topic: &str) -> Vec<String> {
        let arguments = json!({ "topic": topic });
        let params = GetPromptRequestParams::new(name.to_owned())
            .with_arguments(arguments.as_object().unwrap().clone());
        let prompt = self.peer().get_prompt(params).await.unwrap();
        let prompt = serde_json::to_value(prompt).unwrap();
        let messages = prompt["messages"].as_array().unwrap().iter();
        let texts = messages.map(|message| message["content"]["text"].as_str().unwrap());
        texts.map(str::to_owned).collect()
    }

    /// What the user answers from now on.
    pub(crate) fn answer_questions_with(&self, answer: ElicitationAction) {
        *self.user.answer.lock() = answer;
    }

    /// What the user has been asked.
    pub(crate) fn questions(&self) -> Vec<String> {
        self.user.questions.lock().clone()
    }

    /// Subscribes as a client of the legacy era does.
    #[expect(deprecated, reason = "the method of the legacy era")]
    pub(crate) async fn subscribe(&self, uri: &str) {
        let params = SubscribeRequestParams::new(uri);
        self.peer().subscribe(params).await.unwrap();
    }

    /// The URI of the next resource that the client is notified of.
    pub(crate) async fn next_update(&self) -> String {
        self.updates.lock().await.recv().await.unwrap()
    }
}

/// The text of a result; of its data, if it has no other.
pub(crate) fn text(result: &CallToolResult) -> String {
    let text = result.content.first().unwrap().as_text().unwrap();
    text.text.clone()
}

/// A call in the modern era as it stands on the wire; without a token, if that is empty.
pub(crate) fn call(
    example: &Example,
    token: &str,
    tool: &str,
    arguments: &Value,
) -> RequestBuilder {
    let request = example.http.post(&example.url);
    let request = match token {
        "" => request,
        token => request.bearer_auth(token),
    };
    request
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", tool)
        .json(
            &json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": tool,
            "arguments": arguments,
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        } }),
        )
}

/// Waits for something, but not for ever.
pub(crate) async fn patiently<T>(something: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(10);
    tokio::time::timeout(limit, something).await.unwrap()
}
