use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;

use super::*;

/// A folder that nobody else uses, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (id, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(format!("mock-auth-vault-{id}-{count}")))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The next run does not meet it: the name holds this process's id.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_was_written_last_is_read_and_lies_sealed() {
    let folder = Folder::new();
    let vault = Vault::open(&folder.0).unwrap();
    assert_eq!(vault.read().unwrap(), None);
    vault.write(b"a first document").unwrap();
    vault.write(b"a second document").unwrap();
    drop(vault);
    let again = Vault::open(&folder.0).unwrap();
    assert_eq!(again.read().unwrap().unwrap(), b"a second document");
    let sealed = fs::read(folder.path(DOCUMENT)).unwrap();
    assert!(!sealed.windows(6).any(|part| part == b"second"));
    assert!(!folder.path("state.sealed.new").exists());
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_it() {
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::new();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let vault = Vault::open(&folder.0).unwrap();
    vault.write(b"x").unwrap();
    drop(vault);
    assert_eq!(mode(&folder.0), 0o700);
    for name in [KEY, LOCK, DOCUMENT] {
        assert_eq!(mode(&folder.path(name)), 0o600, "{name}");
    }
    fs::set_permissions(folder.path(KEY), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(Vault::open(&folder.0).unwrap().read().unwrap().is_some());
    assert_eq!(mode(&folder.path(KEY)), 0o600);
}

#[test]
fn one_program_has_it_at_a_time() {
    let folder = Folder::new();
    let vault = Vault::open(&folder.0).unwrap();
    let error = Vault::open(&folder.0).err().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("another program"), "{error}");
    drop(vault);
    assert!(Vault::open(&folder.0).is_ok());
}

#[test]
fn a_folder_that_cannot_be_is_named() {
    let folder = Folder::new();
    fs::write(&folder.0, "a file").unwrap();
    let error = Vault::open(&folder.0).err().unwrap();
    let name = folder.0.to_str().unwrap();
    assert!(error.to_string().contains(name), "{error}");
    fs::remove_file(&folder.0).unwrap();
}

#[test]
fn what_is_none_of_its_own_is_set_aside() {
    let folder = Folder::new();
    Vault::open(&folder.0).unwrap().write(b"x").unwrap();
    // A key of somebody else, and one that is none.
    for key in ["0".repeat(64), "zz".to_owned(), String::new()] {
        fs::write(folder.path(KEY), key).unwrap();
        let vault = Vault::open(&folder.0).unwrap();
        assert_eq!(vault.read().unwrap(), None);
        assert!(folder.path("state.sealed.aside").exists());
        assert!(!folder.path(DOCUMENT).exists());
        vault.write(b"x").unwrap();
    }
    assert!(folder.path("key.aside").exists());
    // No files at all.
    fs::remove_file(folder.path(DOCUMENT)).unwrap();
    fs::remove_file(folder.path("state.sealed.aside")).unwrap();
    fs::create_dir(folder.path(DOCUMENT)).unwrap();
    let vault = Vault::open(&folder.0).unwrap();
    assert_eq!(vault.read().unwrap(), None);
    vault.write(b"y").unwrap();
    assert_eq!(vault.read().unwrap().unwrap(), b"y");
}

#[test]
fn a_document_of_any_length_is_not_read() {
    let folder = Folder::new();
    let vault = Vault::open(&folder.0).unwrap();
    let file = File::create(folder.path(DOCUMENT)).unwrap();
    file.set_len(LONGEST + 1).unwrap();
    assert_eq!(vault.read().unwrap(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_changed_bit_and_no_cut_passes(position: prop::sample::Index, bit in 0u8..8, cut in any::<bool>()) {
        let folder = Folder::new();
        let vault = Vault::open(&folder.0).unwrap();
        vault.write(b"a document").unwrap();
        let mut sealed = fs::read(folder.path(DOCUMENT)).unwrap();
        let position = position.index(sealed.len());
        if cut {
            sealed.truncate(position);
        } else {
            sealed[position] ^= 1 << bit;
        }
        fs::write(folder.path(DOCUMENT), sealed).unwrap();
        prop_assert_eq!(vault.read().unwrap(), None);
        prop_assert_eq!(vault.read().unwrap(), None);
    }
}
