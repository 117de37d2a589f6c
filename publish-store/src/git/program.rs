//! The program `git`, run so that nothing around it changes what it does: no hooks, no questions, no
//! variables that lead it to another repository. Bounded in bytes and in time.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::StoreError;

/// A push over a slow line, with all of a large repository. What takes longer hangs.
const TIME: Duration = Duration::from_secs(300);
/// Between two looks at whether it has ended.
const PAUSE: Duration = Duration::from_millis(1);
/// What it says when something is wrong; more is dropped.
const WORDS_MAX: u64 = 64 * 1024;
/// What it and the other side may say at all.
const SAID_MAX: u64 = 4 * 1024 * 1024;
/// Lists of names and ids: a hundred thousand files of a hundred bytes.
pub(super) const LIST_MAX: u64 = 16 * 1024 * 1024;

/// Switches that hold for every call. Hooks and signatures are for commits that people make.
const ALWAYS: &[&str] = &[
    "--literal-pathspecs",
    "--no-replace-objects",
    "--no-pager",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.fsync=committed",
    "-c",
    "core.quotePath=false",
    "-c",
    "gc.auto=0",
    "-c",
    "maintenance.auto=false",
    "-c",
    "protocol.ext.allow=never",
    "-c",
    "submodule.recurse=false",
    "-c",
    "push.recurseSubmodules=no",
];

/// Variables by which git is led elsewhere (`git rev-parse --local-env-vars`, and their like).
const LEAD_ASTRAY: &[&str] = &[
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CEILING_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DEFAULT_HASH",
    "GIT_DIR",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
    "GIT_GLOB_PATHSPECS",
    "GIT_GRAFT_FILE",
    "GIT_ICASE_PATHSPECS",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_TRACE",
    "GIT_WORK_TREE",
];

/// Runs git in one folder.
#[derive(Clone, Debug)]
pub(super) struct Git {
    dir: PathBuf,
    /// Whose commits they are, where the owner of the repository hasn't said who they are.
    author: bool,
    /// Whether ssh is told to ask nobody: git can't tell it.
    silent_ssh: bool,
    index: Option<PathBuf>,
}

/// What came of a call.
pub(super) struct Ran {
    /// Whether it did what it was asked to.
    pub(super) ok: bool,
    /// What it answered.
    pub(super) stdout: Vec<u8>,
    /// What it said, on one line and without passwords.
    pub(super) words: String,
}

impl Ran {
    /// The answer as text, without the line's end.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end_matches('\n').to_owned()
    }
}

