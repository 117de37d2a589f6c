//! Packs, as the harness makes them of an index and files.

use super::Named;
use crate::ground::{ROOT, root, sealed};
use crate::pack::{PARTS_AS_SAID, RAW, UNSORTED};

const KIND: &str = "application/vnd.oci.image.manifest.v1+json";
const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}"#;

fn index(reference: &str, more: &str) -> String {
    format!(
        "{{\"version\":1,\"reference\":\"{reference}\",\"digest\":\"sha256:#0\",\"media_type\":\"{KIND}\",\"platforms\":[],\
         \"complete\":true,\"layers\":false,\"tags\":{{\"1\":\"sha256:#0\",\"none\":null}},\"referrers\":{{\"sha256:#0\":\
         {{\"place\":\"referrers\",\"manifests\":[{{\"media_type\":\"x/y\",\"digest\":\"sha256:#1\",\"size\":2}}]}}}},\
         \"gaps\":[{{\"what\":\"a\",\"why\":\"b\"}}],\"parts\":[]{more}}}"
    )
}

fn input(flags: u8, index: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).expect("short").to_be_bytes();
    let mut all = vec![flags];
    all.extend(length(index.as_bytes()));
    all.extend_from_slice(index.as_bytes());
    for (name, body) in files {
        all.push(u8::try_from(name.len()).expect("short"));
        all.extend(length(body));
        all.extend_from_slice(name.as_bytes());
        all.extend_from_slice(body);
    }
    all
}

pub fn all() -> Named {
    let (blob, marker) = ("blobs/sha256/#", br#"{"imageLayoutVersion":"1.0.0"}"#.as_slice());
    let root = sealed(&root(), &[ROOT]);
    let long = format!("tuf/metadata/{}.json", "r".repeat(90));
    let files: Vec<(&str, &[u8])> = vec![
        (blob, MANIFEST.as_bytes()),
        (blob, b"{}"),
        ("index.json", b"#"),
        ("oci-layout", marker),
        ("tuf/metadata/1.root.json", &root),
        ("tuf/metadata/timestamp.json", b"t"),
        (&long, b"l"),
        ("hallmark/policy.toml", b"version = 1\n"),
    ];
    let web = index("registry.example.com/acme/web:1", "");
    let with = |name: &'static str, body: &'static [u8]| [files.as_slice(), &[(name, body)]].concat();
    let without = |name: &str| files.iter().copied().filter(|(one, _)| *one != name).collect::<Vec<_>>();
    let good = input(0, &web, &files);
    vec![
        ("good-whole".into(), good.clone()),
        (
            "good-newer-members".into(),
            input(0, &index("registry.example.com/acme/web:1", ",\"more\":1"), &files),
        ),
        ("good-nameless".into(), input(0, &index("registry.example.com/acme/web@sha256:#0", ""), &files)),
        ("bad-no-layout".into(), input(0, &web, &without("oci-layout"))),
        (
            "bad-no-manifest".into(),
            input(0, &web.replace("\"digest\":\"sha256:#0\"", "\"digest\":\"sha256:#9\""), &files),
        ),
        ("bad-version".into(), input(0, &web.replacen("\"version\":1", "\"version\":2", 1), &files)),
        ("bad-name".into(), input(0, &web, &with("etc/passwd", b"x"))),
        ("bad-out-of-folder".into(), input(0, &web, &with("tuf/metadata/../x.json", b"x"))),
        ("bad-twice".into(), input(0, &web, &with("tuf/metadata/timestamp.json", b"x"))),
        ("bad-blob-name".into(), input(0, &web, &with("blobs/sha256/00", b"x"))),
        ("bad-order".into(), input(UNSORTED, &web, &files)),
        ("bad-other-parts".into(), input(PARTS_AS_SAID, &web, &files)),
        ("bad-raw".into(), [&[RAW], good.as_slice()].concat()),
        ("bad-empty".into(), vec![RAW]),
    ]
}
