//! Secrets: each has a key of its own and another for a file that holds it.

use std::{path::Path, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretBox, SecretString};

use super::{RequestStateConfig, SealingKey, options::Options, read::Reader};
use crate::secret_file;

/// The shortest secret that nobody guesses.
const SHORTEST_SECRET: usize = 16;

impl Reader<'_> {
    /// A secret that has to be there.
    pub(super) fn secret(
        &mut self,
        key: &'static str,
        value: Option<&str>,
        file_key: &'static str,
        file: Option<&Path>,
    ) -> Option<SecretString> {
        if value.is_none() && file.is_none() {
            self.fault(key, format!("is required, here or in {file_key}"));
        }
        let (told_by, secret) = self.told(key, value, file_key, file)?;
        self.hold(
            told_by,
            !secret.expose_secret().is_empty(),
            "must not be empty",
        )
        .then_some(secret)
    }

    /// The secret of whoever cuts others off, which need not be there.
    pub(super) fn revocation_secret(&mut self, options: &Options) -> Option<SecretString> {
        let (told_by, secret) = self.told(
            "EPICME_REVOCATION_SECRET",
            options.revocation_secret.as_deref(),
            "EPICME_REVOCATION_SECRET_FILE",
            options.revocation_secret_file.as_deref(),
        )?;
        self.hold(
            told_by,
            secret.expose_secret().len() >= SHORTEST_SECRET,
            "must have at least 16 characters, such as `openssl rand -base64 32` makes",
        )
        .then_some(secret)
    }

    /// The keys of request states, which need not be there.
    pub(super) fn request_state(&mut self, options: &Options) -> RequestStateConfig {
        let current = self.told(
            "EPICME_REQUEST_STATE_KEY",
            options.request_state_key.as_deref(),
            "EPICME_REQUEST_STATE_KEY_FILE",
            options.request_state_key_file.as_deref(),
        );
        let previous = self.told(
            "EPICME_REQUEST_STATE_PREVIOUS_KEY",
            options.request_state_previous_key.as_deref(),
            "EPICME_REQUEST_STATE_PREVIOUS_KEY_FILE",
            options.request_state_previous_key_file.as_deref(),
        );
        if let Some((told_by, _)) = &previous
            && options.request_state_key.is_none()
            && options.request_state_key_file.is_none()
        {
            self.fault(
                told_by,
                "is set, and EPICME_REQUEST_STATE_KEY is not: there is no previous key without a current one",
            );
        }
        let told_previous = previous.as_ref().map(|(told_by, _)| *told_by);
        let key = current.and_then(|(told_by, text)| self.sealing_key(told_by, &text));
        let previous_key = previous.and_then(|(told_by, text)| self.sealing_key(told_by, &text));
        if let (Some(key), Some(previous_key), Some(told_by)) = (&key, &previous_key, told_previous)
        {
            self.hold(
                told_by,
                key.expose_secret() != previous_key.expose_secret(),
                "is the same key as EPICME_REQUEST_STATE_KEY; set it to the key before that, or not at all",
            );
        }
        RequestStateConfig { key, previous_key }
    }

    fn sealing_key(&mut self, told_by: &'static str, text: &SecretString) -> Option<SealingKey> {
        let bytes = STANDARD.decode(text.expose_secret()).ok();
        let key: Option<[u8; 32]> = bytes.and_then(|bytes| bytes.try_into().ok());
        if key.is_none() {
            self.fault(
                told_by,
                "must be 32 bytes in Base64, such as `openssl rand -base64 32` makes",
            );
        }
        key.map(|key| Arc::new(SecretBox::new(Box::new(key))))
    }

    /// A secret from its own key or from a file, and which of the two told it. Never from both: one of
    /// them would be forgotten when the secret is changed.
    fn told(
        &mut self,
        key: &'static str,
        value: Option<&str>,
        file_key: &'static str,
        file: Option<&Path>,
    ) -> Option<(&'static str, SecretString)> {
        match (value, file) {
            (Some(_), Some(_)) => {
                self.fault(
                    key,
                    format!("is set, and so is {file_key}; one of them has to go"),
                );
                None
            }
            (None, None) => None,
            (Some(value), None) => Some((key, value.into())),
            (None, Some(file)) => match secret_file::read(file) {
                Ok(secret) => Some((file_key, secret)),
                Err(error) => {
                    self.fault(
                        file_key,
                        format!("{} cannot be read: {error}", file.display()),
                    );
                    None
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;
    use crate::config::{Config, options::Sources};

    fn options(key: Option<&str>, previous: Option<&str>) -> Options {
        Options {
            database_url: Some("postgres://localhost/epicme".to_owned()),
            issuer: Some("https://issuer.example".to_owned()),
            introspection_client_id: Some("epicme".to_owned()),
            introspection_client_secret: Some("hunter2".to_owned()),
            request_state_key: key.map(str::to_owned),
            request_state_previous_key: previous.map(str::to_owned),
            ..Options::default()
        }
    }

    fn read(options: &Options) -> Result<RequestStateConfig, Vec<&'static str>> {
        Config::read(options, &Sources::default())
            .map(|config| config.request_state)
            .map_err(|errors| errors.0.into_iter().map(|fault| fault.key).collect())
    }

    #[test]
    fn a_previous_key_goes_with_another_current_one() {
        let (one, two) = (STANDARD.encode([1; 32]), STANDARD.encode([2; 32]));
        let both = read(&options(Some(&one), Some(&two))).unwrap();
        assert_eq!(both.key.unwrap().expose_secret(), &[1; 32]);
        assert_eq!(both.previous_key.unwrap().expose_secret(), &[2; 32]);
        let neither = read(&options(None, None)).unwrap();
        assert!(neither.key.is_none() && neither.previous_key.is_none());
        let wrong = ["EPICME_REQUEST_STATE_PREVIOUS_KEY"];
        assert_eq!(read(&options(Some(&one), Some(&one))).unwrap_err(), wrong);
        assert_eq!(read(&options(None, Some(&two))).unwrap_err(), wrong);
        // Whether it would be the same cannot be told.
        assert_eq!(
            read(&options(Some("x"), Some(&two))).unwrap_err(),
            ["EPICME_REQUEST_STATE_KEY"]
        );
    }

    #[test]
    fn what_a_file_says_is_the_files_fault() {
        let path = std::env::temp_dir().join(format!("epicme-state-key-{}", std::process::id()));
        let from_file = Options {
            request_state_key_file: Some(path.clone()),
            ..options(None, None)
        };
        assert_eq!(
            read(&from_file).unwrap_err(),
            ["EPICME_REQUEST_STATE_KEY_FILE"]
        );
        fs::write(&path, "short\n").unwrap();
        let short = read(&from_file).unwrap_err();
        fs::write(&path, STANDARD.encode([1; 32]) + "\r\n").unwrap();
        let good = read(&from_file).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(short, ["EPICME_REQUEST_STATE_KEY_FILE"]);
        assert_eq!(good.key.unwrap().expose_secret(), &[1; 32]);
        let both = Options {
            request_state_key_file: Some(path),
            ..options(Some("x"), None)
        };
        assert_eq!(read(&both).unwrap_err(), ["EPICME_REQUEST_STATE_KEY"]);
    }

    /// By the rule by which they are read again while the server runs.
    #[test]
    fn every_file_of_a_secret_is_read_by_one_rule() {
        let path = std::env::temp_dir().join(format!("epicme-told-by-file-{}", std::process::id()));
        let database_url = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            let options = Options {
                database_url: None,
                database_url_file: Some(path.clone()),
                ..options(None, None)
            };
            Config::read(&options, &Sources::default())
                .map(|config| config.database.url.expose_secret().to_owned())
                .map_err(|errors| errors.0[0].reason.clone())
        };
        let said = [
            database_url(b"postgres://localhost/epicme \t\r\n"),
            database_url(b" \n"),
            database_url(&[b'x'; 64 * 1024 + 1]),
        ];
        fs::remove_file(&path).unwrap();
        let refused = |why: &str| Err(format!("{} cannot be read: {why}", path.display()));
        assert_eq!(
            said,
            [
                Ok("postgres://localhost/epicme".to_owned()),
                refused("it is empty"),
                refused("it is longer than 64 KiB"),
            ]
        );
    }

    #[test]
    fn a_revocation_secret_is_long_or_not_there() {
        let with = |secret: Option<&str>| Options {
            revocation_secret: secret.map(str::to_owned),
            ..options(None, None)
        };
        let read = |secret| Config::read(&with(secret), &Sources::default());
        assert!(read(None).unwrap().http.revocation_secret.is_none());
        let long = read(Some("0123456789abcdef")).unwrap();
        assert!(long.http.revocation_secret.is_some());
        for short in ["", "0123456789abcde"] {
            let errors = read(Some(short)).unwrap_err();
            assert_eq!(errors.0[0].key, "EPICME_REVOCATION_SECRET");
            assert!(short.is_empty() || !errors.0[0].reason.contains(short));
        }
    }

    proptest! {
        #[test]
        fn a_key_has_32_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let text = STANDARD.encode(&bytes);
            match read(&options(Some(&text), None)) {
                Ok(keys) => {
                    let key = keys.key.unwrap();
                    prop_assert_eq!(&key.expose_secret()[..], &bytes[..]);
                }
                Err(_) => prop_assert_ne!(bytes.len(), 32),
            }
        }

        #[test]
        fn what_is_no_key_is_a_fault_that_does_not_repeat_it(text in "[g-z!_-]{4,60}") {
            let errors = Config::read(&options(Some(&text), None), &Sources::default()).unwrap_err();
            prop_assert_eq!(errors.0[0].key, "EPICME_REQUEST_STATE_KEY");
            prop_assert_eq!(
                &errors.0[0].reason,
                "must be 32 bytes in Base64, such as `openssl rand -base64 32` makes"
            );
        }
    }
}