impl Git {
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), author: false, silent_ssh: false, index: None }
    }

    /// The same with an author for commits.
    pub(super) fn with_author(&self) -> Self {
        Self { author: true, ..self.clone() }
    }

    /// The same with an ssh that asks for no password and no host's key, where nothing else is configured:
    /// behind us nobody would see the question.
    pub(super) fn with_silent_ssh(&self) -> Self {
        Self { silent_ssh: true, ..self.clone() }
    }

    /// The same with an index of its own, so that the one of the work tree stays as it is.
    pub(super) fn with_index(&self, index: PathBuf) -> Self {
        Self { index: Some(index), ..self.clone() }
    }

    /// Runs git and expects it to do what it was asked to.
    pub(super) fn expect(&self, arguments: &[&str], input: &[u8]) -> Result<Ran, StoreError> {
        let ran = self.run(arguments, input, LIST_MAX)?;
        if ran.ok { Ok(ran) } else { Err(self.failed(arguments, &ran)) }
    }

    /// What a call that failed means.
    pub(super) fn failed(&self, arguments: &[&str], ran: &Ran) -> StoreError {
        let (at, why) = (self.dir.display().to_string(), format!("git {}: {}", verb(arguments), ran.words));
        let said = |words: &[&str]| words.iter().any(|words| ran.words.contains(words));
        if said(&["Permission denied", "Authentication failed", "could not read Username", "error: 403"]) {
            return StoreError::Denied { at, why };
        }
        if said(&[
            "Could not read from remote",
            "unable to access",
            "Could not resolve",
            "does not appear to be",
        ]) {
            return StoreError::Unreachable { at, why };
        }
        if said(&["No space left on device", "Read-only file system", "insufficient permission"]) {
            return StoreError::Io { at, error: io::Error::other(why) };
        }
        StoreError::Malformed { at, why }
    }

    /// Runs git, whatever comes of it. An answer of more than `limit` bytes is an error.
    ///
    /// What goes in and comes out are files: a helper that git leaves behind may hold on to a pipe for ever.
    pub(super) fn run(&self, arguments: &[&str], input: &[u8], limit: u64) -> Result<Ran, StoreError> {
        let io = |error| StoreError::Io { at: format!("git in {}", self.dir.display()), error };
        let (stdin, stdout, stderr) =
            (with(input).map_err(io)?, with(&[]).map_err(io)?, with(&[]).map_err(io)?);
        let mut command = self.command(arguments);
        command.stdin(stdin).stdout(stdout.try_clone().map_err(io)?).stderr(stderr.try_clone().map_err(io)?);
        let mut child = command.spawn().map_err(io)?;
        let (began, mut late) = (Instant::now(), false);
        let ended = loop {
            if let Some(ended) = child.try_wait().map_err(io)? {
                break ended;
            }
            late = began.elapsed() > TIME;
            let said = stderr.metadata().map_err(io)?.len();
            if said > SAID_MAX {
                kill(&child);
                child.wait().map_err(io)?;
                let why = format!(
                    "git {}: expected at most {SAID_MAX} bytes of messages, got more",
                    verb(arguments)
                );
                return Err(StoreError::Malformed { at: self.dir.display().to_string(), why });
            }
            if late || stdout.metadata().map_err(io)?.len() > limit {
                kill(&child);
                break child.wait().map_err(io)?;
            }
            sleep(PAUSE);
        };
        if late {
            let why = format!("git {} took longer than {} s", verb(arguments), TIME.as_secs());
            return Err(StoreError::Unreachable { at: self.dir.display().to_string(), why });
        }
        let got = stdout.metadata().map_err(io)?.len();
        if got > limit {
            return Err(StoreError::TooLarge { name: format!("git {}", verb(arguments)), limit, got });
        }
        let words = read(stderr, WORDS_MAX).map_err(io)?;
        Ok(Ran { ok: ended.success(), stdout: read(stdout, limit).map_err(io)?, words: shown(&words) })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        LEAD_ASTRAY.iter().for_each(|name| {
            command.env_remove(name);
        });
        command
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("LC_ALL", "C")
            .process_group(0);
        if self.author {
            for who in ["AUTHOR", "COMMITTER"] {
                command.env(format!("GIT_{who}_NAME"), "Hallmark");
                command.env(format!("GIT_{who}_EMAIL"), "hallmark@localhost");
            }
        }
        if let Some(index) = &self.index {
            command.env("GIT_INDEX_FILE", index);
        }
        command.arg("-C").arg(&self.dir).args(ALWAYS);
        if self.silent_ssh {
            command.args(["-c", "core.sshCommand=ssh -o BatchMode=yes"]);
        }
        command.args(arguments);
        command
    }
}

/// A file without a name, that holds this.
fn with(bytes: &[u8]) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

fn read(mut file: File, limit: u64) -> io::Result<Vec<u8>> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Ends it and what it started. It has not been waited for, so the number is still its own.
fn kill(child: &Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

fn verb<'a>(arguments: &[&'a str]) -> &'a str {
    arguments.first().copied().unwrap_or_default()
}

/// On one line, without hints for people at a keyboard, and without the logins that addresses may hold.
pub(super) fn shown(words: &[u8]) -> String {
    let text = String::from_utf8_lossy(words);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("hint:"));
    let words: Vec<String> = lines.flat_map(|line| line.split(' ')).map(without_login).collect();
    words.join(" ").chars().filter(|character| !character.is_control()).take(600).collect()
}

/// An address without the login that it may hold.
pub(super) fn without_login(word: &str) -> String {
    let hidden = word.split_once("://").and_then(|(scheme, rest)| {
        let host = rest.split('/').next().unwrap_or(rest);
        let (_, plain) = host.rsplit_once('@')?;
        let path = rest.strip_prefix(host).unwrap_or_default();
        Some(format!("{scheme}://{plain}{path}"))
    });
    hidden.unwrap_or_else(|| word.to_owned())
}

/// Whether git can be run at all, for an error that says what is missing.
pub(super) fn is_missing(error: &StoreError) -> bool {
    matches!(error, StoreError::Io { error, .. } if error.kind() == ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_one_line_without_logins() {
        let words =
            b"fatal: unable to access 'https://me:hush@example.com/a/b.git/': no\nhint: try\n remote: x\n";
        assert_eq!(shown(words), "fatal: unable to access 'https://example.com/a/b.git/': no remote: x");
    }

    #[test]
    fn an_answer_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let git = Git::new(folder.path());
        let ran = git.run(&["hash-object", "--stdin"], b"x", 41).unwrap();
        assert!(ran.ok && ran.stdout.len() == 41, "{}", ran.words);
        let error = git.run(&["hash-object", "--stdin"], b"x", 40).err().unwrap();
        assert!(matches!(error, StoreError::TooLarge { limit: 40, got: 41, .. }), "{error}");
    }
}
