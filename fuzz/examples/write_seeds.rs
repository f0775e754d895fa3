//! Writes the seeds into `fuzz/corpus`, a file each, named by its content.

use std::{fs, io, path::Path};

use sha2::{Digest, Sha256};

fn main() -> io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (target, input) in epicme_fuzz::seeds::seeds() {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder)?;
        let digest = Sha256::digest(&input);
        let name: String = digest[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        fs::write(folder.join(name), input)?;
    }
    Ok(())
}
