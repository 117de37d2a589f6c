//! Running a program by others: with an environment of its own, no input, no network, and bounds on time, memory
//! and bytes; and nothing of it left afterwards.
//!
//! The bounds are set by a step between, because a process can safely set them for itself only: the caller starts
//! its own program again, which calls [`enter`]. That makes namespaces (no network, processes that end with it),
//! and starts itself once more inside ([`Stage::Inner`]), where limits are set and the program takes its place.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::CloneFlags;
use nix::sys::resource::{Resource, setrlimit};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

/// How the step between says that it could not do its work.
const NOT_JAILED: u8 = 125;
/// What it says then, first.
const COULD_NOT: &str = "could not be confined: ";

/// What is kept of what a program says on stderr.
const STDERR_MAX: u64 = 4096;
/// How often to look whether it has ended.
const PAUSE: Duration = Duration::from_millis(5);
/// How long pipes may stay open after the program has ended.
const DRAIN: Duration = Duration::from_secs(2);
/// The largest file that a program may write: a cache of an unpacked image.
const FILE_MAX: u64 = 8 << 30;

/// How much a program may use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounds {
    /// From start to end.
    pub time: Duration,
    /// Address space of each process, in bytes.
    pub memory: u64,
    /// Bytes on stdout.
    pub output: u64,
    /// What it can reach.
    pub reach: Reach,
}

/// What a program can reach.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reach {
    /// Its files: there is no network. Where the kernel doesn't give that, it isn't run.
    Files,
    /// The network too.
    Network,
    /// All that the caller can: a container engine, which itself confines what it runs.
    All,
}

/// A program to run.
#[derive(Clone, Debug)]
pub struct Job {
    /// How the caller's own program is started so that it calls [`enter`]: a program, and the words before those that
    /// [`Stage`] is read from.
    pub launcher: (PathBuf, Vec<OsString>),
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its environment, all of it.
    pub environment: Vec<(OsString, OsString)>,
    /// The folder that it starts in.
    pub folder: PathBuf,
    /// How much it may use.
    pub bounds: Bounds,
}

/// How a program ended that did so by itself, within its bounds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ended {
    /// Its exit code.
    pub code: i32,
    /// What it said.
    pub stdout: Vec<u8>,
    /// The beginning of what it said on stderr.
    pub stderr: String,
}

/// Why a program gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JailError {
    /// It could not be started.
    #[error("could not be started: {0}")]
    Start(io::Error),
    /// This machine doesn't let it be confined.
    #[error("could not be confined: {0}")]
    NotConfined(String),
    /// It took too long.
    #[error("took too long: expected an end within {0:.1?}")]
    Time(Duration),
    /// It said too much.
    #[error("said too much: expected at most {0} bytes")]
    Output(u64),
    /// It was killed.
    #[error("was ended by signal {signal}{}", said(stderr))]
    Signal {
        /// By which signal.
        signal: i32,
        /// What it said on stderr.
        stderr: String,
    },
}

fn said(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!(": {stderr}") }
}

