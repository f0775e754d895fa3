//! The profile that release builds are optimised by is no use to other names than those it was recorded
//! for, and the compiler does not say so.

use std::{path::Path, process::Command};

#[test]
fn the_profile_belongs_to_this_toolchain_and_these_dependencies() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let check = Command::new("bash")
        .args(["profile/record.sh", "--check"])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(
        check.status.success(),
        "{}{}",
        String::from_utf8_lossy(&check.stdout),
        String::from_utf8_lossy(&check.stderr)
    );
}
