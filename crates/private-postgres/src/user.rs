//! Whom PostgreSQL runs as: it refuses to run as root.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, lchown},
        process::CommandExt,
    },
    path::Path,
    process::{Command, Stdio},
};

use crate::error::ClusterError;

/// The user that PostgreSQL and everything beside it runs as.
#[derive(Debug)]
pub(crate) struct RunAs {
    pub(crate) uid: u32,
    gid: u32,
    /// Whether that is somebody else than we are.
    pub(crate) switched: bool,
}

impl RunAs {
    /// We ourselves, unless we are root: then the owner of what is there, `postgres`, or `nobody`.
    pub(crate) fn for_directory(directory: &Path) -> Result<Self, ClusterError> {
        let ours = id(&["-u"]).zip(id(&["-g"]));
        let Some((uid, gid)) = ours else {
            return Err(ClusterError::not_safe(
                directory,
                "`id` does not say which user this is",
            ));
        };
        if uid != 0 {
            return Ok(Self {
                uid,
                gid,
                switched: false,
            });
        }
        let owner = fs::symlink_metadata(directory)
            .ok()
            .map(|found| (found.uid(), found.gid()))
            .filter(|(uid, _)| *uid != 0);
        let named = |name| id(&["-u", name]).zip(id(&["-g", name]));
        let (uid, gid) = owner
            .or_else(|| named("postgres"))
            .or_else(|| named("nobody"))
            .ok_or_else(|| {
                ClusterError::not_safe(
                    directory,
                    "PostgreSQL refuses to run as root, and this system has neither a user \
                     `postgres` nor `nobody`",
                )
            })?;
        Ok(Self {
            uid,
            gid,
            switched: true,
        })
    }

    /// A command run as this user, with nothing on its standard input, from a directory that
    /// everybody can enter, in a language that we can read.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").stdin(Stdio::null());
        command.env("LC_ALL", "C");
        for theirs in ["PGDATA", "PGPORT", "PGHOST", "PGUSER", "PGOPTIONS"] {
            command.env_remove(theirs);
        }
        if self.switched {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Whether this user can enter and write a directory.
    pub(crate) fn can_use(&self, directory: &Path) -> bool {
        let mut test = self.command(Path::new("sh"));
        test.args(["-c", "test -w \"$1\" && test -x \"$1\"", "sh"])
            .arg(directory);
        test.status().is_ok_and(|status| status.success())
    }

    /// Whether this user can go through a directory.
    pub(crate) fn can_enter(&self, directory: &Path) -> bool {
        let mut test = self.command(Path::new("sh"));
        test.args(["-c", "cd \"$1\" 2>/dev/null", "sh"])
            .arg(directory);
        test.status().is_ok_and(|status| status.success())
    }

    /// Gives a path to this user; a link itself and not what it leads to.
    pub(crate) fn own(&self, path: &Path) -> Result<(), ClusterError> {
        if !self.switched {
            return Ok(());
        }
        lchown(path, Some(self.uid), Some(self.gid)).map_err(ClusterError::io("give away", path))
    }
}

/// What `id` says of a user.
pub(crate) fn id(arguments: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.trim().parse().ok().filter(|_| output.status.success())
}
