//! SLSA provenance 0.2 and 1, with what BuildKit and GitHub's workflows put where the specification leaves room.

use std::collections::BTreeMap;

use image_signatures::few;
use oci_image::Digest;
use serde::Deserialize;
use serde::de::Error as _;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{expect_few, read};
use crate::limits::{ENTRIES_MAX, PARAMETERS_MAX};
use crate::refusal::Refusal;
use crate::statement::null_is_empty;
use crate::trust::{Identity, Signer};

const WHAT: &str = "SLSA provenance";

/// How something was built, as its builder says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Provenance {
    /// The version of SLSA's format: `0.2` or `1`.
    pub version: &'static str,
    /// Who built. Empty where BuildKit wasn't told.
    pub builder: String,
    /// What kind of build it was.
    pub build_type: String,
    /// Which build.
    pub invocation: Option<String>,
    /// When it began (RFC 3339).
    pub started: Option<String>,
    /// When it ended.
    pub finished: Option<String>,
    /// From where the source came.
    pub source: Option<Source>,
    /// The repository of the source as the builder was told it: neither from what a client may add beside, nor
    /// guessed from what went in.
    pub told_source: Option<String>,
    /// The file that says how: a Dockerfile, a workflow.
    pub build_file: Option<String>,
    /// What the builder was told from outside, by name.
    pub parameters: BTreeMap<String, Value>,
    /// What went in.
    pub materials: Vec<Material>,
    /// What the builder says about reaching the network, where it does.
    pub hermetic: Option<bool>,
}

/// From where source came.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Source {
    /// The repository.
    pub repository: String,
    /// The commit.
    pub commit: Option<String>,
}

/// Something that went into a build.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
pub struct Material {
    /// What it is.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub uri: String,
    /// Digests in hex, by algorithm.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub digest: BTreeMap<String, String>,
}

/// A builder that may be believed, when this signer signs for it, up to a level. The level is the user's
/// judgement: a document that claims one is not asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Builder {
    /// By whom its provenance must be signed.
    pub signer: BuilderSigner,
    /// The builder's id.
    pub id: String,
    /// The SLSA build level that this pair stands for.
    pub level: u8,
}

/// Who signs for a builder.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BuilderSigner {
    /// A key or certificate, by the name by which it was trusted.
    Name(String),
    /// A key, by what makes it the same.
    Key(Digest),
    /// An identity, and who vouches for it: of another issuer, the same name is somebody else.
    Identity(Identity),
}

impl BuilderSigner {
    fn is(&self, signer: &Signer) -> bool {
        match (self, signer) {
            (Self::Identity(expected), Signer::Identity(got)) => expected == got,
            (Self::Key(expected), Signer::Key { id, .. }) => expected == id,
            (Self::Name(expected), Signer::Key { name, .. }) => expected == name,
            (Self::Name(expected), Signer::Certificate { subject, .. }) => expected == subject,
            _ => false,
        }
    }
}

impl Provenance {
    /// The level of the configured pair that one of these signers and the document's builder are; `None` where
    /// they are none.
    #[must_use]
    pub fn level(&self, signers: &[Signer], builders: &[Builder]) -> Option<u8> {
        let is = |builder: &&Builder| {
            builder.id == self.builder && signers.iter().any(|signer| builder.signer.is(signer))
        };
        builders.iter().filter(is).map(|builder| builder.level).max()
    }

    /// The external parameters that this kind of build isn't known to take (SLSA 1.2, "Verifying artifacts",
    /// step 3): all of them where the kind isn't known.
    #[must_use]
    pub fn unexpected_parameters(&self) -> Vec<&str> {
        let known: &[&str] = match self.build_type.as_str() {
            kind if is_buildkit(kind) && self.version == "0.2" => {
                &["frontend", "args", "secrets", "ssh", "locals", "inputs"]
            }
            kind if is_buildkit(kind) => &["configSource", "request"],
            kind if kind.starts_with("https://actions.github.io/buildtypes/workflow/")
                || kind
                    .starts_with("https://slsa-framework.github.io/github-actions-buildtypes/workflow/") =>
            {
                &["workflow", "inputs", "vars"]
            }
            _ => &[],
        };
        self.parameters.keys().map(String::as_str).filter(|name| !known.contains(name)).collect()
    }

