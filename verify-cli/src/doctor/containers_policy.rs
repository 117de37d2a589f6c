//! containers-policy.json(5): which rules hold for an image, as containers/image reads them
//! (`signature/policy_config.go`, `docker/policyconfiguration/naming.go`). It reads strictly: a member that it
//! doesn't know ends it.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci_image::{ImageName, Reference};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Key;
use crate::failure::Failure;
use crate::files;

/// The largest policy, in bytes. Real ones have some kilobytes.
const FILE_MAX: u64 = 1024 * 1024;

/// The most keys of one requirement: each is tried on each signature.
const KEYS_MAX: usize = 100;

/// A policy that could be read.
#[derive(Debug)]
pub(crate) struct ContainersPolicy {
    default: Vec<Requirement>,
    /// Requirements by scope, of the transport `docker`.
    docker: BTreeMap<String, Vec<Requirement>>,
}

/// What must hold; all of a list.
#[derive(Debug)]
pub(crate) enum Requirement {
    AcceptAnything,
    Reject,
    /// A kind that isn't read here.
    Unread(String),
    /// A signature in cosign's form.
    Sigstore(Sigstore),
}

/// That one of these keys signed.
#[derive(Debug)]
pub(crate) struct Sigstore {
    /// An error for a key that the client couldn't read either.
    pub(crate) keys: Result<Vec<Key>, String>,
    /// Whether the signature must be in a log, or by a certificate: what isn't read here.
    pub(crate) unread: Option<&'static str>,
    /// Whether a log must know of it.
    pub(crate) log: bool,
    pub(crate) identity: Match,
}

/// Which name must have been signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Match {
    Exact,
    RepoDigestOrExact,
    Repository,
    ExactReference(String),
    ExactRepository(String),
    Remap { prefix: String, signed: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    default: Vec<Map<String, Value>>,
    #[serde(default)]
    transports: BTreeMap<String, BTreeMap<String, Vec<Map<String, Value>>>>,
}

impl ContainersPolicy {
    pub(crate) fn read(file: &Path) -> Result<Self, Failure> {
        let text = files::text(file, FILE_MAX)?;
        Self::parse(&text).map_err(|why| files::unusable(file, &why))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let wire: Wire = serde_json::from_str(text).map_err(|why| why.to_string())?;
        let read =
            |all: Vec<Map<String, Value>>| all.into_iter().map(requirement).collect::<Result<Vec<_>, _>>();
        let docker = wire.transports.into_iter().find(|(name, _)| name == "docker");
        let scopes = docker.map(|(_, scopes)| scopes).unwrap_or_default();
        let docker = scopes.into_iter().map(|(scope, all)| Ok((scope, read(all)?)));
        Ok(Self { default: read(wire.default)?, docker: docker.collect::<Result<_, String>>()? })
    }

    /// The scope that decides about the image, and what it demands.
    pub(crate) fn requirements(&self, image: &Reference) -> (&str, &[Requirement]) {
        let scopes = scopes(image);
        let found = scopes.iter().find_map(|scope| self.docker.get_key_value(scope.as_str()));
        match found.or_else(|| self.docker.get_key_value("")) {
            Some((scope, all)) => (scope, all),
            None => ("default", &self.default),
        }
    }
}

/// The scopes that an image may be in, the narrowest first.
fn scopes(image: &Reference) -> Vec<String> {
    let name = image.name().to_string();
    let mut scopes = vec![match (image.digest(), image.tag()) {
        (Some(digest), _) => format!("{name}@{digest}"),
        (None, Some(tag)) => format!("{name}:{tag}"),
        (None, None) => name.clone(),
    }];
    let mut rest = name.as_str();
    scopes.push(rest.to_owned());
    while let Some((start, _)) = rest.rsplit_once('/') {
        rest = start;
        scopes.push(rest.to_owned());
    }
    let mut host = rest.split_once(':').map_or(rest, |(host, _)| host);
    while let Some((_, end)) = host.split_once('.') {
        host = end;
        scopes.push(format!("*.{host}"));
    }
    scopes
}

fn requirement(mut wire: Map<String, Value>) -> Result<Requirement, String> {
    let kind = text(&mut wire, "type")?.ok_or("expected a requirement with a type, got none")?;
    let requirement = match kind.as_str() {
        "insecureAcceptAnything" => Requirement::AcceptAnything,
        "reject" => Requirement::Reject,
        "sigstoreSigned" => Requirement::Sigstore(sigstore(&mut wire)?),
        "signedBy" | "signedBaseLayer" => return Ok(Requirement::Unread(kind)),
        other => return Err(format!("expected a type of requirement, got {other:?}")),
    };
    expect_nothing(&wire, &kind)?;
    Ok(requirement)
}

fn expect_nothing(wire: &Map<String, Value>, of: &str) -> Result<(), String> {
    match wire.keys().next() {
        None => Ok(()),
        Some(unknown) => Err(format!("expected members of {of}, got {unknown:?}")),
    }
}

/// A member that is a text.
fn text(wire: &mut Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    match wire.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(format!("expected a text as {name}, got {other}")),
    }
}

