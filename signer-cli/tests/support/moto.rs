//! moto, which plays AWS.

use std::env;
use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// moto's threads look at a condition first and write then, as nobody should. So they take turns.
const SERVER: &str = r#"
import sys, threading, moto.server as moto
serve, turn = moto.run_simple, threading.Lock()
def in_turn(app):
    def answer(environ, start):
        with turn:
            return list(app(environ, start))
    return answer
moto.run_simple = lambda host, port, app, **more: serve(host, port, in_turn(app), **more)
moto.main(sys.argv[1:])
"#;

/// Older ones check signatures over another spelling of a path than the one that was signed.
const FOUND: &str = r#"
import boto3, moto, moto.server
assert [int(part) for part in moto.__version__.split(".")[:3]] >= [5, 2, 5]
"#;

/// Makes a user who may do one thing everywhere, and prints their keys.
const USER: &str = r#"
import boto3, json, sys, uuid
iam = boto3.client("iam", endpoint_url=sys.argv[1], region_name="us-east-1",
                   aws_access_key_id="x", aws_secret_access_key="x")
name, action = str(uuid.uuid4()), sys.argv[2]
action = json.loads(action) if action.startswith("[") else action
iam.create_user(UserName=name)
iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}))
key = iam.create_access_key(UserName=name)["AccessKey"]
print(key["AccessKeyId"], key["SecretAccessKey"])
"#;

/// A server of our own, ended by its handle.
pub struct Moto {
    child: Child,
    pub port: u16,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn python() -> OsString {
    env::var_os("HALLMARK_PYTHON").unwrap_or_else(|| "python3".into())
}

impl Moto {
    /// Starts one, if it is installed.
    pub fn start() -> Option<Self> {
        let found = Command::new(python()).args(["-c", FOUND]).output();
        if !found.is_ok_and(|output| output.status.success()) {
            assert!(env::var_os("HALLMARK_NO_SKIPS").is_none(), "no moto 5.2.5");
            eprintln!(
                "SKIPPED: no moto 5.2.5 or later: `pip install 'moto[server]'`; HALLMARK_PYTHON names a Python"
            );
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(python());
        command.args(["-c", SERVER, "-H", "127.0.0.1", "-p", &port.to_string()]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let moto = Self { child, port };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(60), "moto didn't start");
            sleep(Duration::from_millis(50));
        }
        Some(moto)
    }

    /// Keys of a new user who may do this: an action, or several as JSON.
    pub fn user(&self, action: &str) -> (String, String) {
        let address = format!("http://127.0.0.1:{}", self.port);
        let made = Command::new(python()).args(["-c", USER, &address, action]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let made = String::from_utf8(made.stdout).unwrap();
        let (id, secret) = made.trim().split_once(' ').unwrap();
        (id.to_owned(), secret.to_owned())
    }

    /// From now on requests must be signed, by somebody who may do what they ask for.
    pub fn enforce(&self) {
        assert!(self.ask("POST", "/moto-api/reset-auth", "0").starts_with("HTTP/1.1 20"));
    }

    /// The body of an answer to somebody who may do everything, as long as nothing is enforced.
    #[track_caller]
    pub fn request(&self, method: &str, path: &str) -> String {
        let answer = self.ask(method, path, "");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 20"), "{method} {path}: {answer}");
        body.to_owned()
    }

    pub fn put(&self, path: &str, body: &str) {
        let answer = self.ask("PUT", path, body);
        assert!(answer.starts_with("HTTP/1.1 20"), "PUT {path}: {answer}");
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\nConnection: close\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=me/20300101/us-east-1/s3/aws4_request, \
             SignedHeaders=host, Signature=00\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}