    /// The images that went in: base images, and those that files were copied from.
    pub fn images(&self) -> impl Iterator<Item = &Material> {
        self.materials.iter().filter(|material| material.image().is_some())
    }

    pub(crate) fn v0_2(text: &str) -> Result<Self, Refusal> {
        let V02 { builder, build_type, invocation, metadata, materials } = read(WHAT, text)?;
        expect_few("a list of materials", materials.len())?;
        let config = invocation.config_source;
        let parameters = invocation.parameters.0;
        expect_few("a list of parameters", parameters.len())?;
        let filename = member(&parameters, &["args", "filename"]);
        let buildkit = metadata.buildkit.unwrap_or_default();
        let named = || config.uri.clone().filter(|uri| !uri.is_empty());
        let digest = || config.digest.get("sha1").or_else(|| config.digest.get("gitCommit")).cloned();
        let source =
            buildkit.vcs.source().or_else(|| Some(Source { repository: named()?, commit: digest() }));
        let build_file = config.entry_point.or(filename);
        let told_source = config.uri.filter(|uri| !uri.is_empty());
        Ok(Self {
            version: "0.2",
            builder: builder.id,
            build_type,
            invocation: metadata.build_invocation_id,
            started: metadata.build_started_on,
            finished: metadata.build_finished_on,
            source: source.or_else(|| from_materials(&materials)),
            told_source,
            build_file,
            parameters,
            materials,
            hermetic: metadata.hermetic,
        })
    }

    pub(crate) fn v1(text: &str) -> Result<Self, Refusal> {
        let V1 { build_definition: definition, run_details: run } = read(WHAT, text)?;
        let materials = definition.resolved_dependencies;
        expect_few("a list of materials", materials.len())?;
        let parameters = definition.external_parameters.0;
        expect_few("a list of parameters", parameters.len())?;
        let at = |path: &[&str]| member(&parameters, path).filter(|text| !text.is_empty());
        let commit = || materials.iter().find_map(Material::commit);
        let workflow = || Some(Source { repository: at(&["workflow", "repository"])?, commit: commit() });
        let config = || {
            let commit = at(&["configSource", "digest", "sha1"])
                .or_else(|| at(&["configSource", "digest", "gitCommit"]));
            Some(Source { repository: at(&["configSource", "uri"])?, commit })
        };
        let buildkit = run.metadata.buildkit.unwrap_or_default();
        let source = buildkit.vcs.source().or_else(workflow).or_else(config);
        let told_source = at(&["workflow", "repository"]).or_else(|| at(&["configSource", "uri"]));
        let build_file = at(&["configSource", "path"])
            .or_else(|| at(&["workflow", "path"]))
            .or_else(|| at(&["request", "args", "filename"]));
        Ok(Self {
            version: "1",
            builder: run.builder.id,
            build_type: definition.build_type,
            invocation: run.metadata.invocation_id,
            started: run.metadata.started_on,
            finished: run.metadata.finished_on,
            source: source.or_else(|| from_materials(&materials)),
            told_source,
            build_file,
            parameters,
            materials,
            hermetic: run.metadata.hermetic,
        })
    }
}

impl Material {
    /// The image that this is, such as `docker.io/library/alpine:3.19`; `None` where it is none.
    #[must_use]
    pub fn image(&self) -> Option<String> {
        let rest = ["pkg:docker/", "pkg:oci/", "docker-image://", "oci://"]
            .iter()
            .find_map(|start| self.uri.strip_prefix(start))?;
        let name = rest.split(['?', '#']).next().unwrap_or(rest);
        let name = match name.rsplit_once("@sha256") {
            Some((name, _)) => name.to_owned(),
            None if self.uri.starts_with("pkg:") => name.replacen('@', ":", 1),
            None => name.to_owned(),
        };
        Some(name.replace("%2F", "/").replace("%3A", ":").replace("%40", "@"))
    }

    /// The commit of a repository.
    fn commit(&self) -> Option<String> {
        let digest = |name: &str| self.digest.get(name).cloned();
        digest("gitCommit").or_else(|| digest("sha1").filter(|_| self.uri.contains("git")))
    }
}

/// The first material that is a repository.
fn from_materials(materials: &[Material]) -> Option<Source> {
    let material = materials.iter().find(|material| material.commit().is_some())?;
    Some(Source { repository: material.uri.clone(), commit: material.commit() })
}

