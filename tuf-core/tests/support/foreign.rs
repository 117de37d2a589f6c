//! Keys and signatures made by the `openssl` program: what our own signer makes proves only that we agree
//! with ourselves.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tuf_core::authoring::Document;
use tuf_core::hash::hex;

use super::Repository;

fn openssl(folder: &Path, arguments: &str) {
    let command = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap();
    assert!(command.status.success(), "{arguments}: {}", String::from_utf8_lossy(&command.stderr));
}

/// Says so where the `openssl` program is absent, and the test then proves nothing.
pub fn without_openssl() -> bool {
    let absent = Command::new("openssl").arg("version").output().is_err();
    if absent {
        // Past the capture of the test harness.
        let _ = writeln!(std::io::stderr(), "SKIPPED: there is no openssl program here");
        let required = std::env::var_os("HALLMARK_NO_SKIPS").is_some_and(|value| value == "1");
        assert!(!required, "HALLMARK_NO_SKIPS is set, and there is no openssl");
    }
    absent
}

/// A key and signatures made by openssl, in a folder of their own.
pub struct Foreign {
    folder: tempfile::TempDir,
    pub pem: String,
}

impl Foreign {
    pub fn new(algorithm: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        openssl(folder.path(), &format!("genpkey {algorithm} -out key.pem"));
        openssl(folder.path(), "pkey -in key.pem -pubout -out public.pem");
        let pem = std::fs::read_to_string(folder.path().join("public.pem")).unwrap();
        Self { folder, pem }
    }

    /// The uncompressed point: the last bytes of the SubjectPublicKeyInfo.
    pub fn point(&self, length: usize) -> String {
        openssl(self.folder.path(), "pkey -in key.pem -pubout -outform DER -out public.der");
        let der = std::fs::read(self.folder.path().join("public.der")).unwrap();
        hex(&der[der.len() - length..])
    }

    pub fn sign(&self, message: &[u8], options: &str) -> String {
        std::fs::write(self.folder.path().join("message"), message).unwrap();
        openssl(self.folder.path(), &format!("dgst {options} -sign key.pem -out signature message"));
        hex(&std::fs::read(self.folder.path().join("signature")).unwrap())
    }

    /// Ed25519 signs the message itself, not a hash of it.
    pub fn sign_raw(&self, message: &[u8]) -> String {
        std::fs::write(self.folder.path().join("message"), message).unwrap();
        openssl(self.folder.path(), "pkeyutl -sign -inkey key.pem -rawin -in message -out signature");
        hex(&std::fs::read(self.folder.path().join("signature")).unwrap())
    }

    /// The public key in another form: what `openssl` is asked to write.
    pub fn converted(&self, arguments: &str) -> String {
        openssl(self.folder.path(), &format!("{arguments} -out converted"));
        std::fs::read_to_string(self.folder.path().join("converted")).unwrap()
    }

    /// KEY of section 4.2.1.
    pub fn key(kind: (&str, &str), public: &str) -> Value {
        json!({ "keytype": kind.0, "scheme": kind.1, "keyval": { "public": public } })
    }

    /// A root that only this key signs.
    pub fn root(&self, kind: (&str, &str), public: &str, options: &str) -> Document {
        let mut root = Repository::new().root;
        root.signed_mut()["keys"]["foreign"] = Self::key(kind, public);
        root.signed_mut()["roles"]["root"]["keyids"] = json!(["foreign"]);
        let signature = self.sign(&root.canonical().unwrap(), options);
        root.add_signature("foreign", &signature);
        root
    }
}
