//! The protocol of `docker-credential-…`: the registry on stdin, JSON on stdout.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use zeroize::Zeroizing;

use super::{CredentialError, Login, Secret};

/// How long a helper may take. Some ask a person.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest answer: a name and a token of some kilobytes.
const ANSWER_MAX: u64 = 64 * 1024;

/// What helpers say when they know no login (docker-credential-helpers, `credentials/error.go`).
const NOT_FOUND: &str = "credentials not found";

/// The user's name that marks the secret as an identity token.
const TOKEN_USER: &str = "<token>";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: Secret,
}

/// Asks a helper for the login to this server.
pub(super) fn login(helper: &str, server: &str) -> Result<Option<Login>, CredentialError> {
    ask(helper, server, PATIENCE).map_err(|why| CredentialError::Helper { helper: helper.into(), why })
}

fn ask(helper: &str, server: &str, patience: Duration) -> Result<Option<Login>, String> {
    // The name comes from a file and becomes a program's name: no paths.
    if helper.is_empty() || !helper.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    {
        return Err("not a helper's name".into());
    }
    let mut command = Command::new(format!("docker-credential-{helper}"));
    run(command.arg("get"), server, patience)
}

fn run(command: &mut Command, server: &str, patience: Duration) -> Result<Option<Login>, String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("can't be run: {error}"))?;
    let output = converse(&mut child, server);
    let status = wait(&mut child, patience)?;
    let bytes = output.join().unwrap_or_default();
    if !status.success() {
        let said = String::from_utf8_lossy(&bytes);
        return if said.contains(NOT_FOUND) { Ok(None) } else { Err(format!("failed, {status}")) };
    }
    let answer: Answer =
        serde_json::from_slice(&bytes).map_err(|_| "its answer is not the JSON expected".to_owned())?;
    Ok(Some(match answer.username.as_str() {
        TOKEN_USER => Login::IdentityToken(answer.secret),
        user => Login::Password { user: user.into(), password: answer.secret },
    }))
}

/// Sends the server's name and reads the answer beside, so that a helper that hangs blocks nothing.
fn converse(child: &mut Child, server: &str) -> thread::JoinHandle<Zeroizing<Vec<u8>>> {
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let question = server.to_owned();
    thread::spawn(move || {
        if let Some(mut stdin) = stdin {
            // A helper that doesn't listen will say so by its status.
            let _ = stdin.write_all(question.as_bytes());
        }
        let mut answer = Zeroizing::new(Vec::new());
        if let Some(stdout) = stdout {
            let _ = stdout.take(ANSWER_MAX).read_to_end(&mut answer);
        }
        answer
    })
}

fn wait(child: &mut Child, patience: Duration) -> Result<ExitStatus, String> {
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if start.elapsed() < patience => thread::sleep(Duration::from_millis(10)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("no answer within {patience:?}"));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str) -> Result<Option<Login>, String> {
        let mut command = Command::new("sh");
        run(command.args(["-c", script]), "r.io", Duration::from_millis(500))
    }

    #[test]
    fn the_question_is_the_server_and_the_answer_a_login() {
        let echo =
            r#"read -r server || :; echo "{\"ServerURL\":\"x\",\"Username\":\"$server\",\"Secret\":\"s\"}""#;
        let Ok(Some(Login::Password { user, password })) = shell(echo) else { panic!("no login") };
        assert_eq!((user.as_str(), password.expose()), ("r.io", "s"));
    }

    #[test]
    fn a_token_is_told_by_the_name() {
        let login = shell(r#"echo '{"Username":"<token>","Secret":"t"}'"#).unwrap().unwrap();
        assert!(matches!(login, Login::IdentityToken(token) if token.expose() == "t"));
    }

    #[test]
    fn no_login_is_no_error() {
        let login = shell("echo credentials not found in native keychain; exit 1").unwrap();
        assert!(login.is_none());
    }

    #[test]
    fn failures_say_why_and_tell_no_secret() {
        for (script, why) in [
            ("echo hunter2; exit 3", "failed, exit status: 3"),
            ("echo hunter2", "its answer is not the JSON expected"),
            ("exec sleep 10", "no answer within 500ms"),
        ] {
            assert_eq!(shell(script).unwrap_err(), why, "{script}");
        }
    }

    #[test]
    fn a_helpers_name_is_no_path() {
        for helper in ["", "../../bin/sh", "a/b", "a b"] {
            assert!(ask(helper, "r.io", PATIENCE).is_err(), "{helper:?}");
        }
        let error = login("hallmark-absent", "r.io").unwrap_err().to_string();
        assert!(error.starts_with("docker-credential-hallmark-absent: can't be run: "), "{error}");
    }
}