fn is_buildkit(kind: &str) -> bool {
    kind.starts_with("https://mobyproject.org/buildkit@v1")
        || kind
            .starts_with("https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md")
}

fn member(parameters: &BTreeMap<String, Value>, path: &[&str]) -> Option<String> {
    let (first, rest) = path.split_first()?;
    let found = rest.iter().try_fold(parameters.get(*first)?, |value, name| value.get(name))?;
    found.as_str().map(str::to_owned)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct V02 {
    #[serde(default)]
    builder: Id,
    #[serde(default)]
    build_type: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    invocation: Invocation,
    #[serde(default, deserialize_with = "null_is_empty")]
    metadata: Metadata,
    #[serde(default, deserialize_with = "few::<_, _, ENTRIES_MAX>")]
    materials: Vec<Material>,
}

#[derive(Default, Deserialize)]
struct Id {
    #[serde(default)]
    id: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    #[serde(default, deserialize_with = "null_is_empty")]
    config_source: ConfigSource,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfigSource {
    uri: Option<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    digest: BTreeMap<String, String>,
    entry_point: Option<String>,
}

/// What the build was told from outside (SLSA 0.2, `invocation.parameters`): of any shape. What is no object tells
/// nothing by name.
#[derive(Default)]
struct Parameters(BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As text first: what is read into memory as values takes a hundred times as much.
        let text = Option::<Box<RawValue>>::deserialize(deserializer)?;
        let text = text.as_deref().map_or("null", RawValue::get);
        if text.len() > PARAMETERS_MAX {
            let what = format!("expected parameters of at most {PARAMETERS_MAX} bytes, got {}", text.len());
            return Err(D::Error::custom(what));
        }
        Ok(match serde_json::from_str(text).map_err(D::Error::custom)? {
            Value::Object(members) => Self(members.into_iter().collect()),
            Value::Null => Self::default(),
            other => Self([("parameters".to_owned(), other)].into()),
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(alias = "buildInvocationID")]
    build_invocation_id: Option<String>,
    build_started_on: Option<String>,
    build_finished_on: Option<String>,
    #[serde(rename = "https://mobyproject.org/buildkit@v1#metadata")]
    buildkit: Option<BuildKitMetadata>,
    #[serde(rename = "https://mobyproject.org/buildkit@v1#hermetic")]
    hermetic: Option<bool>,
}

#[derive(Default, Deserialize)]
struct BuildKitMetadata {
    #[serde(default, deserialize_with = "null_is_empty")]
    vcs: Vcs,
}

#[derive(Default, Deserialize)]
struct Vcs {
    source: Option<String>,
    revision: Option<String>,
}

impl Vcs {
    fn source(&self) -> Option<Source> {
        Some(Source { repository: self.source.clone()?, commit: self.revision.clone() })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct V1 {
    build_definition: Definition,
    run_details: Run,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Definition {
    #[serde(default)]
    build_type: String,
    #[serde(default)]
    external_parameters: Parameters,
    #[serde(default, deserialize_with = "few::<_, _, ENTRIES_MAX>")]
    resolved_dependencies: Vec<Material>,
}

#[derive(Deserialize)]
struct Run {
    #[serde(default)]
    builder: Id,
    #[serde(default, deserialize_with = "null_is_empty")]
    metadata: RunMetadata,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RunMetadata {
    #[serde(alias = "invocationID")]
    invocation_id: Option<String>,
    started_on: Option<String>,
    finished_on: Option<String>,
    #[serde(rename = "buildkit_metadata")]
    buildkit: Option<BuildKitMetadata>,
    #[serde(rename = "buildkit_hermetic")]
    hermetic: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_found_among_materials_in_each_spelling() {
        for (uri, image) in [
            ("pkg:docker/alpine@3.19?platform=linux%2Famd64", Some("alpine:3.19")),
            ("pkg:docker/docker/dockerfile@1", Some("docker/dockerfile:1")),
            ("pkg:docker/ghcr.io/acme/base@1.2?digest=sha256:00", Some("ghcr.io/acme/base:1.2")),
            ("docker-image://docker.io/library/alpine:3.19@sha256:00", Some("docker.io/library/alpine:3.19")),
            ("git+https://github.com/acme/web", None),
            ("pkg:npm/left-pad@1", None),
        ] {
            let material = Material { uri: uri.into(), ..Material::default() };
            assert_eq!(material.image().as_deref(), image, "{uri}");
        }
    }

    #[test]
    fn a_level_is_that_of_the_configured_pair_and_never_the_documents() {
        let text = r#"{"buildDefinition":{"buildType":"x","externalParameters":{"a":1,"slsaLevel":4}},
            "runDetails":{"builder":{"id":"https://ci.example.com"},"metadata":null}}"#;
        let provenance = Provenance::v1(text).unwrap();
        let key = |name: &str| Signer::Key { name: name.into(), id: oci_image::Digest::of(name.as_bytes()) };
        let builder = Builder {
            signer: BuilderSigner::Name("ci.pub".into()),
            id: "https://ci.example.com".into(),
            level: 3,
        };
        let level = |signer: &str, builders: &[Builder]| provenance.level(&[key(signer)], builders);
        assert_eq!(level("ci.pub", std::slice::from_ref(&builder)), Some(3));
        assert_eq!(level("ci.pub", &[]), None);
        assert_eq!(level("other.pub", std::slice::from_ref(&builder)), None);
        let other = Builder { id: "https://ci.example.com/".into(), ..builder };
        assert_eq!(level("ci.pub", std::slice::from_ref(&other)), None);
        assert_eq!(provenance.unexpected_parameters(), ["a", "slsaLevel"]);
        // The same name of another issuer is somebody else, and no key is an identity.
        let identity = |issuer: &str| Identity { subject: "ci.pub".into(), issuer: issuer.into() };
        let by = |issuer: &str| [Signer::Identity(identity(issuer))];
        let pair = Builder { signer: BuilderSigner::Identity(identity("https://one")), ..other };
        let pair = Builder { id: "https://ci.example.com".into(), ..pair };
        assert_eq!(provenance.level(&by("https://one"), std::slice::from_ref(&pair)), Some(3));
        assert_eq!(provenance.level(&by("https://two"), std::slice::from_ref(&pair)), None);
        assert_eq!(provenance.level(&[key("ci.pub")], &[pair]), None);
    }

    #[test]
    fn parameters_of_any_shape_are_no_fault() {
        for parameters in ["null", "{}", r#"{"args":["x"]}"#, r#"{"args":{"filename":3}}"#] {
            let text = format!(r#"{{"builder":{{"id":"b"}},"invocation":{{"parameters":{parameters}}}}}"#);
            assert_eq!(Provenance::v0_2(&text).unwrap().build_file, None, "{parameters}");
        }
    }

    #[test]
    fn parameters_that_a_build_is_not_known_to_take_are_told_in_both_versions() {
        let unexpected = |kind: &str, parameters: &str| {
            let text = format!(r#"{{"buildType":"{kind}","invocation":{{"parameters":{parameters}}}}}"#);
            let provenance = Provenance::v0_2(&text).unwrap();
            provenance.unexpected_parameters().into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        let buildkit = "https://mobyproject.org/buildkit@v1";
        assert_eq!(unexpected(buildkit, r#"{"frontend":"dockerfile.v0","args":{"filename":"a"}}"#), [""; 0]);
        assert_eq!(unexpected(buildkit, r#"{"args":{},"skipTests":true}"#), ["skipTests"]);
        assert_eq!(unexpected("x", r#"{"b":1,"a":2}"#), ["a", "b"]);
        assert_eq!(unexpected("x", r#"["a"]"#), ["parameters"]);
        assert_eq!(unexpected("x", "null"), [""; 0]);
    }

    #[test]
    fn parameters_are_bounded_before_they_are_values() {
        let many = format!("[{}1]", "{},".repeat(PARAMETERS_MAX / 3));
        let old = format!(r#"{{"invocation":{{"parameters":{many}}}}}"#);
        let new =
            format!(r#"{{"buildDefinition":{{"externalParameters":{{"a":{many}}}}},"runDetails":{{}}}}"#);
        for refused in [Provenance::v0_2(&old), Provenance::v1(&new)] {
            assert!(refused.unwrap_err().to_string().contains("expected parameters of at most"), "no bound");
        }
    }
}
