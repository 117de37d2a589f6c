//! A chain that is read from a pack. The root comes from the user, never from the pack: a pack that brings its own
//! root says only that somebody made both.

use std::sync::Arc;

use image_pack::Pack;
use oci_image::Reference;
use tuf_client::{Client, DirStore, MemoryStore, Transport};
use verifier_lib::{Link, Stage, Status};

use super::{Access, ChosenRoot, RootId, bootstrapped, now, private_dir, read_root, state_dir, trusted_name};
use crate::args::{ChainArgs, RootArgs, StateArgs};
use crate::carried::Carried;
use crate::failure::Failure;
use crate::pins::Pins;
use crate::style::shown;

impl Access {
    /// No socket is opened: there is nothing here that could.
    pub(super) fn packed(args: &ChainArgs, pack: &Pack) -> Result<Self, Failure> {
        let name = trusted_name(args)?;
        let root = ChosenRoot::for_pack(&args.root, &args.state, &name, pack)?;
        let now = now(args);
        let store = if args.carried.apart {
            args.carried.store(MemoryStore::default())
        } else {
            let state = state_dir(&args.state)?;
            private_dir(&state).map_err(|error| Failure::unknown(format!("{}: {error}", state.display())))?;
            let store = DirStore::open(state.join("metadata").join(&root.sha256));
            args.carried.store(store.map_err(Failure::unknown)?)
        };
        let transport: Arc<dyn Transport> = Arc::new(pack.transport());
        let client = Client::new(root.bytes.clone(), Arc::clone(&transport), store, now);
        let (version, _) = bootstrapped(&root.bytes)?;
        let id = RootId { repo: pack.describe().to_owned(), sha256: root.sha256, version };
        let mut trust = root.link;
        trust.detail.push_str(&format!(", as of {}", now.to_rfc3339()));
        let Carried { tag, .. } = args.carried.clone();
        let digest = tag.is_none().then_some(pack.index().digest);
        Ok(Self {
            name,
            client,
            source: Box::new(pack.source()),
            tag,
            digest,
            trust,
            local: pack.index().layers,
            first_use: None,
            root: id,
            pack: Some(pack.clone()),
            root_bytes: root.bytes,
            transport,
            remote: false,
        })
    }
}

/// A root that the user chose.
struct Chosen {
    bytes: Vec<u8>,
    sha256: String,
    link: Link,
}

impl ChosenRoot {
    /// `--root`, `--root-sha256` of a root that is in the pack, what the rules name, or a pin.
    fn for_pack(
        root: &RootArgs,
        state: &StateArgs,
        name: &Reference,
        pack: &Pack,
    ) -> Result<Chosen, Failure> {
        if let Some(file) = &root.root {
            return checked(read_root(file)?, pack, &file.display().to_string());
        }
        if let Some(expected) = &root.root_sha256 {
            let found =
                pack.root_with(expected).map_err(|error| Failure::unknown(shown(&error.to_string())))?;
            let found = found.ok_or_else(|| {
                let got = held(pack);
                Failure::refused(format!("refused {name}: expected a root with sha256 {expected}, got {got}"))
                    .hint("give the root itself with --root FILE, as its owner gave it to you")
            })?;
            return checked(found, pack, "the fingerprint that was given");
        }
        let pins = Pins::of(&state_dir(state)?);
        if let Some(pin) = pins.for_image(name.name())? {
            let how = format!("pin {:?} for {}", pin.name, pin.scope.join(", "));
            return checked(pins.root(&pin)?, pack, &how);
        }
        let what = format!(
            "refused {name}: no root is given or pinned that speaks for {}, and a pack can't vouch for itself",
            name.name()
        );
        Err(Failure::refused(what).hint(format!(
            "the pack holds {}: compare it with its owner by another way, then give --root-sha256 HEX or \
             --root FILE",
            held(pack)
        )))
    }
}

fn checked(bytes: Vec<u8>, pack: &Pack, how: &str) -> Result<Chosen, Failure> {
    let (version, sha256) = super::bootstrapped(&bytes)?;
    let detail = format!("root version {version} with sha256 {sha256}, by {how}");
    let link = Link::new(Stage::Trust, Status::Passed, pack.describe(), detail);
    Ok(Chosen { bytes, sha256, link })
}

/// Which root a pack holds, for a person to compare.
fn held(pack: &Pack) -> String {
    match pack.first_root() {
        Ok(Some((version, digest))) => format!("root version {version} with {digest}"),
        _ => "no root".to_owned(),
    }
}
