//! Starts one client and says what it alone used: `launch SECONDS CLIENT ARGUMENT...`.
//!
//! One line of JSON on stdout: `exit` (null when a signal ended it), `late` (whether the bound did),
//! `wall` and `cpu` in seconds, `rss` in KiB. The client's stderr is passed on, its stdout dropped.
//!
//! Why it exists: Linux carries the peak memory of a process over `exec`, so a client that Python forks
//! begins with Python's peak, vfork and posix_spawn included. This program's own peak is some 2 MiB,
//! below that of any client. It starts one process, so that the resources of "all children that were
//! waited for" are that process's.

use std::error::Error;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::sys::time::TimeVal;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

fn main() -> ExitCode {
    match launch() {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("launch: {error}");
            ExitCode::from(3)
        }
    }
}

fn launch() -> Result<String, Box<dyn Error>> {
    let mut words = std::env::args_os().skip(1);
    let bound = words.next().and_then(|word| word.to_str()?.parse::<f64>().ok());
    let (Some(bound), Some(program)) = (bound, words.next()) else {
        return Err("expected SECONDS CLIENT ARGUMENT...".into());
    };
    let bound = Duration::try_from_secs_f64(bound)?;
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null());
    let began = Instant::now();
    let mut child = command.spawn()?;
    let late = ended_late(&child, bound)?;
    let wall = began.elapsed();
    let exit = child.wait()?.code();
    let used = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let cpu = seconds(used.user_time()) + seconds(used.system_time());
    let exit = exit.map_or_else(|| "null".to_owned(), |code| code.to_string());
    let (wall, rss) = (wall.as_secs_f64(), used.max_rss());
    Ok(format!(r#"{{"exit":{exit},"late":{late},"wall":{wall:.6},"cpu":{cpu:.6},"rss":{rss}}}"#))
}

/// Waits for the end of the client, and kills it at its bound. It isn't reaped here, so its number can't
/// have become another process's when the signal is sent.
fn ended_late(child: &Child, bound: Duration) -> Result<bool, Box<dyn Error>> {
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    let (ended, waiting) = mpsc::channel::<()>();
    let watch = thread::spawn(move || {
        let late = waiting.recv_timeout(bound) == Err(mpsc::RecvTimeoutError::Timeout);
        late && kill(pid, Signal::SIGKILL).is_ok()
    });
    waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)?;
    drop(ended);
    watch.join().map_err(|_| "the watch ended early".into())
}

/// A sum of two such times can't reach a float's limits.
fn seconds(time: TimeVal) -> f64 {
    let (whole, rest) = (time.tv_sec(), time.tv_usec());
    Duration::new(u64::try_from(whole).unwrap_or(0), 0).as_secs_f64()
        + Duration::from_micros(u64::try_from(rest).unwrap_or(0)).as_secs_f64()
}
