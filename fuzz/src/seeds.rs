//! What the corpus begins with: real examples of each kind, from the RFCs, MCP and the tests.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use epicme::domain::page::{Cursor, NameCursor, TimeCursor};
use sha2::{Digest, Sha256};

/// The target, and an input.
pub type Seed = (&'static str, Vec<u8>);

/// All seeds.
#[must_use]
pub fn seeds() -> Vec<Seed> {
    let mut seeds: Vec<Seed> = Vec::new();
    for (target, inputs) in WRITTEN {
        seeds.extend(
            inputs
                .iter()
                .map(|input| (*target, input.as_bytes().to_vec())),
        );
    }
    let by_time = TimeCursor {
        micros: 1_785_229_200_000_000,
        id: 7,
    };
    let by_name = NameCursor {
        folded_name: "straße".to_owned(),
        id: 7,
    };
    for cursor in [by_time.encode(), by_name.encode()] {
        seeds.push((
            "arguments",
            format!(r#"{{"title":"a","cursor":"{cursor}"}}"#).into_bytes(),
        ));
        seeds.push(("cursor", cursor.into_bytes()));
    }
    let hash = URL_SAFE_NO_PAD.encode(Sha256::digest("mF_9.B5f-4.1JqM"));
    for (header, htu, iat) in [
        (
            r#"{"typ":"dpop+jwt","alg":"EdDSA","jwk":$}"#,
            "https://files.example/mcp",
            "1000000",
        ),
        (
            r#"{"typ":"dpop+jwt","alg":"EdDSA","jwk":$}"#,
            "HTTPS://Files.Example:443/%6dcp?a#b",
            "999800.5",
        ),
        (
            r#"{"typ":"dpop+jwt","alg":"ES256","jwk":$}"#,
            "https://files.example/mcp",
            "1000000",
        ),
    ] {
        let claims =
            format!(r#"{{"htm":"POST","htu":"{htu}","iat":{iat},"jti":"p1","ath":"{hash}"}}"#);
        seeds.push(("dpop_proof", format!("!{header}\n{claims}").into_bytes()));
    }
    seeds
}

const WRITTEN: &[(&str, &[&str])] = &[
    (
        "bearer",
        &[
            "Bearer mF_9.B5f-4.1JqM",
            "  DPOP   Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU ",
            "Basic dXNlcjpwYXNz",
            "Bearer",
            "Bearer a,b",
            "Bearer a\nBearer a",
        ],
    ),
    (
        "challenge",
        &[
            "Files\nhttps://files.example/.well-known/oauth-protected-resource/mcp\nfiles:read\nfiles:write",
            "a \"quoted\\\" realm\u{e9}\r\nx\nfiles:read",
            // Not a scope.
            "Files\nx\nfiles read",
        ],
    ),
    (
        "introspection",
        &[
            r#"{"active":true,"sub":"ada","client_id":"host","scope":"files:read user:write","aud":"https://files.example/mcp","iss":"https://issuer.example","token_type":"Bearer","exp":1000060,"iat":999999,"username":"Ada"}"#,
            r#"{"active":true,"sub":"ada","aud":["x","HTTPS://Files.Example/mcp"],"exp":1000060.5,"nbf":1000029}"#,
            r#"{"active":true,"sub":"ada","aud":"https://files.example/mcp","token_type":"DPoP","cnf":{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}"#,
            r#"{"active":true,"sub":"ada","aud":"https://files.example/x/../mcp"}"#,
            r#"{"active":true,"sub":"ada","aud":"https://files.example/mcp","scope":["files:read"]}"#,
            r#"{"active":false,"sub":7}"#,
            "[]",
        ],
    ),
    (
        "issuer_metadata",
        &[
            r#"{"issuer":"https://issuer.example","introspection_endpoint":"https://issuer.example/introspect","jwks_uri":"https://keys.example/jwks"}"#,
            r#"{"issuer":"https://issuer.example","introspection_endpoint":"http://127.0.0.1:8/","jwks_uri":"http://user@issuer.example/"}"#,
            r#"{"issuer":"https://other.example"}"#,
            r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"a","use":"sig","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"},{"kty":"oct","k":"a"}]}"#,
        ],
    ),
    (
        "jwt",
        &[
            "!{\"typ\":\"at+jwt\",\"alg\":\"EdDSA\",\"kid\":\"k1\"}\n{\"iss\":\"https://issuer.example\",\"sub\":\"ada\",\"aud\":\"https://files.example/mcp\",\"client_id\":\"host\",\"iat\":1000000,\"exp\":1000060,\"scope\":\"files:read\",\"jti\":\"1\"}",
            "!{\"typ\":\"application/AT+jwt\",\"alg\":\"EdDSA\"}\n{\"iss\":\"https://issuer.example\",\"sub\":\"ada\",\"aud\":[\"https://files.example/mcp\"],\"client_id\":\"host\",\"iat\":1000000,\"exp\":1000060,\"nbf\":1000029.5}",
            "!{\"typ\":\"JWT\",\"alg\":\"none\"}\n{}",
            "!{\"typ\":\"at+jwt\",\"alg\":\"EdDSA\",\"crit\":[]}\n{\"iss\":\"https://issuer.example\"}",
            "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFUzI1NiJ9.e30.AAAA",
            "a.b.c.d.e",
        ],
    ),
    (
        "dpop_proof",
        &[
            // RFC 9449 §7.1.
            "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA",
        ],
    ),
    (
        "cursor",
        &[
            "",
            "AAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAB",
            "AAAAAAAAAAc=",
        ],
    ),
    (
        "request_state",
        &[
            "\0\u{3}Adelete it\n{\"id\":1,\"b\":{\"c\":[1,2.50],\"d\":\"\\u00e9\"}}",
            "v2.",
            "ab",
        ],
    ),
    (
        "session_id",
        &[
            // Sealed for the owner of the target; the second has a revision without sessions.
            "AQABAgMEBQYHCAkKC4mMsfnbtA2ntspHdpKx6EaMZLmdzeW0cgqMnHH8rOgXNEpqgBJUt93EQWsy",
            "AR4fICEiIyQlJicoKT7G0rEXfyg50g5KgrFjRSHEYBVx0WYFYbe-9o96W_8Gbb7ZBMEyazm0JI5t",
            "ATw9Pj9AQUJDREVGR-2uGiOje9iqi14Ojp-S5m8RsglINm2cjIIXMCPr_MbRI6KzJyIMg7hZkmF_",
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX",
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRY=",
            "a",
        ],
    ),
    (
        "envelope",
        &[
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"a":1},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/logLevel":"debug","progressToken":7}}}"#,
            r#"{"jsonrpc":"2.0","id":"a","method":"resources/read","params":{"uri":"files://reports/7","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"a","version":"1"}}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#,
            r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/initialized"},{"jsonrpc":"2.0","id":2,"error":{"code":1,"message":"a"}}]"#,
            r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
            "[]",
            "{",
        ],
    ),
    (
        "sse_event_id",
        &[
            "\u{3}s1-1",
            "\0s2-0",
            "\u{9}s0-1",
            "\u{9}s1-01",
            "as4294967295-4294967296",
        ],
    ),
    (
        "arguments",
        &[
            r#"{"title":"A day","mood":null,"isFavorite":true,"tags":[1,2],"limit":50,"from":"2026-07-28","to":"2026-07-28T09:30:00+02:00","timeZone":"Europe/Berlin"}"#,
            r#"{"title":"","mood":"calm"}"#,
            r#"{"title":"a","title":"b"}"#,
            r#"{"title":"a","tags":[0]}"#,
            r#"{"title":"a","limit":1.0}"#,
            r#"{"title":"\ud800"}"#,
            r#"{"nonsense":1}"#,
            "[]",
        ],
    ),
    (
        "dates",
        &[
            "2026-07-28\n2026-07-29T09:30:00Z\nEurope/Berlin",
            "2026-07-28T09:30:00.123456789-11:00\n2026-07-28\nAmerica/Sao_Paulo",
            "2016-12-31T23:59:60Z",
            "9999-12-31T23:59:59-23:59",
            "0000-01-01T00:00:00+23:59",
            "20260728T1",
            "2026-02-30",
        ],
    ),
    (
        "search",
        &[
            "tea or \"green tea\" -milk berl*\nGreen tea\nWe drank green tea in Berlin.",
            "C++ AT&T don't 50%\nA title\nI don’t use C++ at AT&T, 50% of the time.",
            "東京 친구 ทะเล ılık\n旅\n昨日は東京に行った。 친구를 ไปทะเล ILIK",
            "👩‍💻 🇩🇪 cafe\u{301}\n🎉\n👩‍💻 in 🇩🇪, at the café",
            "-milk\n\n",
            "!!!\n\n",
        ],
    ),
];
