//! `signer`: publishers sign which image a tag means.
//!
//! Only here are the clock, the environment and the home directory read, and each once.

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use chrono::{SubsecRound as _, Utc};
use oci_image::CredentialPlaces;
use signer_cli::{KeyPlaces, Surroundings, run};
use tuf_core::Instant;
use zeroize::Zeroizing;

fn main() -> ExitCode {
    let value = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    let path = |name: &str| value(name).map(PathBuf::from);
    let around = Surroundings {
        now: now(),
        clock: now,
        passphrase: value("HALLMARK_PASSPHRASE").map(|text| Zeroizing::new(text.into_encoded_bytes())),
        pin: value("HALLMARK_PIN").map(|text| Zeroizing::new(text.into_encoded_bytes())),
        elsewhere: KeyPlaces {
            agent_socket: path("SSH_AUTH_SOCK"),
            module: path("PKCS11_MODULE_PATH"),
            ..KeyPlaces::default()
        },
        credentials: CredentialPlaces {
            authfile: path("REGISTRY_AUTH_FILE"),
            docker_config: path("DOCKER_CONFIG"),
            runtime_dir: path("XDG_RUNTIME_DIR"),
            home: path("HOME"),
        },
        publish_to: None,
        aws: signer_cli::aws_keys(|name| value(name)?.into_string().ok()),
        colour: value("NO_COLOR").is_none(),
    };
    run(env::args_os(), around).into()
}

/// Metadata speaks in seconds.
fn now() -> Instant {
    Utc::now().trunc_subsecs(0)
}
