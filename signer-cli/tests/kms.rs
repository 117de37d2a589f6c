//! AWS KMS, as moto has it: which checks the signatures of requests and who may do what.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Desk, NAME, Said};
use test_repos::images::ImageBuilder;
use test_repos::registry::Registry;
use test_repos::tree::Tree;

fn python() -> OsString {
    env::var_os("HALLMARK_PYTHON").unwrap_or_else(|| "python3".into())
}

fn moto_is_there() -> bool {
    let found = Command::new(python()).args(["-c", "import moto.server, boto3"]).output();
    let found = found.is_ok_and(|output| output.status.success());
    if !found {
        assert!(env::var_os("HALLMARK_NO_SKIPS").is_none(), "no moto");
        eprintln!("SKIPPED: no moto: `pip install 'moto[server]'`; HALLMARK_PYTHON names a Python");
    }
    found
}

/// Makes keys, two users and their rights; then nothing is allowed that no policy allows. It prints what was
/// made as JSON.
const SET_UP: &str = r#"
import boto3, json, sys, urllib.request
address = sys.argv[1]
def client(name):
    return boto3.client(name, endpoint_url=address, region_name="eu-west-1",
                        aws_access_key_id="x", aws_secret_access_key="x")
kms, iam, made = client("kms"), client("iam"), {}
for name, spec, usage in [("p256", "ECC_NIST_P256", "SIGN_VERIFY"), ("p384", "ECC_NIST_P384", "SIGN_VERIFY"),
                          ("rsa", "RSA_2048", "SIGN_VERIFY"), ("other", "ECC_SECG_P256K1", "SIGN_VERIFY"),
                          ("rival", "ECC_NIST_P256", "SIGN_VERIFY")]:
    key = kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]
    kms.create_alias(AliasName="alias/" + name, TargetKeyId=key["KeyId"])
    made[name] = key
for user, action in [("publisher", "kms:*"), ("stranger", "s3:*")]:
    iam.create_user(UserName=user)
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}
    iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=user)["AccessKey"]
    made[user] = {"id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}
urllib.request.urlopen(urllib.request.Request(
    address + "/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"}))
print(json.dumps(made, default=str))
"#;

/// A server of our own, ended by its handle.
struct Moto {
    child: Child,
    host: String,
    made: Value,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Moto {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(python())
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut moto = Self { child, host: format!("127.0.0.1:{port}"), made: Value::Null };
        let began = Instant::now();
        while std::net::TcpStream::connect(&moto.host).is_err() {
            assert!(began.elapsed() < Duration::from_secs(60), "moto didn't start");
            sleep(Duration::from_millis(50));
        }
        let set_up = Command::new(python())
            .args(["-c", SET_UP])
            .arg(format!("http://{}", moto.host))
            .output()
            .unwrap();
        assert!(set_up.status.success(), "{}", String::from_utf8_lossy(&set_up.stderr));
        moto.made = serde_json::from_slice(&set_up.stdout).unwrap();
        moto
    }

    fn uri(&self, key: &str) -> String {
        format!("awskms://{}/alias/{key}?region=eu-west-1", self.host)
    }

    /// `signer`, with the keys of a user.
    fn signer(&self, desk: &Desk, user: &str, arguments: &[&str]) -> Said {
        let text = |name: &str| self.made[user][name].as_str().unwrap().to_owned();
        with_keys(desk, &text("id"), &text("secret"), arguments)
    }
}

fn with_keys(desk: &Desk, id: &str, secret: &str, arguments: &[&str]) -> Said {
    let mut command = desk.command(arguments);
    command.env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret).env_remove("AWS_SESSION_TOKEN");
    Said::of(&command.output().unwrap())
}