/// Runs a program to its end, or ends it and all that it started.
///
/// # Errors
/// When it can't be started or confined, takes too long, says too much, or is killed.
pub fn run(job: &Job) -> Result<Ended, JailError> {
    let (launcher, words) = &job.launcher;
    let mut command = Command::new(launcher);
    command.args(words).args(Stage::Outer.words(&job.bounds)).arg(&job.program).args(&job.arguments);
    command.env_clear().envs(job.environment.iter().cloned()).current_dir(&job.folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = Running(command.spawn().map_err(JailError::Start)?);
    let deadline = Instant::now().checked_add(job.bounds.time);
    let (stdout, stderr) =
        (reading(child.0.stdout.take(), job.bounds.output), reading(child.0.stderr.take(), STDERR_MAX));
    let mut out = None;
    loop {
        match stdout.try_recv() {
            Ok(Piece::TooMuch(_)) => return Err(JailError::Output(job.bounds.output)),
            Ok(Piece::All(bytes)) => out = Some(bytes),
            Err(_) => {}
        }
        if child.has_ended().map_err(JailError::Start)? {
            break;
        }
        if deadline.is_none_or(|deadline| Instant::now() >= deadline) {
            return Err(JailError::Time(job.bounds.time));
        }
        thread::sleep(PAUSE);
    }
    let status = child.end().map_err(JailError::Start)?;
    let stdout = match out {
        Some(bytes) => bytes,
        None => match stdout.recv_timeout(DRAIN) {
            Ok(Piece::All(bytes)) => bytes,
            Ok(Piece::TooMuch(_)) => return Err(JailError::Output(job.bounds.output)),
            // Something that it started and that got away holds the pipe.
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                return Err(JailError::Time(job.bounds.time));
            }
        },
    };
    let stderr = match stderr.recv_timeout(DRAIN) {
        Ok(Piece::All(bytes) | Piece::TooMuch(bytes)) => {
            crate::answer::line(&String::from_utf8_lossy(&bytes))
        }
        Err(_) => String::new(),
    };
    match (status.code(), status.signal()) {
        (Some(code), _) if code == i32::from(NOT_JAILED) && stderr.starts_with(COULD_NOT) => {
            Err(JailError::NotConfined(stderr.trim_start_matches(COULD_NOT).to_owned()))
        }
        // As shells say it of a program that a signal ended.
        (Some(code @ 129..=192), _) => Err(JailError::Signal { signal: code.saturating_sub(128), stderr }),
        (Some(code), _) => Ok(Ended { code, stdout, stderr }),
        (None, signal) => Err(JailError::Signal { signal: signal.unwrap_or_default(), stderr }),
    }
}

/// A child that is not left behind.
struct Running(Child);

impl Running {
    /// Whether it has ended; it stays until [`Self::end`], so that its number is nobody else's.
    fn has_ended(&self) -> io::Result<bool> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        Ok(rustix::process::waitid(WaitId::Pid(Pid::from_child(&self.0)), options)?.is_some())
    }

    /// Ends it and its group.
    fn end(&mut self) -> io::Result<std::process::ExitStatus> {
        // Where nobody is left in the group, there is nothing to do.
        let _ = rustix::process::kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        self.0.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Once it was waited for, its number may be another's.
        if matches!(self.0.try_wait(), Ok(None)) {
            let _ = self.end();
        }
    }
}

/// What a pipe gave.
enum Piece {
    All(Vec<u8>),
    TooMuch(Vec<u8>),
}

/// Reads a pipe to its end on a thread of its own, keeping at most `limit` bytes.
fn reading(pipe: Option<impl Read + Send + 'static>, limit: u64) -> Receiver<Piece> {
    let (sender, receiver) = channel();
    let read = move |sender: &Sender<Piece>| {
        let mut bytes = Vec::new();
        let Some(mut pipe) = pipe else { return };
        let read = (&mut pipe).take(limit.saturating_add(1)).read_to_end(&mut bytes);
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let piece = match read {
            Ok(_) if length <= limit => Piece::All(bytes),
            _ => Piece::TooMuch(bytes),
        };
        // Nobody listens: the program is ended already.
        let _ = sender.send(piece);
        // Who writes must not be ended by a pipe that closed, but by its own end.
        let _ = io::copy(&mut pipe, &mut io::sink());
    };
    thread::spawn(move || read(&sender));
    receiver
}

/// Which of the two steps between this is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// Makes the namespaces.
    Outer,
    /// Sets the limits, and becomes the program.
    Inner,
}

impl Stage {
    fn words(self, bounds: &Bounds) -> Vec<OsString> {
        let stage = match self {
            Self::Outer => "outer",
            Self::Inner => "inner",
        };
        let reach = match bounds.reach {
            Reach::Files => "files",
            Reach::Network => "network",
            Reach::All => "all",
        };
        let seconds = bounds.time.as_secs().max(1).to_string();
        [stage, reach, &bounds.memory.to_string(), &seconds].map(OsString::from).to_vec()
    }
}

