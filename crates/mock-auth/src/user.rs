//! Users who can sign in without a password.

use std::str::FromStr;

use serde_json::{Map, Value};

/// A user who can sign in, without a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// `sub` of the tokens: stable and unique.
    pub subject: String,
    /// `username` of introspection replies.
    pub username: String,
    /// The name on the pages.
    pub name: String,
    /// More claims, for introspection replies (RFC 7662 §2.2) and JWT access tokens (RFC 9068 §2.2.2), such as `email`.
    pub claims: Map<String, Value>,
}

/// The members of introspection replies and JWT access tokens that this server sets itself.
const RESERVED: [&str; 15] = [
    "active",
    "scope",
    "client_id",
    "username",
    "token_type",
    "exp",
    "iat",
    "nbf",
    "sub",
    "aud",
    "iss",
    "jti",
    "cnf",
    "authorization_details",
    "token_introspection",
];

impl User {
    /// A user without more claims.
    #[must_use]
    pub fn new(subject: &str, username: &str, name: &str) -> Self {
        Self {
            subject: subject.to_owned(),
            username: username.to_owned(),
            name: name.to_owned(),
            claims: Map::new(),
        }
    }

    /// The same user with one more claim, such as `("email", "ana@example.com")`.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }
}

/// What is wrong with these users, if anything is.
pub(crate) fn fault_of(users: &[User]) -> Option<String> {
    if users.is_empty() {
        return Some("there has to be one user at least".to_owned());
    }
    for (i, user) in users.iter().enumerate() {
        let name = &user.username;
        if name.is_empty() || user.subject.is_empty() {
            return Some("a user needs a username and a subject".to_owned());
        }
        let is_same = |other: &User| other.username == *name || other.subject == user.subject;
        if users[..i].iter().any(is_same) {
            return Some(format!("user {name}: another has this username or subject"));
        }
        if let Some(claim) = user
            .claims
            .keys()
            .find(|it| RESERVED.contains(&it.as_str()))
        {
            return Some(format!(
                "user {name}: the server sets the claim {claim} itself"
            ));
        }
    }
    None
}

/// The user with this username or, if there is none, with this subject.
pub(crate) fn find<'a>(users: &'a [User], name: &str) -> Option<&'a User> {
    let by_username = users.iter().find(|user| user.username == name);
    by_username.or_else(|| users.iter().find(|user| user.subject == name))
}

impl FromStr for User {
    type Err = String;

    /// Reads `ana,sub=7,name=Ana Brook,email=ana@example.com`: the username, then `sub`, the `name` on the pages, and claims, each a
    /// string. `sub` and `name` are the username if they are left out. Or a JSON object of the same with claims of any type.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut claims = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|error| format!("not a JSON object: {error}"))?
        } else {
            listed(text)?
        };
        let mut take = |name: &str| match claims.remove(name) {
            None => Ok(None),
            Some(Value::String(value)) if !value.is_empty() => Ok(Some(value)),
            Some(_) => Err(format!("{name} has to be a string that is not empty")),
        };
        let username = take("username")?.ok_or("username is missing")?;
        let subject = take("sub")?.unwrap_or_else(|| username.clone());
        let name = take("name")?.unwrap_or_else(|| username.clone());
        Ok(Self {
            subject,
            username,
            name,
            claims,
        })
    }
}

fn listed(text: &str) -> Result<Map<String, Value>, String> {
    let mut parts = text.split(',').map(str::trim);
    let username = parts.next().unwrap_or_default();
    if username.is_empty() || username.contains('=') {
        return Err("begin with the username, as in ana,email=ana@example.com".to_owned());
    }
    let mut claims = Map::new();
    claims.insert("username".to_owned(), username.into());
    for part in parts {
        match part
            .split_once('=')
            .map(|(name, value)| (name.trim(), value.trim()))
        {
            None | Some(("", _)) => {
                return Err(format!("write a claim as name=value, not {part:?}"));
            }
            Some((name, _)) if claims.contains_key(name) => {
                return Err(format!("{name} is there twice"));
            }
            Some((name, value)) => claims.insert(name.to_owned(), value.into()),
        };
    }
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_user_is_read_with_claims() {
        let ana = User::new("ana", "ana", "ana");
        assert_eq!("ana".parse(), Ok(ana.clone()));
        let ana = User::new("7", "ana", "Ana Brook").claim("email", "ana@example.com");
        let listed = "ana, sub=7, name=Ana Brook, email=ana@example.com";
        assert_eq!(listed.parse(), Ok(ana.clone()));
        let json = r#"{"username":"ana","sub":"7","name":"Ana Brook","email":"ana@example.com"}"#;
        assert_eq!(json.parse(), Ok(ana));
        let groups: User = r#"{"username":"bo","groups":["a"]}"#.parse().unwrap();
        assert_eq!(groups.claims["groups"], serde_json::json!(["a"]));
    }

    #[test]
    fn what_is_no_user_is_named() {
        for (text, named) in [
            ("", "username"),
            ("email=a@example.com", "username"),
            ("ana,email", "email"),
            ("ana,=x", "=x"),
            ("ana,a=1,a=2", "a is there twice"),
            ("ana,username=bo", "username is there twice"),
            ("ana,sub=", "sub"),
            ("{", "JSON"),
            (r#"{"sub":"1"}"#, "username"),
            (r#"{"username":"ana","sub":1}"#, "sub"),
        ] {
            let error = text.parse::<User>().unwrap_err();
            assert!(error.contains(named), "{text}: {error}");
        }
    }

    #[test]
    fn users_are_told_apart_and_set_no_claim_of_the_server() {
        let ana = User::new("1", "ana", "Ana");
        assert_eq!(fault_of(&[ana.clone(), User::new("2", "bo", "Bo")]), None);
        for (users, named) in [
            (vec![], "one user"),
            (vec![ana.clone(), ana.clone()], "ana"),
            (vec![ana.clone(), User::new("1", "bo", "Bo")], "bo"),
            (vec![ana.clone().claim("aud", "x")], "aud"),
            (vec![User::new("", "ana", "Ana")], "subject"),
        ] {
            let fault = fault_of(&users).unwrap();
            assert!(fault.contains(named), "{fault}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_user_or_refused(text in "[ -~]{0,60}") {
            let _ = text.parse::<User>();
        }
    }
}
