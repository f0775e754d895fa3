//! What was found out, as text for people and as JSON for programs.

use std::fmt::Write;

use serde::Serialize;
use serde_json::json;

use crate::config::keys::{CLIENT, HTTP, ISSUER, RULES};
use resource_server::examine::{Finding, Level, Setting};

/// What was found out, in sections.
#[derive(Debug, Default)]
pub struct Report {
    lines: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    section: String,
    level: &'static str,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Report {
    /// The section with this title, to which lines are added.
    pub(super) fn section(&mut self, title: impl Into<String>) -> Section<'_> {
        Section {
            report: self,
            title: title.into(),
        }
    }

    /// Whether anything is wrong.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        self.count(Level::Wrong) > 0
    }

    fn count(&self, level: Level) -> usize {
        let lines = self.lines.iter();
        lines.filter(|line| line.level == level.as_str()).count()
    }

    /// The report as text, or as JSON.
    #[must_use]
    pub fn text(&self, as_json: bool) -> String {
        let (wrong, warnings) = (self.count(Level::Wrong), self.count(Level::Warning));
        if as_json {
            let report = json!({ "wrong": wrong, "warnings": warnings, "checks": self.lines });
            return format!("{report:#}\n");
        }
        let mut text = String::new();
        let mut section = "";
        // Writing to a string does not fail.
        for line in &self.lines {
            if line.section != section {
                let gap = if section.is_empty() { "" } else { "\n" };
                let _ = writeln!(text, "{gap}{}", line.section);
                section = &line.section;
            }
            let _ = writeln!(text, "  {:<8} {}", line.level, line.text);
            if let Some(advice) = &line.advice {
                let _ = writeln!(text, "           -> {advice}");
            }
        }
        let _ = match (wrong, warnings) {
            (0, 0) => writeln!(text, "\nNothing is wrong."),
            (0, warnings) => writeln!(text, "\nNothing is wrong; {warnings} to look at."),
            (wrong, warnings) => writeln!(text, "\n{wrong} wrong, {warnings} to look at."),
        };
        text
    }
}

/// A part of the report.
pub(super) struct Section<'a> {
    report: &'a mut Report,
    title: String,
}

impl Section<'_> {
    pub(super) fn ok(&mut self, text: impl Into<String>) {
        self.line(Level::Ok, text, None);
    }

    pub(super) fn warning(&mut self, text: impl Into<String>, advice: Option<String>) {
        self.line(Level::Warning, text, advice);
    }

    pub(super) fn wrong(&mut self, text: impl Into<String>, advice: Option<String>) {
        self.line(Level::Wrong, text, advice);
    }

    /// Adds what was found out about an issuer or a token, with the keys that it is about.
    pub(super) fn findings(&mut self, findings: Vec<Finding>) {
        for finding in findings {
            let advice = finding.advice.map(|advice| match advice.setting {
                Some(setting) => format!("{} ({})", advice.text, key(setting)),
                None => advice.text,
            });
            self.line(finding.level, finding.text, advice);
        }
    }

    fn line(&mut self, level: Level, text: impl Into<String>, advice: Option<String>) {
        self.report.lines.push(Line {
            section: self.title.clone(),
            level: level.as_str(),
            text: text.into(),
            advice,
        });
    }
}

/// The key of a setting; in EPICME_ISSUERS_FILE the member that says the same.
fn key(setting: Setting) -> String {
    let key = match setting {
        Setting::Issuer => &ISSUER.url,
        Setting::TokenPrefixes => &ISSUER.token_prefixes,
        Setting::MetadataUrl => &ISSUER.metadata_url,
        Setting::IntrospectionUrl => &ISSUER.introspection_url,
        Setting::KeysUrl => &ISSUER.keys_url,
        Setting::Credentials => {
            return format!(
                "{}, {}, {}",
                CLIENT.client_id.name, CLIENT.secret.name, CLIENT.method.name
            );
        }
        Setting::SignedReplies => &CLIENT.signed,
        Setting::Jwt => &CLIENT.jwt,
        Setting::Algorithms => &CLIENT.algorithms,
        Setting::Resource => &HTTP.public_url,
        Setting::AudienceMayBeAbsent => &RULES.absent_audience,
        Setting::Audiences => &RULES.audiences,
        Setting::Subject => &RULES.subject,
        Setting::ClientClaims => &RULES.client_claims,
        Setting::ScopeClaims => &RULES.scope_claims,
        Setting::JwtTypes => &CLIENT.types,
        Setting::Proofs => &HTTP.proofs,
    };
    if key.is_member_only {
        return format!("{} in EPICME_ISSUERS_FILE", key.name);
    }
    key.name.to_owned()
}
