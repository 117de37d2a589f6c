//! `verify config`: the policy files of other clients, so that they refuse what isn't signed.

mod cluster;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use oci_image::Reference;
use serde_json::{Value, json};

use crate::commands::doctor::line;
use crate::config_args::{ConfigArgs, ConfigClient, OutArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use crate::style::{out, say, shown};

/// The largest key or certificate, in bytes.
const FILE_MAX: u64 = 256 * 1024;

/// Files to be written: their place in the folder, and what is in them.
type Files = Vec<(PathBuf, Vec<u8>)>;

pub(crate) fn run(args: &ConfigArgs) -> Result<Exit, Failure> {
    match &args.client {
        ConfigClient::Podman { name, keys, out } => {
            write(&podman(name, keys, out)?, out)?;
            say!("podman, skopeo and buildah read them in /etc/containers and in ~/.config/containers");
        }
        ConfigClient::Notation { name, certificates, identities, out } => {
            write(&notation(name, certificates, identities)?, out)?;
            say!("notation reads them in ~/.config/notation");
        }
        ConfigClient::Cosign { image, keys, identities, issuers } => {
            cosign(image, keys, identities, issuers)?.iter().for_each(|words| out!("{}", line(words)));
        }
        ConfigClient::PolicyController { signed, out } => {
            write(&cluster::policy_controller(signed)?, out)?;
            say!(
                "`kubectl apply -f` them; it looks at namespaces that are labelled policy.sigstore.dev/include=true"
            );
        }
        ConfigClient::Kyverno { signed, out } => {
            write(&cluster::kyverno(signed)?, out)?;
            say!("`kubectl apply -f` it");
        }
    }
    Ok(Exit::Trusted)
}

/// containers-policy.json(5) and containers-registries.d(5).
fn podman(name: &str, keys: &[PathBuf], out: &OutArgs) -> Result<Files, Failure> {
    let scope = expect_name(name, true)?;
    let folder = std::path::absolute(&out.out).map_err(|error| unwritable(&out.out, &error))?;
    let (mut written, mut demands) = (Files::new(), Vec::new());
    for key in keys {
        let pem = public_key(key)?.into_bytes();
        let copy = Path::new("keys").join(file_name(key)?);
        if written.iter().any(|(path, _)| *path == copy) {
            return Err(Failure::usage(format!(
                "expected keys of different names, got two {}",
                copy.display()
            )));
        }
        demands.push(json!({
            "type": "sigstoreSigned",
            "keyPath": folder.join(&copy),
            "signedIdentity": { "type": "matchRepository" },
        }));
        written.push((copy, pem));
    }
    let policy = json!({
        "default": [{ "type": "reject" }],
        "transports": { "docker": { (scope.clone()): demands } },
    });
    written.push(("policy.json".into(), pretty(&policy)));
    // A name has no character that YAML would take for more than text.
    let attachments = format!("docker:\n  {scope}:\n    use-sigstore-attachments: true\n");
    let called: String = scope.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    written.push((Path::new("registries.d").join(format!("{called}.yaml")), attachments.into_bytes()));
    Ok(written)
}

/// A public key that can be read, as it stands in its file.
fn public_key(file: &Path) -> Result<String, Failure> {
    let pem = files::bytes(file, FILE_MAX)?;
    let text = String::from_utf8(pem).unwrap_or_default();
    match tuf_core::key::Key::from_pem(&text).and_then(|key| key.material()) {
        Ok(_) => Ok(text),
        Err(_) => {
            let what = format!("expected a public key (PEM) in {}, got something else", file.display());
            Err(Failure::usage(what).hint("`openssl pkey -in private.pem -pubout` writes the public half"))
        }
    }
}

/// The commands by which cosign verifies, one for each who must have signed.
fn cosign(
    image: &Reference,
    keys: &[PathBuf],
    identities: &[String],
    issuers: &[String],
) -> Result<Vec<Vec<String>>, Failure> {
    if identities.len() != issuers.len() {
        let what = format!(
            "expected an --issuer for each --identity, got {} for {}",
            issuers.len(),
            identities.len()
        );
        return Err(Failure::usage(what));
    }
    let mut commands = Vec::new();
    for key in keys {
        public_key(key)?;
        commands.push(cosign_by_key(&key.display().to_string(), image));
    }
    let pairs = identities.iter().zip(issuers);
    commands.extend(pairs.map(|(identity, issuer)| cosign_by_identity(identity, issuer, image)));
    Ok(commands)
}

/// Without a log: by a key there is none to ask, unless its signer put an entry into one.
pub(crate) fn cosign_by_key(key: &str, image: &Reference) -> Vec<String> {
    let words = ["cosign", "verify", "--key", key, "--insecure-ignore-tlog=true"].map(str::to_owned);
    words.into_iter().chain([image.to_string()]).collect()
}

/// Keyless: the log is what it is believed by.
pub(crate) fn cosign_by_identity(identity: &str, issuer: &str, image: &Reference) -> Vec<String> {
    let words = ["cosign", "verify", "--certificate-identity", identity, "--certificate-oidc-issuer", issuer];
    words.map(str::to_owned).into_iter().chain([image.to_string()]).collect()
}

/// notation's trust policy, version 1.0.
fn notation(name: &str, certificates: &[PathBuf], identities: &[String]) -> Result<Files, Failure> {
    let scope = expect_name(name, false)?;
    if let Some(identity) = identities.iter().find(|identity| !identity.starts_with("x509.subject:")) {
        let what = format!("expected an identity that begins with x509.subject:, got {:?}", shown(identity));
        return Err(Failure::usage(what));
    }
    let store: String = scope.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let policy = json!({ "version": "1.0", "trustPolicies": [{
        "name": store,
        "registryScopes": [scope],
        "signatureVerification": { "level": "strict" },
        "trustStores": [format!("ca:{store}")],
        "trustedIdentities": identities,
    }] });
    let mut written: Files = vec![("trustpolicy.json".into(), pretty(&policy))];
    for certificate in certificates {
        let pem = files::bytes(certificate, FILE_MAX)?;
        if !pem.windows(27).any(|window| window == b"-----BEGIN CERTIFICATE-----") {
            let what =
                format!("expected a certificate (PEM) in {}, got something else", certificate.display());
            return Err(Failure::usage(what));
        }
        let place = Path::new("truststore/x509/ca").join(&store).join(file_name(certificate)?);
        if written.iter().any(|(path, _)| *path == place) {
            return Err(Failure::usage(format!(
                "expected certificates of different names, got two {}",
                place.display()
            )));
        }
        written.push((place, pem));
    }
    Ok(written)
}

/// A name as these clients write it: in full, and without tag. `is_start`: what names begin with will do.
fn expect_name(name: &str, is_start: bool) -> Result<String, Failure> {
    let whole = |text: &str| {
        let parsed = text.parse::<Reference>().ok()?;
        (parsed.name().to_string() == text).then_some(())
    };
    let fits = whole(name).is_some() || (is_start && whole(&format!("{name}/some/name")).is_some());
    if !fits {
        let what = format!(
            "expected a name in full and without tag, such as registry.example.com/acme/web, got {:?}",
            shown(name)
        );
        return Err(Failure::usage(what));
    }
    Ok(name.to_owned())
}

fn file_name(path: &Path) -> Result<PathBuf, Failure> {
    let name = path.file_name().map(PathBuf::from);
    name.ok_or_else(|| Failure::usage(format!("expected a file, got {}", path.display())))
}

fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

fn unwritable(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::unknown(format!("could not write {}: {error}", path.display()))
}

/// Writes all of them, each whole or not at all; nothing that is there is replaced unless that was asked for.
fn write(files: &Files, args: &OutArgs) -> Result<(), Failure> {
    let there: Vec<String> = files
        .iter()
        .map(|(path, _)| args.out.join(path))
        .filter(|path| path.symlink_metadata().is_ok())
        .map(|path| path.display().to_string())
        .collect();
    if !args.force && !there.is_empty() {
        let what = format!("there is already {}", there.join(", "));
        return Err(
            Failure::usage(what).hint("name another folder with --out and put them together, or add --force")
        );
    }
    for (path, bytes) in files {
        let path = args.out.join(path);
        let folder = path.parent().unwrap_or(&args.out);
        let written = fs::create_dir_all(folder).and_then(|()| {
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(bytes)?;
            // Others read it too: a client may run as another user.
            file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)
        });
        written.map_err(|error| unwritable(&path, &error))?;
        out!("{}", path.display());
    }
    Ok(())
}
