//! `verify trust`: pins roots to names.

use serde::Serialize;
use tuf_core::TrustedRoot;

use crate::access::{ChosenRoot, absolute, state_dir};
use crate::args::{AddArgs, Format, TrustArgs, TrustCommand};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::pins::{Pin, Pins, check_name};
use crate::report::print_json;
use crate::style::{out, say, shown};

pub(crate) fn run(args: &TrustArgs) -> Result<Exit, Failure> {
    match &args.command {
        TrustCommand::Add(add) => pin(&Pins::of(&state_dir(&add.state)?), add),
        TrustCommand::List { format, state } => list(&Pins::of(&state_dir(state)?), *format),
        TrustCommand::Show { name, format, state } => show(&Pins::of(&state_dir(state)?), name, *format),
        TrustCommand::Remove { name, state } => {
            let pins = Pins::of(&state_dir(state)?);
            pins.remove(&existing(&pins, name)?)?;
            say!("removed {name}");
            Ok(Exit::Trusted)
        }
    }
}

fn pin(pins: &Pins, args: &AddArgs) -> Result<Exit, Failure> {
    let AddArgs { name, scope, root, replace, access, .. } = args;
    check_name(name)?;
    scope.iter().try_for_each(|pattern| check_scope(pattern))?;
    if root.trust_on_first_use {
        let hint = "give --root FILE or --root-sha256 HEX; first use is an option of `verify image`";
        return Err(Failure::usage("a pin needs a root that its owner gave you").hint(hint));
    }
    if pins.find(name)?.is_some() && !*replace {
        let what = format!("there is a pin {name:?} already");
        return Err(Failure::usage(what).hint("choose another name, or add --replace"));
    }
    for other in pins.all()?.into_iter().filter(|other| other.name != *name) {
        if let Some(same) = scope.iter().find(|pattern| other.scope.contains(pattern)) {
            let what = format!("pin {:?} speaks for {same} already", other.name);
            return Err(Failure::usage(what).hint("remove it first, or narrow the scope"));
        }
    }
    let chosen = ChosenRoot::given(root, access, false)?;
    let pin = Pin {
        name: name.clone(),
        scope: scope.clone(),
        repo: absolute(&chosen.repo),
        root_sha256: chosen.sha256.clone(),
        origin: chosen.origin.to_owned(),
    };
    pins.add(&pin, &chosen.bytes)?;
    say!("pinned {name}: root sha256:{} speaks for {}", pin.root_sha256, pin.scope.join(", "));
    Ok(Exit::Trusted)
}

fn check_scope(pattern: &str) -> Result<(), Failure> {
    let stem = pattern.strip_suffix("/**").unwrap_or(pattern);
    let what = match stem {
        "" | "*" | "**" => "a scope must name at least a registry",
        _ if stem.contains("**") => "** may only stand at the end, after a /",
        _ if stem.contains([':', '@']) && !stem.split('/').next().is_some_and(|host| host.contains(':')) => {
            "a scope names repositories, without tag or digest"
        }
        _ => return Ok(()),
    };
    let hint = "such as 'registry.example.com/acme/*' or 'registry.example.com/acme/**'";
    Err(Failure::usage(format!("scope {pattern:?}: {what}")).hint(hint))
}

fn existing(pins: &Pins, name: &str) -> Result<Pin, Failure> {
    check_name(name)?;
    pins.find(name)?.ok_or_else(|| {
        Failure::usage(format!("there is no pin {name:?}")).hint("`verify trust list` shows them")
    })
}

/// A pin as JSON. Schema: `docs/schema/verify-trust.json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct PinReport {
    /// The name of the pin.
    name: String,
    /// The names it speaks for.
    scope: Vec<String>,
    /// Where its repository is.
    repo: String,
    /// The fingerprint of its root.
    root_sha256: String,
    /// How the root was come by.
    origin: String,
    /// The version of its root.
    root_version: u64,
}

/// The answer of `verify trust list` and `show`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct PinsReport {
    /// The version of this form.
    version: u32,
    /// The pins, by name.
    pins: Vec<PinReport>,
}

fn pin_report(pins: &Pins, pin: Pin) -> Result<PinReport, Failure> {
    let root = pins.root(&pin)?;
    let root = TrustedRoot::bootstrap(&root, chrono::DateTime::UNIX_EPOCH, tuf_core::crypto::default())
        .map_err(|refusal| {
            Failure::refused(format!("pin {:?}: {}", pin.name, shown(&refusal.to_string())))
        })?;
    let Pin { name, scope, repo, root_sha256, origin } = pin;
    Ok(PinReport { name, scope, repo, root_sha256, origin, root_version: root.version() })
}

fn list(pins: &Pins, format: Format) -> Result<Exit, Failure> {
    let all = pins.all()?.into_iter().map(|pin| pin_report(pins, pin)).collect::<Result<Vec<_>, _>>()?;
    match format {
        Format::Json => print_json(&PinsReport { version: 1, pins: all }),
        Format::Text if all.is_empty() => say!("no pins yet: `verify trust add` makes one"),
        Format::Text => {
            for pin in all {
                out!("{:<20} {:<40} {}", pin.name, pin.scope.join(", "), pin.repo);
            }
        }
    }
    Ok(Exit::Trusted)
}

fn show(pins: &Pins, name: &str, format: Format) -> Result<Exit, Failure> {
    let report = pin_report(pins, existing(pins, name)?)?;
    match format {
        Format::Json => print_json(&PinsReport { version: 1, pins: vec![report] }),
        Format::Text => {
            out!("name     {}", report.name);
            out!("scope    {}", report.scope.join(", "));
            out!("repo     {}", report.repo);
            out!("root     sha256:{}, version {}", report.root_sha256, report.root_version);
            out!("origin   {}", report.origin);
        }
    }
    Ok(Exit::Trusted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_in_docs_is_that_of_the_report() {
        crate::report::tests::schema_is_kept("verify-trust", &schemars::schema_for!(PinsReport));
    }

    #[test]
    fn a_scope_names_repositories() {
        for good in ["registry.example.com/acme/*", "127.0.0.1:5000/**", "docker.io/library/nginx"] {
            assert!(check_scope(good).is_ok(), "{good}");
        }
        for bad in ["", "*", "**", "/**", "a/**/b", "docker.io/library/nginx:1"] {
            assert!(check_scope(bad).is_err(), "{bad}");
        }
    }
}
