//! Everything that `epicme dev` runs, in this process: one PostgreSQL cluster per run, one database and one set of servers per test.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

use epicme::dev::{Dev, DevOptions};
use private_postgres::{Cluster, ClusterOptions};
use serde_json::Value;
use url::Url;

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let name = format!("epicme-flow-{}", std::process::id());
        Cluster::start(ClusterOptions {
            directory: std::env::temp_dir().join(name),
            durable: false,
            name: "epicme",
        })
        .unwrap()
    })
}

pub(crate) struct DevServers {
    dev: Dev,
    http: reqwest::Client,
}

impl DevServers {
    pub(crate) async fn open() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("servers_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        cluster().create_database(&name).unwrap();
        let dev = Dev::start(DevOptions {
            bind: "127.0.0.1:0".parse().unwrap(),
            auth_bind: "127.0.0.1:0".parse().unwrap(),
            ephemeral: true,
            directory: std::env::temp_dir(),
            client_documents: false,
            show_introspection: false,
            auto_consent: None,
            database_url: Some(cluster().url(&name)),
        })
        .await
        .unwrap();
        Self {
            dev,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    pub(crate) fn banner(&self) -> String {
        self.dev.banner()
    }

    pub(crate) fn mcp_url(&self) -> &str {
        self.dev.mcp_url()
    }

    pub(crate) fn issuer(&self) -> &str {
        self.dev.mock_auth().issuer()
    }

    /// The mock authorization server behind it.
    pub(crate) fn mock_auth(&self) -> &mock_auth::MockAuth {
        self.dev.mock_auth()
    }

    /// How often an endpoint of the authorization server was called.
    pub(crate) fn calls(&self, endpoint: &str) -> u64 {
        self.mock_auth().stats()[endpoint]
    }

    /// The protected resource metadata, as anybody may read it.
    pub(crate) async fn resource_metadata(&self) -> Value {
        let mut url = Url::parse(self.mcp_url()).unwrap();
        url.set_path("/.well-known/oauth-protected-resource/mcp");
        self.http
            .get(url)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    pub(crate) async fn close(self) {
        self.dev.stop().await.unwrap();
    }
}
