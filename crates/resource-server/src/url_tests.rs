//! Tests of identifiers, endpoints and audiences.

use proptest::prelude::*;

use super::*;

///
#[test]
fn identifiers_are_plain_and_secure() {
    for (text, fault) in [
        ("files.example", UrlFault::NotAUrl),
        ("urn:x", UrlFault::NotAUrl),
        ("http://files.example", UrlFault::NotSecure),
        ("ftp://127.0.0.1", UrlFault::NotSecure),
        ("https://a@files.example", UrlFault::NotPlain),
        ("https://files.example/#x", UrlFault::NotPlain),
        ("https://files.example/?x", UrlFault::NotPlain),
    ] {
        assert_eq!(text.parse::<PublicUrl>(), Err(fault), "{text}");
        assert_eq!(text.parse::<IssuerUrl>(), Err(fault), "{text}");
    }
    for text in [
        "http://127.0.0.1:8787",
        "http://[::1]:1",
        "http://localhost",
        "https://x.example",
    ] {
        assert!(text.parse::<PublicUrl>().is_ok(), "{text}");
    }
}

#[test]
fn an_endpoint_is_plain_on_this_machine_and_on_named_hosts_alone() {
    let hosts = |names: &[&str]| {
        PlainHttpHosts::read(names.iter().map(|name| (*name).to_owned()).collect())
    };
    let named = hosts(&["mock-auth", "10.0.0.5", "[fd00::1]"]).unwrap();
    for text in [
        "https://anywhere.example/introspect",
        "http://127.0.0.1:7788/introspect",
        "http://mock-auth:7788/introspect?x",
        "http://MOCK-AUTH/introspect",
        "http://10.0.0.5/introspect",
        "http://[fd00::1]:80/introspect",
    ] {
        assert!(endpoint(text, &named).is_ok(), "{text}");
    }
    for text in [
        "http://mock-auth.example/introspect",
        "http://x.mock-auth/introspect",
        "http://mock-auth@evil.example/introspect",
        "http://10.0.0.50/introspect",
        "ftp://mock-auth/introspect",
    ] {
        let refused = Err(UrlFault::EndpointNotSecure);
        assert_eq!(endpoint(text, &named), refused, "{text}");
    }
    let with_user = "http://me@mock-auth/introspect";
    assert_eq!(endpoint(with_user, &named), Err(UrlFault::NotPlain));
    for name in [
        "mock-auth:7788",
        "Mock-auth",
        "http://mock-auth",
        "a/b",
        "*",
        "me@x",
        "a?",
    ] {
        assert_eq!(hosts(&[name]), Err(UrlFault::NotAHost), "{name}");
    }
    // Clients see identifiers too, and the network is not private for them.
    assert_eq!(
        "http://mock-auth".parse::<IssuerUrl>(),
        Err(UrlFault::NotSecure)
    );
}

///
#[test]
fn the_resource_is_the_public_url_and_the_endpoint() {
    let resource = |text: &str| {
        let url = text.parse::<PublicUrl>().unwrap();
        url.resource("/mcp").to_string()
    };
    assert_eq!(
        resource("https://Files.example/"),
        "https://files.example/mcp"
    );
    assert_eq!(
        resource("https://a.example:443/files/"),
        "https://a.example/files/mcp"
    );
}

#[test]
fn an_identifier_that_a_parser_would_repair_is_refused() {
    for text in [
        "https://files.example/x/../mcp",
        "https://files.example/./mcp",
        "https://files.example/%2e%2e/mcp",
        "https://files.example\\mcp",
        "https:\\\\files.example/mcp",
        "https:/files.example/mcp",
        "https:files.example/mcp",
        " https://files.example/mcp",
        "https://files.example/mcp\n",
        "https://fil\tes.example/mcp",
        "https://files.example/a b",
        "https://b\u{fc}cher.example",
        "https://files%2eexample/mcp",
        "https://files.example:/mcp",
        "https://files.example:0443/mcp",
        "http://0177.0.0.1/mcp",
        "http://2130706433/mcp",
        "http://127.1/mcp",
        "http://[0:0::1]/mcp",
    ] {
        assert_eq!(
            text.parse::<PublicUrl>(),
            Err(UrlFault::NotNormal),
            "{text:?}"
        );
        assert_eq!(
            text.parse::<ResourceUri>(),
            Err(UrlFault::NotNormal),
            "{text:?}"
        );
    }
    for (text, resource) in [
        ("HTTPS://Files.Example:443", "https://files.example/mcp"),
        ("http://127.0.0.1:80/", "http://127.0.0.1/mcp"),
        ("http://[::1]:8787/a%20b", "http://[::1]:8787/a%20b/mcp"),
    ] {
        let url: PublicUrl = text.parse().unwrap();
        assert_eq!(url.resource("/mcp").as_str(), resource);
    }
}

