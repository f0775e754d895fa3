//! The key that seals the ids of legacy sessions, kept beside the journal so that they go on after a restart.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read, Write},
    path::Path,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::SecretString;

/// The file in the directory of `epicme dev`.
const NAME: &str = "request-state-key";

/// The longest file that is read, in bytes; the key has 44.
const LONGEST: u64 = 128;

/// The key, in Base64. One that is broken is replaced, which ends the sessions that it sealed.
///
/// # Errors
/// Those of the file system, with the path.
pub(super) fn read_or_make(directory: &Path) -> io::Result<SecretString> {
    let path = directory.join(NAME);
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    match fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_file() && metadata.len() <= LONGEST => {
            let mut text = String::new();
            let file = fs::File::open(&path).map_err(named)?;
            // What is no text is no key either.
            let read = file.take(LONGEST).read_to_string(&mut text);
            let decoded = STANDARD.decode(text.trim_end());
            if read.is_ok() && decoded.is_ok_and(|key| key.len() == 32) {
                return Ok(text.trim_end().into());
            }
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return make(&path).map_err(named),
        Err(error) => return Err(named(error)),
    }
    let aside = directory.join(format!("{NAME}.aside"));
    fs::rename(&path, &aside).map_err(named)?;
    log::warn!(
        "{} is no key; it is set aside as {}, and sessions of before have ended",
        path.display(),
        aside.display()
    );
    make(&path).map_err(named)
}

/// Writes a new key, whole or not at all.
fn make(path: &Path) -> io::Result<SecretString> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    let text = STANDARD.encode(key);
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let new = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn the_key_is_made_once_and_one_that_is_broken_is_replaced() {
        let directory = std::env::temp_dir().join(format!("epicme-key-{}", std::process::id()));
        let read = || read_or_make(&directory).unwrap().expose_secret().to_owned();
        let first = read();
        assert_eq!(STANDARD.decode(&first).unwrap().len(), 32);
        assert_eq!(read(), first);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(directory.join(NAME)).unwrap().permissions();
            assert_eq!(mode.mode() & 0o777, 0o600);
        }
        for broken in [&b""[..], b"short", b"\xff\xff", &[b'A'; 500]] {
            let before = read();
            fs::write(directory.join(NAME), broken).unwrap();
            let after = read();
            assert_ne!(after, before);
            assert_eq!(read(), after);
            assert!(directory.join("request-state-key.aside").exists());
        }
        fs::remove_dir_all(directory).unwrap();
    }
}
