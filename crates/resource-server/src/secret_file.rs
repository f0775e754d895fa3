//! Reading a secret from a file.

use std::{fs::File, io, io::Read, path::Path};

use secrecy::SecretString;

/// The longest secret that is read, in bytes.
const LONGEST_SECRET: u64 = 64 * 1024;

/// Reads a secret from a file, without trailing white space. Blocks the thread.
///
/// # Errors
/// Errors of the file system, and `InvalidData` if the file is empty, longer than 64 KiB, or not UTF-8.
pub fn read(path: &Path) -> io::Result<SecretString> {
    let refused = |why| io::Error::new(io::ErrorKind::InvalidData, why);
    let mut bytes = Vec::new();
    // One byte more detects a file that is too long; the size of a device file would not.
    File::open(path)?
        .take(LONGEST_SECRET + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST_SECRET {
        return Err(refused("it is longer than 64 KiB"));
    }
    let text = str::from_utf8(&bytes).map_err(|_| refused("it is not UTF-8"))?;
    let text = text.trim_end();
    if text.is_empty() {
        return Err(refused("it is empty"));
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_secret_has_an_end_within_its_bound_and_something_in_it() {
        let path = std::env::temp_dir().join(format!("files-secret-file-{}", std::process::id()));
        let read_back = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            read(&path)
                .map(|secret| secret.expose_secret().len())
                .map_err(|error| error.to_string())
        };
        let longest = usize::try_from(LONGEST_SECRET).unwrap();
        let said = [
            read_back(b" two words \r\n"),
            read_back(&vec![b'x'; longest]),
            read_back(&vec![b'x'; longest + 1]),
            read_back(b"\n"),
            read_back(b"\xff"),
        ];
        fs::remove_file(&path).unwrap();
        let refused = |why: &str| Err(why.to_owned());
        assert_eq!(
            said,
            [
                Ok(10),
                Ok(longest),
                refused("it is longer than 64 KiB"),
                refused("it is empty"),
                refused("it is not UTF-8"),
            ]
        );
        assert!(read(&path).is_err());
    }
}