/// RFC 7519 §2: a StringOrURI is compared as a string.
#[test]
fn an_audience_that_a_parser_would_make_the_resource_is_another_one() {
    for (resource, audiences) in [
        (
            "https://files.example/mcp",
            &[
                "https://files.example/x/../mcp",
                "https://files.example/./mcp",
                "https://files.example/%2e/mcp",
                "https://files.example/%6dcp",
                "https://files.example/mcp/",
                "https://files.example/mcp?",
                "https://files.example/mcp#",
                "https://files.example/MCP",
                "https://files.example//mcp",
                "https://files.example./mcp",
                "https://files.example:443/mcp",
                "https://files.example:/mcp",
                "https://me@files.example/mcp",
                "https://@files.example/mcp",
                "https://files%2eexample/mcp",
                "https://files\u{3002}example/mcp",
                "https://\u{ff46}iles.example/mcp",
                "https://files.example\\mcp",
                "https:\\\\files.example/mcp",
                "https:/files.example/mcp",
                "https:files.example/mcp",
                "//files.example/mcp",
                " https://files.example/mcp",
                "https://files.example/mcp ",
                "ht\ttps://files.example/mcp",
                "https://files.example/m\ncp",
                "https://files.example/m\u{0}cp",
                "",
            ][..],
        ),
        (
            "http://127.0.0.1:8787/mcp",
            &[
                "http://0177.0.0.1:8787/mcp",
                "http://0x7f.0.0.1:8787/mcp",
                "http://2130706433:8787/mcp",
                "http://127.1:8787/mcp",
                "http://127.0.0.1:08787/mcp",
                "http://localhost:8787/mcp",
                "http://[::ffff:127.0.0.1]:8787/mcp",
            ][..],
        ),
    ] {
        let named: ResourceUri = resource.parse().unwrap();
        assert!(named.is_named_by(resource));
        for audience in audiences {
            assert!(!named.is_named_by(audience), "{audience:?}");
        }
    }
    let named: ResourceUri = "https://files.example/mcp".parse().unwrap();
    assert!(named.is_named_by("HTTPS://FILES.example/mcp"));
}

proptest! {
    /// However a text was changed, it names the resource only if the case of scheme and host is all
    /// that differs.
    #[test]
    fn nothing_but_the_case_of_scheme_and_host_may_differ(
        cut in 0usize..26, removed in 0usize..3, put in "[ -~\t\u{e9}\u{2024}\u{ff0e}]{0,3}", capitals: u32,
    ) {
        const RESOURCE: &str = "https://files.example/mcp";
        let resource: ResourceUri = RESOURCE.parse().unwrap();
        let cut = cut.min(RESOURCE.len());
        let after = (cut + removed).min(RESOURCE.len());
        let edited = format!("{}{put}{}", &RESOURCE[..cut], &RESOURCE[after..]);
        let audience: String = edited
            .chars()
            .enumerate()
            .map(|(at, letter)| match at {
                0..21 if capitals >> at & 1 == 1 => letter.to_ascii_uppercase(),
                _ => letter,
            })
            .collect();
        let (origin, path) = ("https://files.example", "/mcp");
        let same = audience.is_char_boundary(origin.len())
            && audience.len() >= origin.len()
            && audience[..origin.len()].to_ascii_lowercase() == origin
            && &audience[origin.len()..] == path;
        prop_assert_eq!(resource.is_named_by(&audience), same);
    }

    #[test]
    fn a_resource_that_is_accepted_is_named_by_its_own_text(text in "(https?|HTTPS)://[a-zA-Z0-9.:%\\[\\]-]{1,20}(/[ -~]{0,12})?") {
        if let Ok(resource) = text.parse::<ResourceUri>() {
            prop_assert!(resource.is_named_by(resource.as_str()));
            // A default port is left out.
            let has_port = text.contains(":443") || text.contains(":80");
            prop_assert!(has_port || resource.is_named_by(&text), "{resource}");
        }
    }
}

#[test]
fn metadata_is_looked_for_where_rfc_8414_puts_it_first() {
    let urls = |text: &str| {
        let issuer: IssuerUrl = text.parse().unwrap();
        issuer
            .metadata_urls()
            .iter()
            .map(Url::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        urls("https://a.example"),
        [
            "https://a.example/.well-known/oauth-authorization-server",
            "https://a.example/.well-known/openid-configuration"
        ]
    );
    assert_eq!(
        urls("https://a.example/realms/x"),
        [
            "https://a.example/.well-known/oauth-authorization-server/realms/x",
            "https://a.example/.well-known/openid-configuration/realms/x",
            "https://a.example/realms/x/.well-known/openid-configuration",
            "https://a.example/realms/x/.well-known/oauth-authorization-server"
        ]
    );
}
