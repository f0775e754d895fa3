//! A folder in which one program keeps one document: sealed, so that it is neither read nor changed without the key beside it, and
//! written whole or not at all. What is broken or foreign is set aside under another name, and the log says so.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::secret;

/// The first line of a sealed document. It is sealed along, so that a document of another version is not taken for one of this.
const VERSION: &[u8] = b"mock-auth state 1\n";

const KEY: &str = "key";
const LOCK: &str = "lock";
const DOCUMENT: &str = "state.sealed";

/// The longest document that is read, in bytes. What is written has its own, lower bounds.
const LONGEST: u64 = 16 * 1024 * 1024;

/// The folder, for as long as this program has it.
pub(crate) struct Vault {
    folder: PathBuf,
    key: LessSafeKey,
    /// Held for as long as the file is open.
    _lock: File,
}

impl Vault {
    /// Opens the folder, and makes it and its key if there are none.
    ///
    /// # Errors
    /// `InvalidInput`, which names the folder: it cannot be written to, or another program has it.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let wrong = |error| unusable(folder, &error);
        make_folder(folder).map_err(wrong)?;
        let lock = private_file()
            .create(true)
            .open(folder.join(LOCK))
            .map_err(wrong)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(wrong(io::Error::other("another program uses it")));
            }
            Err(TryLockError::Error(error)) => return Err(wrong(error)),
        }
        let key = read_or_make_key(folder).map_err(wrong)?;
        let key = UnboundKey::new(&CHACHA20_POLY1305, &key).expect("the key has 32 bytes");
        Ok(Self {
            folder: folder.to_owned(),
            key: LessSafeKey::new(key),
            _lock: lock,
        })
    }

    /// The document that was written last; `None` if there is none that can be used.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub(crate) fn read(&self) -> io::Result<Option<Vec<u8>>> {
        let sealed = read_file(&self.folder.join(DOCUMENT), LONGEST);
        let Some(sealed) = sealed.map_err(|error| unusable(&self.folder, &error))? else {
            return Ok(None);
        };
        let document = sealed.and_then(|sealed| self.unsealed(&sealed));
        if document.is_none() {
            self.set_aside("it is broken, or was sealed with another key")?;
        }
        Ok(document)
    }

    /// Puts a document away that cannot be used, so that whoever wants to can look at it.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub(crate) fn set_aside(&self, why: &str) -> io::Result<()> {
        let done = set_aside(&self.folder.join(DOCUMENT), why);
        done.map_err(|error| unusable(&self.folder, &error))
    }

    /// Replaces the document: after a crash it is the one before or this one.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn write(&self, document: &[u8]) -> io::Result<()> {
        let nonce: [u8; NONCE_LEN] = secret::random_bytes();
        let mut sealed = document.to_vec();
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(VERSION),
                &mut sealed,
            )
            .map_err(|_| io::Error::other("the document is too long to be sealed"))?;
        write_file(&self.folder, DOCUMENT, &[VERSION, &nonce, &sealed].concat())
    }

    fn unsealed(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.strip_prefix(VERSION)?.split_first_chunk()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let mut document = sealed.to_vec();
        let length = self
            .key
            .open_in_place(nonce, Aad::from(VERSION), &mut document)
            .ok()?
            .len();
        document.truncate(length);
        Some(document)
    }
}

fn unusable(folder: &Path, error: &io::Error) -> io::Error {
    let folder = folder.display();
    let words = format!("the state cannot be kept in {folder}: {error}");
    io::Error::new(io::ErrorKind::InvalidInput, words)
}

/// The key of the folder: 64 hex digits. One that is broken is set aside, and what it sealed cannot be read any more.
fn read_or_make_key(folder: &Path) -> io::Result<[u8; 32]> {
    let path = folder.join(KEY);
    if let Some(text) = read_file(&path, 128)? {
        if let Some(key) = text.as_deref().and_then(key_of) {
            keep_private(&path)?;
            return Ok(key);
        }
        set_aside(&path, "it is no key")?;
    }
    let key: [u8; 32] = secret::random_bytes();
    write_file(folder, KEY, format!("{}\n", secret::hex(&key)).as_bytes())?;
    Ok(key)
}

fn key_of(text: &[u8]) -> Option<[u8; 32]> {
    let text = str::from_utf8(text).ok()?.trim_end();
    let is_hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex {
        return None;
    }
    let mut key = [0; 32];
    for (byte, digits) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(key)
}

/// What is in a file; `None` if there is no such file, and `Some(None)` if it is too long or no file but something else.
fn read_file(path: &Path, longest: u64) -> io::Result<Option<Option<Vec<u8>>>> {
    let is_file = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.is_file() && metadata.len() <= longest,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !is_file {
        return Ok(Some(None));
    }
    let mut content = Vec::new();
    File::open(path)?.take(longest).read_to_end(&mut content)?;
    Ok(Some(Some(content)))
}

/// Writes a file of which nobody sees a part.
fn write_file(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let new = folder.join(format!("{name}.new"));
    // One that a crash left.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = private_file().create_new(true).open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, folder.join(name))?;
    sync_folder(folder)
}

fn set_aside(path: &Path, why: &str) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".aside");
    fs::rename(path, &aside)?;
    log::warn!(
        "{} cannot be used: {why}. It is set aside as {}; clients that were known have to register and sign in anew",
        path.display(),
        Path::new(&aside).display()
    );
    Ok(())
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Takes the key from others' eyes, should somebody have opened it to them.
#[cfg(unix)]
fn keep_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;

    let mut permissions = fs::metadata(path)?.permissions();
    if permissions.mode() & 0o077 != 0 {
        log::warn!("{} was open to others; it is not any more", path.display());
        permissions.set_mode(0o600);
        fs::set_permissions(path, permissions)?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn keep_private(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// Makes a rename last over a loss of power.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
#[path = "vault_tests.rs"]
mod tests;