/// The step between. `launcher` is as in [`Job`], `words` are those after it. Returns only where it failed, or with
/// the exit code of what ran.
pub fn enter(launcher: (&Path, &[&OsStr]), words: &[OsString]) -> u8 {
    match entered(launcher, words) {
        Ok(code) => code,
        Err(error) => {
            use io::Write as _;
            let _ = writeln!(io::stderr(), "{COULD_NOT}{error}");
            NOT_JAILED
        }
    }
}

fn entered(launcher: (&Path, &[&OsStr]), words: &[OsString]) -> io::Result<u8> {
    let usage = || io::Error::from(io::ErrorKind::InvalidInput);
    let [stage, reach, memory, seconds, program, arguments @ ..] = words else { return Err(usage()) };
    let number = |word: &OsString| word.to_str().and_then(|word| word.parse::<u64>().ok()).ok_or_else(usage);
    let bounds = Bounds {
        reach: match reach.to_str() {
            Some("all") => Reach::All,
            Some("network") => Reach::Network,
            _ => Reach::Files,
        },
        memory: number(memory)?,
        time: Duration::from_secs(number(seconds)?),
        output: 0,
    };
    // Whoever ends us ends what we run.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    match stage.to_str() {
        Some("outer") if bounds.reach == Reach::All => Err(inner(&bounds, program, arguments)),
        Some("outer") => outer(launcher, &bounds, program, arguments),
        Some("inner") => Err(inner(&bounds, program, arguments)),
        _ => Err(usage()),
    }
}

fn outer(
    (launcher, words): (&Path, &[&OsStr]),
    bounds: &Bounds,
    program: &OsString,
    arguments: &[OsString],
) -> io::Result<u8> {
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let processes = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWIPC;
    let has_network = bounds.reach != Reach::Files;
    let wanted = if has_network { processes } else { processes | CloneFlags::CLONE_NEWNET };
    match nix::sched::unshare(wanted | CloneFlags::CLONE_NEWUSER) {
        Ok(()) => {
            // Who it is stays the same, without any power outside. Some kernels give users a namespace, and no map
            // of it: then it is nobody there, and still this user to all files.
            if let Err(error) = mapped(user, group)
                && !has_network
            {
                return Err(error);
            }
        }
        // Where users may make no namespaces, root may.
        Err(error) => match nix::sched::unshare(wanted) {
            Ok(()) => {}
            Err(_) if has_network => {}
            Err(_) => {
                return Err(io::Error::other(format!(
                    "the kernel gives no namespace without a network: {error}"
                )));
            }
        },
    }
    let mut command = Command::new(launcher);
    command.args(words).args(Stage::Inner.words(bounds)).arg(program).args(arguments);
    let status = command.status()?;
    let code = status.code().or_else(|| Some(status.signal()?.saturating_add(128))).unwrap_or(1);
    Ok(u8::try_from(code).unwrap_or(1))
}

fn mapped(user: u32, group: u32) -> io::Result<()> {
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("{group} {group} 1"))
}

fn inner(bounds: &Bounds, program: &OsString, arguments: &[OsString]) -> io::Error {
    let seconds = bounds.time.as_secs().saturating_mul(4);
    let limits = [
        (Resource::RLIMIT_AS, bounds.memory),
        // Of all its threads; the clock on the wall is the caller's.
        (Resource::RLIMIT_CPU, seconds),
        (Resource::RLIMIT_FSIZE, FILE_MAX),
        (Resource::RLIMIT_CORE, 0),
    ];
    for (resource, limit) in limits {
        if let Err(error) = setrlimit(resource, limit, limit) {
            return error.into();
        }
    }
    let error = Command::new(program).args(arguments).exec();
    io::Error::other(format!("{}: {error}", Path::new(program).display()))
}