/// A member that is a list of texts.
fn texts(wire: &mut Map<String, Value>, name: &str) -> Result<Option<Vec<String>>, String> {
    let Some(list) = wire.remove(name) else { return Ok(None) };
    let list = serde_json::from_value::<Vec<String>>(list).map_err(|why| format!("{name}: {why}"))?;
    match list.len() {
        1..=KEYS_MAX => Ok(Some(list)),
        got => Err(format!("expected 1 to {KEYS_MAX} of {name}, got {got}")),
    }
}

/// One of `NAMEPath`, `NAMEPaths`, `NAMEData`, `NAMEDatas`; none where there is none.
fn keys(wire: &mut Map<String, Value>, name: &str) -> Result<Option<Result<Vec<Key>, String>>, String> {
    let paths =
        [text(wire, &format!("{name}Path"))?.map(|one| vec![one]), texts(wire, &format!("{name}Paths"))?];
    let data =
        [text(wire, &format!("{name}Data"))?.map(|one| vec![one]), texts(wire, &format!("{name}Datas"))?];
    let given: Vec<_> =
        paths.into_iter().map(|one| (true, one)).chain(data.into_iter().map(|one| (false, one))).collect();
    let mut given = given.into_iter().filter_map(|(is_path, list)| Some((is_path, list?)));
    let Some((is_path, list)) = given.next() else { return Ok(None) };
    if given.next().is_some() {
        return Err(format!("expected one of {name}Path, {name}Paths, {name}Data, {name}Datas, got several"));
    }
    let read = |one: &String| match is_path {
        true => Key::read(Path::new(one)).map_err(|why| why.what().to_owned()),
        false => {
            let pem = STANDARD.decode(one).map_err(|why| format!("{name}Data: {why}"))?;
            let pem = String::from_utf8(pem).map_err(|why| format!("{name}Data: {why}"))?;
            Key::from_pem(&format!("{name}Data"), &pem).map_err(|why| why.what().to_owned())
        }
    };
    Ok(Some(list.iter().map(read).collect()))
}

fn sigstore(wire: &mut Map<String, Value>) -> Result<Sigstore, String> {
    let own = keys(wire, "key")?;
    let log =
        ["Path", "Paths", "Data", "Datas"].map(|end| wire.remove(&format!("rekorPublicKey{end}")).is_some());
    let unread = match (wire.remove("fulcio"), wire.remove("pki")) {
        (None, None) => None,
        (Some(_), None) => Some("fulcio"),
        _ => Some("pki"),
    };
    let identity = match wire.remove("signedIdentity") {
        None => Match::RepoDigestOrExact,
        Some(Value::Object(wire)) => identity(wire)?,
        Some(other) => return Err(format!("expected a signedIdentity, got {other}")),
    };
    let keys = match (own, unread) {
        (Some(keys), None) => keys,
        (None, Some(_)) => Ok(Vec::new()),
        _ => return Err("expected either a key, fulcio or pki".to_owned()),
    };
    Ok(Sigstore { keys, unread, log: log.contains(&true), identity })
}

fn identity(mut wire: Map<String, Value>) -> Result<Match, String> {
    let kind = text(&mut wire, "type")?.ok_or("expected a signedIdentity with a type, got none")?;
    let mut wanted =
        |name: &str| text(&mut wire, name)?.ok_or_else(|| format!("expected {name} of {kind}, got none"));
    let identity = match kind.as_str() {
        "matchExact" => Match::Exact,
        "matchRepoDigestOrExact" => Match::RepoDigestOrExact,
        "matchRepository" => Match::Repository,
        "exactReference" => Match::ExactReference(wanted("dockerReference")?),
        "exactRepository" => Match::ExactRepository(wanted("dockerRepository")?),
        "remapIdentity" => Match::Remap { prefix: wanted("prefix")?, signed: wanted("signedPrefix")? },
        other => return Err(format!("expected a type of signedIdentity, got {other:?}")),
    };
    expect_nothing(&wire, &kind)?;
    Ok(identity)
}

impl Match {
    /// Whether what was signed under this name is taken for the image.
    pub(crate) fn takes(&self, image: &Reference, signed: &str) -> bool {
        let Some(signed) = Named::read(signed) else { return false };
        match self {
            Self::Exact => signed.tail.is_some() && signed == Named::of(image),
            Self::RepoDigestOrExact => signed.is_or_has_digest(&Named::of(image)),
            Self::Repository => signed.name == image.name().to_string(),
            Self::ExactReference(wanted) => signed.tail.is_some() && Named::read(wanted) == Some(signed),
            Self::ExactRepository(wanted) => {
                Named::read(wanted).is_some_and(|wanted| wanted.name == signed.name)
            }
            Self::Remap { prefix, signed: to } => {
                let mut intended = Named::of(image);
                let rest = intended.name.strip_prefix(prefix.as_str());
                if let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with('/')) {
                    intended.name = format!("{to}{rest}");
                }
                signed.is_or_has_digest(&intended)
            }
        }
    }
}

