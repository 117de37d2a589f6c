//! Container image provenance: reference -> target -> digest -> bytes -> verdict.
//!
//! From a name to a verdict, with the root file that its owner gave you:
//!
//! ```
//! use verifier_lib::{Verdict, Verifier};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #   let (_world, folder, name) = example::world()?;
//!     let root = std::fs::read("root.json")?; // as its owner gave it to you
//!     let (repo, image) = ("https://trust.example.com", "registry.example.com/acme/web:1.4");
//! #   let (repo, image) = (folder.as_str(), name.as_str());
//!     let verifier = Verifier::new(&repo.parse()?, root, chrono::Utc::now);
//!     match verifier.verify(image)? {
//!         Verdict::Trusted(image) => println!("pull {}", image.pinned()),
//!         Verdict::Refused(broken) => eprintln!("refused: {broken}"),
//!         Verdict::Unknown(broken) => eprintln!("could not tell: {broken}"),
//!     }
//! #   assert!(matches!(verifier.verify(image)?, Verdict::Trusted(_)));
//!     Ok(())
//! }
//! # mod example {
//! #     use test_repos::{images::Image, registry::Registry, simulator::Simulator};
//! #     use tuf_core::schema::Target;
//! #     type Setback = Box<dyn std::error::Error>;
//! #     pub fn world() -> Result<((Registry, tempfile::TempDir), String, String), Setback> {
//! #         let (registry, folder) = (Registry::start()?, tempfile::tempdir()?);
//! #         let image = Image::named("example")?;
//! #         image.push_to(&registry, "acme/web", "1.4");
//! #         let name = format!("{}/acme/web:1.4", registry.host());
//! #         let mut repo = Simulator::new(chrono::Utc::now())?;
//! #         repo.role_mut("targets").set_target(&name, &Target::of(&image.manifest.bytes))?;
//! #         repo.publish()?;
//! #         std::fs::create_dir(folder.path().join("metadata"))?;
//! #         for name in repo.names() {
//! #             std::fs::write(folder.path().join("metadata").join(&name), repo.fetch(&name)?.unwrap())?;
//! #         }
//! #         std::fs::write(folder.path().join("root.json"), repo.fetch("1.root.json")?.unwrap())?;
//! #         std::env::set_current_dir(folder.path())?;
//! #         let dir = folder.path().display().to_string();
//! #         Ok(((registry, folder), dir, name))
//! #     }
//! # }
//! ```
//!
//! In a task, of any runtime: `verifier.verify_async("registry.example.com/acme/web:1.4").await?`. A [`Verifier`]
//! is `Send`, `Sync` and cheap to clone; what is verified at once shares one update of the metadata.
//!
//! # The parts
//!
//! [`Verification`] runs the chain over a client, a source of images and a name of your own:
//!
//! ```no_run
//! use oci_image::{ImageSource, Platform, Reference, Selector};
//! use verifier_lib::{Platforms, Verification};
//!
//! # fn example(client: &tuf_client::Client, registry: &dyn ImageSource) -> Result<(), Box<dyn std::error::Error>> {
//! let name: Reference = "registry.example.com/acme/web:1.4".parse()?;
//! let verdict = Verification::new(client, registry, Selector::Tag("1.4"), &name)
//!     .platforms(Platforms::One(Platform::host()))
//!     .run(&mut |(blob, done)| println!("{}: {done} bytes", blob.digest));
//! # Ok(())
//! # }
//! ```
//!
//! It never holds a private key, never prints, and reads no clock, environment or home directory.
//!
//! A [`VerifiedImage`] is what a later stage, such as a scan, takes. Only a completed verification makes
//! one, and the compiler says so:
//!
//! ```compile_fail,E0451
//! fn forged(proof: verifier_lib::Proof) -> verifier_lib::VerifiedImage {
//!     verifier_lib::VerifiedImage { proof, ..todo!() }
//! }
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod custom;
pub mod evidence;
mod image;
mod manifest;
mod proof;
mod tree;
mod verifier;
mod verify;

pub use custom::{HALLMARK_VERSION, Hallmark, Yanked};
pub use image::{PullError, VerifiedImage, VerifiedPlatform};
pub use manifest::VerifiedManifest;
pub use proof::{Broken, Link, Proof, Reason, Stage, Status};
pub use tree::{Node, tree, tree_of, tree_of_image};
pub use tuf_core::Failing;
pub use verifier::Verifier;
pub use verify::{Layers, Platforms, Progress, Verdict, Verification};
