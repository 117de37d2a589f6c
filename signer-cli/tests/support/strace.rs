//! `signer` under strace, killed on entering one of its calls.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Output};

use super::Desk;

/// `?`: where the machine has it.
const CHANGING: &str =
    "?rename,renameat,?renameat2,?link,linkat,?unlink,unlinkat,?mkdir,mkdirat,fsync,syncfs";

/// The how-manieth call of its name, in its thread.
pub type Point = (String, usize);

/// Runs `signer` under strace, and kills it there. What it said, and the trace.
pub fn traced(desk: &Desk, command: &[&str], inject: Option<&Point>) -> (Output, String) {
    let trace = desk.path("trace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o"]).arg(&trace).arg("-e").arg(format!("trace={CHANGING}"));
    if let Some((call, number)) = inject {
        strace.arg("-e").arg(format!("inject={call}:signal=SIGKILL:when={number}"));
    }
    strace.arg(env!("CARGO_BIN_EXE_signer")).args(command).current_dir(desk.dir.path());
    let output = strace.output().unwrap();
    (output, fs::read_to_string(trace).unwrap_or_default())
}

/// The calls of a trace, in their order.
pub fn points(trace: &str) -> Vec<Point> {
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    let calls = trace.lines().filter_map(|line| {
        let (thread, rest) = line.split_once(' ')?;
        let (call, _) = rest.trim_start().split_once('(')?;
        call.bytes().all(|byte| byte.is_ascii_alphanumeric()).then(|| (thread.to_owned(), call.to_owned()))
    });
    calls
        .map(|(thread, call)| {
            let count = counts.entry((thread, call.clone())).or_default();
            *count = count.saturating_add(1);
            (call, *count)
        })
        .collect()
}

/// Whether nothing can be traced here.
pub fn without_strace() -> bool {
    let traced = Command::new("strace").args(["-qq", "-e", "trace=none", "true"]).output();
    let works = traced.is_ok_and(|output| output.status.success());
    if !works {
        let _ = writeln!(std::io::stderr(), "SKIPPED: there is no strace that may trace here");
        assert!(std::env::var_os("HALLMARK_NO_SKIPS").is_none(), "strace can't trace");
    }
    !works
}