/// A name in full, and its tag or digest, without a tag that nobody wrote.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Named {
    name: String,
    tail: Option<String>,
    is_tagged: bool,
}

impl Named {
    fn of(image: &Reference) -> Self {
        let name = image.name().to_string();
        match (image.digest(), image.tag()) {
            (Some(digest), _) => Self { name, tail: Some(digest.to_string()), is_tagged: false },
            (None, tag) => Self { name, tail: tag.map(ToString::to_string), is_tagged: tag.is_some() },
        }
    }

    fn read(text: &str) -> Option<Self> {
        if let Ok(name) = text.parse::<ImageName>() {
            return Some(Self { name: name.to_string(), tail: None, is_tagged: false });
        }
        text.parse::<Reference>().ok().map(|reference| Self::of(&reference))
    }

    /// Its own name to the letter; or by digest, the repository.
    fn is_or_has_digest(&self, intended: &Self) -> bool {
        match (&self.tail, intended.is_tagged) {
            (None, _) => false,
            (Some(_), true) => self == intended,
            (Some(_), false) => self.name == intended.name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_scope_decides() {
        let image: Reference = "reg.example.com:5000/acme/web:1".parse().unwrap();
        assert_eq!(
            scopes(&image),
            [
                "reg.example.com:5000/acme/web:1",
                "reg.example.com:5000/acme/web",
                "reg.example.com:5000/acme",
                "reg.example.com:5000",
                "*.example.com",
                "*.com"
            ]
        );
        let policy = |scopes: &str| {
            let text =
                format!(r#"{{"default":[{{"type":"reject"}}],"transports":{{"docker":{{{scopes}}}}}}}"#);
            ContainersPolicy::parse(&text).unwrap()
        };
        let open = r#"[{"type":"insecureAcceptAnything"}]"#;
        for (scope, expected) in [
            ("reg.example.com:5000/acme", "reg.example.com:5000/acme"),
            ("*.example.com", "*.example.com"),
            ("", ""),
            ("other.example.com", "default"),
            ("reg.example.com:5000/ac", "default"),
        ] {
            let policy = policy(&format!(r#""{scope}":{open}"#));
            let (found, requirements) = policy.requirements(&image);
            assert_eq!(found, expected, "{scope}");
            assert_eq!(matches!(requirements, [Requirement::Reject]), expected == "default");
        }
    }

    #[test]
    fn a_member_that_containers_image_does_not_know_ends_it() {
        for (text, why) in [
            (r#"{"default":[{"type":"reject","because":"x"}]}"#, "got \"because\""),
            (r#"{"default":[{"type":"rejct"}]}"#, "got \"rejct\""),
            (r#"{"default":[],"more":1}"#, "more"),
            (r#"{"default":[{"type":"sigstoreSigned"}]}"#, "expected either a key"),
            (r#"{"default":[{"type":"sigstoreSigned","keyPath":"/a","keyData":"b"}]}"#, "got several"),
            (
                r#"{"default":[{"type":"sigstoreSigned","keyData":"b","signedIdentity":{"type":"any"}}]}"#,
                "got \"any\"",
            ),
        ] {
            let got = ContainersPolicy::parse(text).unwrap_err();
            assert!(got.contains(why), "{why}: {got}");
        }
    }

    #[test]
    fn names_are_matched_as_containers_policy_json_says() {
        let tagged: Reference = "r.io/acme/web:1".parse().unwrap();
        let pinned: Reference = format!("r.io/acme/web@sha256:{}", "a".repeat(64)).parse().unwrap();
        let remap = Match::Remap { prefix: "r.io/acme".into(), signed: "up.io/a".into() };
        for (rule, image, signed, expected) in [
            (&Match::Repository, &tagged, "r.io/acme/web", true),
            (&Match::Repository, &tagged, "r.io/acme/web:2", true),
            (&Match::Repository, &tagged, "r.io/acme/other", false),
            (&Match::RepoDigestOrExact, &tagged, "r.io/acme/web", false),
            (&Match::RepoDigestOrExact, &tagged, "r.io/acme/web:1", true),
            (&Match::RepoDigestOrExact, &tagged, "r.io/acme/web:2", false),
            (&Match::RepoDigestOrExact, &pinned, "r.io/acme/web:2", true),
            (&Match::RepoDigestOrExact, &pinned, "r.io/acme/web", false),
            (&Match::Exact, &pinned, "r.io/acme/web:2", false),
            (&Match::Exact, &tagged, "r.io/acme/web:1", true),
            (&Match::ExactRepository("up.io/a/web".into()), &tagged, "up.io/a/web:7", true),
            (&Match::ExactReference("up.io/a/web:1".into()), &tagged, "up.io/a/web:1", true),
            (&Match::ExactReference("up.io/a/web:1".into()), &tagged, "up.io/a/web:2", false),
            (&remap, &tagged, "up.io/a/web:1", true),
            (&remap, &tagged, "r.io/acme/web:1", false),
            (&Match::Repository, &tagged, "no name at all", false),
        ] {
            assert_eq!(rule.takes(image, signed), expected, "{rule:?} {image} {signed}");
        }
    }
}
