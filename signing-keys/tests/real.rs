//! Real holders of keys: SoftHSM, OpenSSH's agent, a program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread::sleep;
use std::time::{Duration, Instant};

use signing_keys::{Around, Ask, KeyUri, Secret, Why, open, public};
use tempfile::TempDir;
use tuf_core::authoring::Document;
use tuf_core::crypto;

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const PIN: &str = "5678";

/// A module reads its configuration from the environment of the process, and is one for all threads.
static TOKEN: Mutex<()> = Mutex::new(());

/// Answers with these, one after the other.
struct Pins(Vec<&'static str>);

impl Ask for Pins {
    fn secret(&mut self, _: &str, _: bool) -> Result<Secret, String> {
        self.0.pop().map(|pin| pin.to_owned().into()).ok_or_else(|| "nobody is there".to_owned())
    }
}

fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn there(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    let found = found.is_ok_and(|output| output.status.success());
    if !found {
        assert!(env::var_os("HALLMARK_NO_SKIPS").is_none(), "no {program}");
        eprintln!("SKIPPED: no {program}: install softhsm2, opensc and openssh-client");
    }
    found
}

/// Signs a document, which checks the signature, and says what the key is.
#[track_caller]
fn signs(uri: &KeyUri, around: &Around, pins: Vec<&'static str>) -> String {
    let key = open(uri, around, &mut Pins(pins)).unwrap();
    let mut document = Document::targets(chrono_free_time());
    document.sign(key.as_ref(), crypto::default()).unwrap();
    key.key().scheme.clone()
}

fn chrono_free_time() -> tuf_core::Instant {
    "2030-01-01T00:00:00Z".parse().unwrap()
}

/// A token in a folder of its own. The child process of each test reads where it is.
fn token(folder: &Path) {
    fs::create_dir(folder.join("tokens")).unwrap();
    let config = folder.join("softhsm2.conf");
    fs::write(
        &config,
        format!("directories.tokendir = {}\nlog.level = ERROR\n", folder.join("tokens").display()),
    )
    .unwrap();
    let tool = |arguments: &[&str]| {
        run(Command::new("pkcs11-tool")
            .env("SOFTHSM2_CONF", &config)
            .args(["--module", MODULE])
            .args(arguments))
    };
    run(Command::new("softhsm2-util").env("SOFTHSM2_CONF", &config).args([
        "--init-token",
        "--free",
        "--label",
        "tuf",
        "--so-pin",
        "1234",
        "--pin",
        PIN,
    ]));
    for (id, label, kind) in [
        ("01", "p256", "EC:prime256v1"),
        ("02", "p384", "EC:secp384r1"),
        ("03", "ed", "EC:edwards25519"),
        ("04", "rsa", "rsa:2048"),
        ("05", "other", "EC:secp521r1"),
    ] {
        tool(&["--login", "--pin", PIN, "--keypairgen", "--key-type", kind, "--id", id, "--label", label]);
    }
}

/// This test again, in a process whose environment names the token.
fn in_a_process_with(folder: &Path, test: &str) {
    let mut again = Command::new(env::current_exe().unwrap());
    again.args(["--exact", test, "--nocapture"]).env("SOFTHSM2_CONF", folder.join("softhsm2.conf"));
    let output = again.env("HALLMARK_TOKEN", folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_token_signs_with_every_kind_of_key() {
    if !there("softhsm2-util") || !there("pkcs11-tool") {
        return;
    }
    let Some(folder) = env::var_os("HALLMARK_TOKEN") else {
        let folder = tempfile::tempdir().unwrap();
        token(folder.path());
        return in_a_process_with(folder.path(), "a_token_signs_with_every_kind_of_key");
    };
    let _one = TOKEN.lock().unwrap();
    let around = Around { module: Some(MODULE.into()), ..Around::default() };
    let uri = |object: &str| format!("pkcs11:token=tuf;object={object}").parse::<KeyUri>().unwrap();
    for (object, scheme) in [
        ("p256", "ecdsa-sha2-nistp256"),
        ("p384", "ecdsa-sha2-nistp384"),
        ("ed", "ed25519"),
        ("rsa", "rsassa-pss-sha256"),
    ] {
        assert_eq!(signs(&uri(object), &around, vec![PIN]), scheme);
    }
    // The public half shows without a PIN; the number of the slot may be part of the address.
    let shown = public(&uri("p256"), &around).unwrap().unwrap();
    assert_eq!(&shown, open(&uri("p256"), &around, &mut Pins(vec![PIN])).unwrap().key());
    assert_eq!(public(&uri("nothing"), &around).unwrap(), None);
    let elsewhere = "pkcs11:slot-id=99;object=p256".parse().unwrap();
    assert!(matches!(public(&elsewhere, &around).unwrap_err().why, Why::Missing(_)));
    // By id, with the module in the URI and the PIN in a file.
    let pin = Path::new(&folder).join("pin");
    fs::write(&pin, format!("{PIN}\n")).unwrap();
    let by_id = format!("pkcs11:token=tuf;id=%01?module-path={MODULE}&pin-source={}", pin.display());
    assert_eq!(signs(&by_id.parse().unwrap(), &Around::default(), vec![]), "ecdsa-sha2-nistp256");

    let refused = |uri: &KeyUri, around: &Around, pins| match open(uri, around, &mut Pins(pins)) {
        Ok(key) => panic!("opened {:?}", key.key()),
        Err(error) => error,
    };
    assert!(matches!(refused(&uri("other"), &around, vec![PIN]).why, Why::Kind(_)));
    assert!(matches!(refused(&uri("nothing"), &around, vec![PIN]).why, Why::Missing(_)));
    let error = refused(&"pkcs11:token=away;object=p256".parse().unwrap(), &around, vec![PIN]);
    assert!(error.to_string().contains("expected token away, got tuf"), "{error}");
    let error = refused(&uri("p256"), &Around::default(), vec![PIN]);
    assert!(error.to_string().contains("no PKCS#11 module"), "{error}");
    let nowhere = Around { module: Some("/nowhere.so".into()), ..Around::default() };
    assert!(matches!(refused(&uri("p256"), &nowhere, vec![PIN]).why, Why::Missing(_)));
}

#[test]
fn a_wrong_pin_is_tried_once_and_said() {
    if !there("softhsm2-util") || !there("pkcs11-tool") {
        return;
    }
    if env::var_os("HALLMARK_TOKEN").is_none() {
        let folder = tempfile::tempdir().unwrap();
        token(folder.path());
        return in_a_process_with(folder.path(), "a_wrong_pin_is_tried_once_and_said");
    }
    let around = Around { module: Some(MODULE.into()), ..Around::default() };
    let uri: KeyUri = "pkcs11:token=tuf;object=p256".parse().unwrap();
    // Were there a second try, it would take the right one.
    let Err(error) = open(&uri, &around, &mut Pins(vec![PIN, "0000"])) else { panic!("opened") };
    assert!(matches!(error.why, Why::WrongSecret { .. }), "{error}");
    assert!(!error.to_string().contains("0000"), "{error}");
    let Err(error) = open(&uri, &around, &mut Pins(vec![])) else { panic!("opened") };
    assert!(matches!(error.why, Why::NoSecret(_)), "{error}");
}

/// An agent of our own, ended by its pid.
struct Agent {
    child: std::process::Child,
    folder: TempDir,
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Agent {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let child =
            Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().unwrap();
        let agent = Self { child, folder };
        let began = Instant::now();
        while !socket.exists() {
            assert!(began.elapsed() < Duration::from_secs(10), "the agent didn't start");
            sleep(Duration::from_millis(20));
        }
        agent
    }

    fn around(&self) -> Around {
        Around { agent_socket: Some(self.folder.path().join("socket")), ..Around::default() }
    }

    fn add(&self, name: &str, kind: &[&str]) -> PathBuf {
        let file = self.folder.path().join(name);
        run(Command::new("ssh-keygen")
            .args(["-q", "-N", "", "-C", name, "-f"])
            .arg(&file)
            .arg("-t")
            .args(kind));
        run(Command::new("ssh-add").arg(&file).env("SSH_AUTH_SOCK", self.folder.path().join("socket")));
        file
    }
}

#[test]
fn an_ssh_agent_signs_with_its_keys() {
    if !there("ssh-agent") {
        return;
    }
    let agent = Agent::start();
    let file = agent.add("ed", &["ed25519"]);
    agent.add("p256", &["ecdsa", "-b", "256"]);
    agent.add("p384", &["ecdsa", "-b", "384"]);
    agent.add("old", &["rsa", "-b", "2048"]);
    for (name, scheme) in
        [("ed", "ed25519"), ("p256", "ecdsa-sha2-nistp256"), ("p384", "ecdsa-sha2-nistp384")]
    {
        // Some lengths of numbers come up only now and then.
        for _ in 0..8 {
            assert_eq!(signs(&format!("ssh-agent:{name}").parse().unwrap(), &agent.around(), vec![]), scheme);
        }
    }
    let said = run(Command::new("ssh-keygen").arg("-lf").arg(&file));
    let fingerprint = said.split(' ').nth(1).unwrap();
    assert_eq!(
        signs(&format!("ssh-agent:{fingerprint}").parse().unwrap(), &agent.around(), vec![]),
        "ed25519"
    );

    let refused = |wanted: &str, around: &Around| {
        open(&format!("ssh-agent:{wanted}").parse().unwrap(), around, &mut Pins(vec![]))
            .err()
            .unwrap()
            .to_string()
    };
    assert!(refused("old", &agent.around()).contains("got ssh-rsa"));
    assert!(refused("nobody", &agent.around()).contains(fingerprint), "what it has is said");
    assert!(refused("ed", &Around::default()).contains("SSH_AUTH_SOCK names none"));
    let gone = Around { agent_socket: Some("/nowhere".into()), ..Around::default() };
    assert!(refused("ed", &gone).contains("/nowhere"));
}

fn script(folder: &Path, text: &str) -> KeyUri {
    let path = folder.join("signer.sh");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    format!("exec:{}?arg=one%20two", path.display()).parse().unwrap()
}

/// A signer in a few lines of shell around openssl, as somebody may write for their cloud.
const OPENSSL: &str = r#"#!/bin/sh
set -e
cd "$(dirname "$0")"
[ "$1" = "one two" ] || { echo "expected one argument with a space" >&2; exit 1; }
question=$(cat)
case "$question" in
*public-key*)
    openssl pkey -in key.pem -pubout -out key.pub
    printf '{"public_key": "%s"}' "$(awk '{printf "%s\\n", $0}' key.pub)" ;;
*)
    printf %s "$question" | sed 's/.*"message":"\([^"]*\)".*/\1/' | openssl base64 -d -A > message
    openssl dgst -sha256 -sign key.pem -out signature message
    printf '{"signature": "%s"}' "$(openssl base64 -A -in signature)" ;;
esac
"#;

#[test]
fn a_program_signs() {
    let folder = tempfile::tempdir().unwrap();
    run(Command::new("openssl")
        .args(["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key.pem"])
        .current_dir(folder.path()));
    let uri = script(folder.path(), OPENSSL);
    assert_eq!(signs(&uri, &Around::default(), vec![]), "ecdsa-sha2-nistp256");
}

#[test]
fn a_program_that_never_answers_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let uri = script(folder.path(), "#!/bin/sh\nexec sleep 600\n");
    let around = Around { patience: Some(Duration::from_millis(300)), ..Around::default() };
    let began = Instant::now();
    let error = open(&uri, &around, &mut Pins(vec![])).err().unwrap().to_string();
    assert!(error.contains("no answer within"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_program_that_answers_badly_is_refused() {
    for (text, said) in [
        ("#!/bin/sh\nexit 3\n", "ended with exit status: 3"),
        ("#!/bin/sh\necho hello\n", "expected {\"public_key\": PEM}"),
        ("#!/bin/sh\necho '{\"public_key\": \"hello\"}'\n", "not a PEM"),
        ("#!/bin/sh\nhead -c 100000 /dev/zero\n", "expected at most 65536 bytes"),
        // It goes away, and what it started keeps its output open.
        ("#!/bin/sh\nsleep 30 &\necho '{}'\n", "its output never ended"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let uri = script(folder.path(), text);
        let error = open(&uri, &Around::default(), &mut Pins(vec![])).err().unwrap().to_string();
        assert!(error.contains(said), "expected {said:?} in {error}");
    }
    let error = open(&"exec:/nowhere".parse().unwrap(), &Around::default(), &mut Pins(vec![])).err().unwrap();
    assert!(error.to_string().contains("/nowhere"), "{error}");
}
