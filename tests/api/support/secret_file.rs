//! A file with a secret in it, gone when the test ends.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use resource_server::issuer::SecretSource;

pub(crate) struct SecretFile(PathBuf);

impl SecretFile {
    pub(crate) fn new(text: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("epicme-test-secret-{}-{count}", std::process::id());
        let file = Self(std::env::temp_dir().join(name));
        file.write(text);
        file
    }

    /// In one step, as an operator should: no reader sees half of it.
    pub(crate) fn write(&self, text: &str) {
        let beside = self.0.with_extension("new");
        fs::write(&beside, text).unwrap();
        fs::rename(&beside, &self.0).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn source(&self) -> SecretSource {
        SecretSource::File(self.0.clone())
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
