//! The authorization servers, and a token of one of them.

use std::{
    io::{Read, stdin},
    path::Path,
};

use secrecy::SecretString;

use super::report::Report;
use crate::{
    app,
    config::{Config, Options, ProofConfig},
    scopes,
};
use resource_server::{clock::Clock, examine::Examiner, secret_file, url::PublicUrl};

/// The longest text that is read from standard input, in bytes: that of a file.
const LONGEST: u64 = 64 * 1024;

pub(super) async fn examine(options: &Options, token_file: Option<&Path>, report: &mut Report) {
    let (public_url, issuers): (PublicUrl, _) = match Config::issuers_alone(options) {
        Ok(read) => read,
        Err(_) => {
            let text = "they are not asked, because their configuration is wrong";
            return report.section("Authorization servers").wrong(text, None);
        }
    };
    let accepts_proofs =
        Config::read(options).map_or(true, |config| config.http.proofs != ProofConfig::Off);
    let settings: Vec<_> = issuers.into_iter().map(app::issuer_settings).collect();
    let resource = public_url.resource("/mcp");
    let examiner = Examiner::new(
        &settings,
        resource.clone(),
        &scopes::declared(),
        accepts_proofs,
        Clock::system(),
    );
    for (index, settings) in settings.iter().enumerate() {
        let findings = examiner.issuer(index).await;
        let title = format!("Authorization server {}", settings.url);
        report.section(title).findings(findings);
    }
    let Some(file) = token_file else { return };
    let mut section = report.section(format!("Token, for {}", resource.as_str()));
    match token(file) {
        Ok(token) => section.findings(examiner.token(&token).await),
        Err(error) => section.wrong(format!("{} cannot be read: {error}", file.display()), None),
    }
}

fn token(file: &Path) -> Result<SecretString, std::io::Error> {
    if file != Path::new("-") {
        return secret_file::read(file);
    }
    let mut text = String::new();
    stdin().lock().take(LONGEST).read_to_string(&mut text)?;
    Ok(text.into())
}
