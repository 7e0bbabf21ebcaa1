//! A git repository of its own, and a shell in it that finds egret.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// What `bash` of a CI system is told: the first command that fails ends it.
const SHELL: [&str; 3] = ["-eo", "pipefail", "-c"];

/// The binary under test; another where the tests are told so, as the SDKs' are.
fn egret() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "said by who runs the tests")]
    let other = std::env::var_os("EGRET_BIN");
    other.map_or_else(|| env!("CARGO_BIN_EXE_egret").into(), PathBuf::from)
}

/// A repository, and beside it the runner's files and commands.
pub(super) struct Repository(TempDir);

impl Repository {
    pub(super) fn new() -> Self {
        let made = Self(tempfile::tempdir().unwrap());
        for folder in ["work", "runner", "commands"] {
            fs::create_dir(made.0.path().join(folder)).unwrap();
        }
        symlink(egret(), made.0.path().join("commands/egret")).unwrap();
        made.git(&["init", "--quiet", "--initial-branch", "main"]);
        made
    }

    pub(super) fn git(&self, arguments: &[&str]) {
        let done = self.command("git").args(arguments).output().unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join("work").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(super) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join("work").join(name)).unwrap()
    }

    pub(super) fn commit(&self, files: &[(&str, &str)]) {
        files.iter().for_each(|(name, text)| self.write(name, text));
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "A change"]);
    }

    /// Puts a command in the place of one that this machine may not have.
    pub(super) fn fake(&self, name: &str, script: &str) {
        let path = self.0.path().join("commands").join(name);
        fs::write(&path, format!("#!/usr/bin/env bash\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A file of the runner's.
    pub(super) fn temporary(&self, name: &str) -> PathBuf {
        self.0.path().join("runner").join(name)
    }

    /// What steps have said for those after them.
    pub(super) fn outputs(&self) -> String {
        fs::read_to_string(self.temporary("output")).unwrap_or_default()
    }

    /// Runs a script. Gives whether it went well, and what it said.
    pub(super) fn run(&self, script: &str, environment: &[(&str, &str)]) -> (bool, String) {
        let mut bash = self.command("bash");
        bash.args(SHELL).arg(script).envs(environment.iter().copied());
        let done = bash.output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
        (done.status.success(), said.into_owned())
    }

    /// A command in the repository, in an environment without a trace of this one's.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        let commands = self.0.path().join("commands").display().to_string();
        command
            .current_dir(self.0.path().join("work"))
            .env_clear()
            .env(
                "PATH",
                format!("{commands}:{}", option_env!("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin")),
            )
            .env("HOME", self.0.path())
            .env("POLICY", "policies")
            .env("MIN_COVERAGE", "80")
            .env("RUNNER_TEMP", self.0.path().join("runner"))
            .env("GITHUB_OUTPUT", self.temporary("output"))
            .env("GITHUB_STEP_SUMMARY", self.temporary("summary"))
            .env("GITHUB_PATH", self.temporary("path"));
        for who in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{who}_NAME"), "test")
                .env(format!("GIT_{who}_EMAIL"), "test@example.com");
        }
        command
    }
}