#[test]
fn keys_in_kms_sign_for_roles_and_what_goes_wrong_is_said() {
    if !moto_is_there() {
        return;
    }
    let moto = Moto::start();
    let desk = Desk::published();
    let digest = desk.trusted(NAME);
    for (key, role, scheme) in
        [("p256", "timestamp", "ecdsa-sha2-nistp256"), ("p384", "root", "ecdsa-sha2-nistp384")]
    {
        let said = moto.signer(&desk, "publisher", &["key", "import", key, &moto.uri(key)]).ok();
        assert!(said.stdout.contains(&format!("{scheme}, signs nothing, in awskms:")), "{}", said.stdout);
        desk.signer(&["role", "rotate", role, "--key", key]).ok();
    }
    moto.signer(&desk, "publisher", &["publish"]).ok();
    assert_eq!(desk.reader().find(NAME).map(|found| found.0), digest);
    // By ARN, the region is in it.
    let arn = format!("awskms://{}/{}", moto.host, moto.made["p256"]["Arn"].as_str().unwrap());
    moto.signer(&desk, "publisher", &["key", "import", "arn", &arn]).ok();

    let before = Tree::of(desk.path("")).unwrap();
    let import = |key: &str| moto.signer(&desk, "publisher", &["key", "import", "x", &moto.uri(key)]);
    import("other").failed(2, &["expected a key of Ed25519, ECDSA over P-256 or P-384, or RSA"]);
    import("nobody").failed(3, &["can't be reached", "the key service has no such key"]);
    moto.signer(&desk, "stranger", &["publish"]).failed(2, &["the key service refused"]);
    let id = moto.made["publisher"]["id"].as_str().unwrap();
    let said = with_keys(&desk, id, "wrong-secret", &["publish"]);
    assert!(!said.stderr.contains("wrong-secret"));
    said.failed(2, &["the key service refused"]);
    with_keys(&desk, "AKIANOBODY0000000000", "x", &["publish"]).failed(2, &["the key service refused"]);
    // No keys at all, and no region.
    let without = |remove: &str, uri: &str| {
        let mut command = desk.command(&["key", "import", "x", uri]);
        command.env("AWS_ACCESS_KEY_ID", "a").env("AWS_SECRET_ACCESS_KEY", "b");
        command.env_remove("AWS_REGION").env_remove("AWS_DEFAULT_REGION").env_remove(remove);
        Said::of(&command.output().unwrap())
    };
    without("AWS_ACCESS_KEY_ID", &moto.uri("p256")).failed(2, &["set AWS_ACCESS_KEY_ID"]);
    without("-", "awskms:///alias/x").failed(2, &["no region", "AWS_REGION"]);
    before.assert_unchanged();

    // The alias names another key now: nothing is signed with it.
    let uri = desk.path("trust/keys/p256.uri");
    fs::write(&uri, moto.uri("rival")).unwrap();
    let before = Tree::of(desk.path("trust/published")).unwrap();
    moto.signer(&desk, "publisher", &["publish"]).failed(1, &["names another key now"]);
    fs::write(&uri, moto.uri("p256")).unwrap();
    drop(moto);
    with_keys(&desk, "a", "b", &["publish"]).failed(3, &["can't be reached"]);
    before.assert_unchanged();
}

/// moto salts RSA-PSS with as many bytes as fit, where the real service takes as many as the hash has; TUF's
/// clients take only the latter. So such a signature must be caught before it is published.
#[test]
fn a_signature_that_clients_would_not_take_is_caught() {
    if !moto_is_there() {
        return;
    }
    let moto = Moto::start();
    let desk = Desk::published();
    moto.signer(&desk, "publisher", &["key", "import", "rsa", &moto.uri("rsa")]).ok();
    desk.signer(&["role", "rotate", "snapshot", "--key", "rsa"]).ok();
    let before = Tree::of(desk.path("trust/published")).unwrap();
    moto.signer(&desk, "publisher", &["publish"])
        .failed(1, &["made a signature that its own public half doesn't verify"]);
    before.assert_unchanged();
}

/// The schemes that cosign and podman read, of keys that the service has: its PKCS#1 is as the real one's.
#[test]
fn a_key_of_the_service_signs_for_other_tools() {
    if !moto_is_there() {
        return;
    }
    let (moto, registry) = (Moto::start(), Registry::start().unwrap());
    let desk = Desk::with_trust();
    for key in ["p256", "rsa"] {
        moto.signer(&desk, "publisher", &["key", "import", key, &moto.uri(key)]).ok();
        let image = ImageBuilder::new().file("content", key.as_bytes()).build().unwrap();
        let digest = image.push_to(&registry, "acme/web", key);
        let name = format!("{}/acme/web:{key}", registry.host());
        desk.signer(&["add", &name]).ok();
        let publish = ["publish", "--for", "cosign2,cosign3", "--for-key", key];
        moto.signer(&desk, "stranger", &publish).failed(2, &["the key service refused with status 403"]);
        assert_eq!(desk.trusted(&name), None);
        moto.signer(&desk, "publisher", &publish).ok();
        let tag = format!("{}.sig", digest.replace(':', "-"));
        assert!(registry.manifest("acme/web", &tag).is_some(), "{key}");
    }
}
