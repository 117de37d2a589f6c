use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::*;
use crate::images::{Format, Image, ImageBuilder, IndexBuilder};
use crate::sha256_digest;

/// An answer, read to the end of the connection or, where that never comes, to 64 KiB or a pause.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

fn send(registry: &Registry, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(registry.host()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut fields: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    fields.push_str(&format!("Host: {}\r\nConnection: close\r\n", registry.host()));
    let head = format!("{method} {path} HTTP/1.1\r\n{fields}Content-Length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.take(64 << 10).read_to_end(&mut answer);
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, body: answer[end + 4..].to_vec() }
}

fn get(registry: &Registry, path: &str) -> Answer {
    send(registry, "GET", path, &[], b"")
}

/// A registry that holds `web:1.4`.
fn filled() -> (Registry, Image) {
    let registry = Registry::start().unwrap();
    let image = Image::named("web").unwrap();
    image.push_to(&registry, "web", "1.4");
    (registry, image)
}

#[test]
fn a_manifest_is_read_by_tag_and_by_digest_with_its_type_and_digest() {
    let (registry, image) = filled();
    for reference in ["1.4".into(), image.digest(), image.digest().replace(':', "%3A")] {
        let answer = get(&registry, &format!("/v2/web/manifests/{reference}"));
        assert_eq!((answer.status, &answer.body), (200, &image.manifest.bytes), "{reference}");
        assert_eq!(answer.header("Content-Type"), Some(Format::Oci.manifest()));
        assert_eq!(answer.header("Docker-Content-Digest"), Some(image.digest().as_str()));
    }
    let head = send(&registry, "HEAD", "/v2/web/manifests/1.4", &[], b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("Content-Length"), Some(image.manifest.bytes.len().to_string().as_str()));
}

#[test]
fn what_is_not_there_is_a_404_with_the_specifications_code() {
    let (registry, image) = filled();
    let digest = image.digest();
    let table = [
        ("/v2/web/manifests/none".to_owned(), "MANIFEST_UNKNOWN"),
        (format!("/v2/web/blobs/{digest}"), "BLOB_UNKNOWN"),
        ("/v2/other/manifests/1.4".into(), "NAME_UNKNOWN"),
        ("/v2/other/tags/list".into(), "NAME_UNKNOWN"),
    ];
    for (path, code) in table {
        let answer = get(&registry, &path);
        assert_eq!((answer.status, &answer.json()["errors"][0]["code"]), (404, &json!(code)), "{path}");
    }
    assert_eq!(get(&registry, "/elsewhere").status, 404);
    assert_eq!(get(&registry, "/v2/").status, 200);
}

#[test]
fn a_blob_is_uploaded_whole_or_in_pieces() {
    let registry = Registry::start().unwrap();
    let digest = sha256_digest(b"layer");
    let whole = send(&registry, "POST", &format!("/v2/web/blobs/uploads/?digest={digest}"), &[], b"layer");
    assert_eq!((whole.status, whole.header("Location")), (201, Some(&*format!("/v2/web/blobs/{digest}"))));
    registry.remove("web", &digest);

    let mount = format!("/v2/web/blobs/uploads/?mount={digest}&from=other");
    let started = send(&registry, "POST", &mount, &[], b"");
    assert_eq!(started.status, 202);
    let upload = started.header("Location").unwrap();
    let first = send(&registry, "PATCH", upload, &["Content-Range: 0-2"], b"lay");
    assert_eq!((first.status, first.header("Range")), (202, Some("0-2")));
    assert_eq!(send(&registry, "PATCH", upload, &["Content-Range: 9-9"], b"x").status, 416);
    let done = send(&registry, "PUT", &format!("{upload}?digest={digest}"), &[], b"er");
    assert_eq!(done.status, 201);
    assert_eq!(registry.blob("web", &digest).unwrap(), b"layer");
    assert_eq!(send(&registry, "PUT", upload, &[], b"").status, 404);
}

#[test]
fn a_write_that_breaks_the_rules_is_refused_and_stores_nothing() {
    let (registry, image) = filled();
    let other = Image::named("other").unwrap();
    let zeros = format!("sha256:{}", "0".repeat(64));
    let incomplete = &other.manifest.bytes;
    let table: [(_, _, String, &[u8], _); 5] = [
        ("no JSON", "PUT", "/v2/web/manifests/new".into(), b"{", "MANIFEST_INVALID"),
        ("another digest", "PUT", format!("/v2/web/manifests/{zeros}"), b"{}", "DIGEST_INVALID"),
        ("its layers lack", "PUT", "/v2/web/manifests/new".into(), incomplete, "MANIFEST_BLOB_UNKNOWN"),
        ("another blob", "POST", format!("/v2/web/blobs/uploads/?digest={zeros}"), b"x", "DIGEST_INVALID"),
        ("no such verb", "POST", "/v2/web/manifests/new".into(), b"{}", "UNSUPPORTED"),
    ];
    for (name, method, path, body, code) in table {
        let answer = send(&registry, method, &path, &[], body);
        assert_eq!(answer.json()["errors"][0]["code"], code, "{name}");
    }
    assert_eq!(registry.tags("web"), ["1.4"]);
    assert_eq!(registry.manifest("web", "1.4").unwrap().1, image.manifest.bytes);
    assert_eq!(registry.blob("web", &sha256_digest(b"x")), None);
}

#[test]
fn tags_come_in_pages_with_a_link_to_the_next() {
    let (registry, image) = filled();
    for tag in ["c", "a", "b"] {
        registry.tag("web", tag, &image.digest());
    }
    let first = get(&registry, "/v2/web/tags/list?n=3");
    assert_eq!(first.json(), json!({ "name": "web", "tags": ["1.4", "a", "b"] }));
    assert_eq!(first.header("Link"), Some("</v2/web/tags/list?n=3&last=b>; rel=\"next\""));
    let last = get(&registry, "/v2/web/tags/list?n=3&last=b");
    assert_eq!((last.json()["tags"].clone(), last.header("Link")), (json!(["c"]), None));
    assert_eq!(get(&registry, "/v2/web/tags/list").json()["tags"], json!(["1.4", "a", "b", "c"]));
}

#[test]
fn a_deleted_tag_leaves_its_manifest_and_a_deleted_manifest_takes_its_tags() {
    let (registry, image) = filled();
    registry.tag("web", "2", &image.digest());
    assert_eq!(send(&registry, "DELETE", "/v2/web/manifests/2", &[], b"").status, 202);
    assert_eq!(registry.tags("web"), ["1.4"]);
    let manifest = format!("/v2/web/manifests/{}", image.digest());
    assert_eq!(send(&registry, "DELETE", &manifest, &[], b"").status, 202);
    assert_eq!((registry.tags("web").len(), get(&registry, &manifest).status), (0, 404));
    let blob = format!("/v2/web/blobs/{}", image.config.digest());
    assert_eq!(send(&registry, "DELETE", &blob, &[], b"").status, 202);
    assert_eq!(send(&registry, "DELETE", &blob, &[], b"").status, 404);
}

#[test]
fn referrers_are_listed_filtered_and_switched_off() {
    let (registry, image) = filled();
    for kind in ["application/sbom", "application/vex"] {
        let referrer = json!({
            "schemaVersion": 2, "mediaType": Format::Oci.manifest(), "artifactType": kind,
            "subject": image.manifest.descriptor(), "annotations": { "kind": kind },
        });
        let referrer = referrer.to_string();
        let path = format!("/v2/web/manifests/{}", sha256_digest(referrer.as_bytes()));
        let put = send(&registry, "PUT", &path, &[], referrer.as_bytes());
        assert_eq!((put.status, put.header("OCI-Subject")), (201, Some(image.digest().as_str())));
    }
    let path = format!("/v2/web/referrers/{}", image.digest());
    let all = get(&registry, &path);
    assert_eq!(all.json()["manifests"].as_array().unwrap().len(), 2);
    assert_eq!(all.header("OCI-Filters-Applied"), None);
    let one = get(&registry, &format!("{path}?artifactType=application%2Fvex"));
    assert_eq!(one.header("OCI-Filters-Applied"), Some("artifactType"));
    assert_eq!(one.json()["manifests"][0]["annotations"]["kind"], "application/vex");
    assert_eq!(one.json()["manifests"].as_array().unwrap().len(), 1);
    registry.set_referrers(false);
    assert_eq!(get(&registry, &path).status, 404);
}

#[test]
fn basic_credentials_are_asked_for_and_logged_as_sent() {
    let registry = Registry::start_with(Access::Basic(Credentials::new("alice", "s3cret"))).unwrap();
    let refused = get(&registry, "/v2/");
    assert_eq!((refused.status, refused.header("WWW-Authenticate")), (401, Some("Basic realm=\"test\"")));
    let with = |password: &str| {
        let header = format!("Authorization: Basic {}", STANDARD.encode(format!("alice:{password}")));
        send(&registry, "GET", "/v2/", &[&header], b"").status
    };
    assert_eq!((with("wrong"), with("s3cret")), (401, 200));
    assert_eq!(registry.log().iter().filter(|request| request.authorization).count(), 2);
}

#[test]
fn a_token_opens_its_own_repository_and_action_only() {
    let alice = Credentials::new("alice", "s3cret");
    let registry = Registry::start_with(Access::BearerOpenToRead(alice)).unwrap();
    let image = Image::named("web").unwrap();
    image.push_to(&registry, "web", "1.4");
    image.push_to(&registry, "other", "1.4");
    let challenge = get(&registry, "/v2/web/manifests/1.4");
    let (url, host) = (registry.url(), registry.host());
    let expected = format!("Bearer realm=\"{url}/token\",service=\"{host}\",scope=\"repository:web:pull\"");
    assert_eq!((challenge.status, challenge.header("WWW-Authenticate")), (401, Some(expected.as_str())));

    let token = get(&registry, "/token?scope=repository%3Aweb%3Apull").json();
    let bearer = format!("Authorization: Bearer {}", token["token"].as_str().unwrap());
    let status = |method, path| send(&registry, method, path, &[&bearer], b"").status;
    assert_eq!(status("GET", "/v2/"), 200);
    assert_eq!(status("GET", "/v2/web/manifests/1.4"), 200);
    assert_eq!(status("GET", "/v2/other/manifests/1.4"), 401);
    assert_eq!(status("POST", "/v2/web/blobs/uploads/"), 401);

    let push = "/token?scope=repository:web:pull,push";
    assert_eq!(get(&registry, push).status, 401);
    let basic = format!("Authorization: Basic {}", STANDARD.encode("alice:s3cret"));
    assert_eq!(send(&registry, "GET", push, &[&basic], b"").status, 200);
}

#[test]
fn each_fault_spoils_its_own_answer_and_is_cleared() {
    let (registry, image) = filled();
    let layer = &image.layers[0];
    let path = format!("/v2/web/blobs/{}", layer.digest());
    let length = layer.bytes.len();
    let mut flipped = layer.bytes.clone();
    flipped[length / 2] ^= 1;
    type IsSeen<'a> = &'a dyn Fn(&Answer) -> bool;
    let table: [(_, Fault, IsSeen<'_>); 11] = [
        ("lie", Fault::LieInDigestHeader { digest: "sha256:0".into() }, &|a| {
            a.header("Docker-Content-Digest") == Some("sha256:0") && a.body == layer.bytes
        }),
        ("redirect", Fault::RedirectElsewhere { to: "http://other".into() }, &|a| {
            a.status == 307 && a.header("Location") == Some(&*format!("http://other{path}"))
        }),
        ("endless", Fault::Endless, &|a| a.body.len() > 60_000 && a.header("Content-Length").is_none()),
        ("drip", Fault::Drip { every: Duration::from_secs(60) }, &|a| a.status == 200 && a.body.is_empty()),
        ("flip", Fault::FlipByte, &|a| a.status == 200 && a.body == flipped),
        ("truncate", Fault::Truncate, &|a| a.body == layer.bytes[..length - 1]),
        ("extend", Fault::Extend, &|a| a.body.len() == length + 1 && a.body.starts_with(&layer.bytes)),
        ("missing", Fault::Missing, &|a| a.status == 404),
        ("unavailable", Fault::Unavailable, &|a| a.status == 503),
        ("reset", Fault::Reset, &|a| a.status == 200 && a.body.len() == length / 2),
        ("stall", Fault::Stall, &|a| a.status == 200 && a.body.is_empty()),
    ];
    for (name, fault, is_seen) in table {
        registry.set_fault(Place::blob("web", &layer.digest()), fault);
        let answer = get(&registry, &path);
        assert!(is_seen(&answer), "{name}: {} and {} bytes", answer.head, answer.body.len());
        assert_eq!(get(&registry, "/v2/web/manifests/1.4").body, image.manifest.bytes, "{name}");
        registry.clear_faults();
        assert_eq!(get(&registry, &path).body, layer.bytes, "{name}");
    }
}

#[test]
fn a_swapped_manifest_can_claim_the_digest_that_was_asked_for() {
    let (registry, image) = filled();
    let other = Image::named("other").unwrap();
    let path = format!("/v2/web/manifests/{}", image.digest());
    let place = || Place::manifest("web", &image.digest());
    registry.set_fault(place(), Fault::SwapManifest { with: other.manifest.bytes.clone() });
    let swapped = get(&registry, &path);
    assert_eq!(swapped.body, other.manifest.bytes);
    assert_eq!(swapped.header("Docker-Content-Digest"), Some(other.digest().as_str()));
    registry.set_fault(place(), Fault::LieInDigestHeader { digest: image.digest() });
    let lying = get(&registry, "/v2/web/manifests/1.4");
    assert_eq!(lying.body, other.manifest.bytes);
    assert_eq!(lying.header("Docker-Content-Digest"), Some(image.digest().as_str()));
}

#[test]
fn a_fault_holds_at_its_place_only() {
    let (registry, image) = filled();
    image.push_to(&registry, "other", "1.4");
    let digest = image.digest();
    let paths = [
        "/v2/".to_owned(),
        "/v2/web/manifests/1.4".into(),
        format!("/v2/web/manifests/{digest}"),
        format!("/v2/web/blobs/{}", image.config.digest()),
        "/v2/other/manifests/1.4".into(),
        format!("/v2/web/referrers/{digest}"),
    ];
    let table = [
        ("everything", Place::everything(), [503; 6]),
        ("manifests", Place::manifests("web"), [200, 503, 503, 200, 200, 200]),
        ("by digest", Place::manifest("web", &digest), [200, 503, 503, 200, 200, 200]),
        ("by tag", Place::manifest("web", "1.4"), [200, 503, 200, 200, 200, 200]),
        ("blobs", Place::blobs("web"), [200, 200, 200, 503, 200, 200]),
        ("another blob", Place::blob("web", "sha256:0"), [200; 6]),
        ("referrers", Place::referrers("web"), [200, 200, 200, 200, 200, 503]),
        ("token", Place::token(), [200; 6]),
    ];
    for (name, place, expected) in table {
        registry.set_fault(place, Fault::Unavailable);
        let got: Vec<_> = paths.iter().map(|path| get(&registry, path).status).collect();
        assert_eq!(got, expected, "{name}");
        registry.clear_faults();
    }
}

#[test]
fn a_layout_is_pushed_with_all_below_its_tag() {
    let folder = tempfile::tempdir().unwrap();
    let amd = Image::named("amd").unwrap();
    let arm = ImageBuilder::new().file("a", b"arm").platform("linux/arm64").build().unwrap();
    let index = IndexBuilder::new().image(amd).image(arm).build().unwrap();
    Image::named("unrelated").unwrap().write_layout(folder.path(), "0").unwrap();
    index.write_layout(folder.path(), "1.4").unwrap();

    let (pushed, direct) = (Registry::start().unwrap(), Registry::start().unwrap());
    assert_eq!(pushed.push_layout(folder.path(), "1.4", "acme/web").unwrap(), index.digest());
    assert_eq!(index.push_to(&direct, "acme/web", "1.4"), index.digest());
    for registry in [&pushed, &direct] {
        assert_eq!(registry.tags("acme/web"), ["1.4"]);
        assert_eq!(registry.manifest("acme/web", "1.4").unwrap().0, Format::Oci.index());
        for image in &index.images {
            assert!(registry.manifest("acme/web", &image.digest()).is_some());
            assert_eq!(registry.blob("acme/web", &image.layers[0].digest()).unwrap(), image.layers[0].bytes);
        }
    }
    assert!(pushed.push_layout(folder.path(), "none", "acme/web").is_err());
}
