//! Container image provenance: reference -> target -> digest -> bytes -> verdict.
//!
//! ```no_run
//! use oci_image::{ImageSource, Platform, Reference, Selector};
//! use verifier_lib::{Platforms, Verdict, Verification};
//!
//! # fn example(client: &tuf_client::Client, registry: &dyn ImageSource) -> Result<(), Box<dyn std::error::Error>> {
//! let name: Reference = "registry.example.com/acme/web:1.4".parse()?;
//! let verification = Verification::new(client, registry, Selector::Tag("1.4"), &name)
//!     .platforms(Platforms::One(Platform::host()));
//! match verification.run(&mut |_| ()) {
//!     Verdict::Trusted(image) => println!("pull {}", image.pinned()),
//!     Verdict::Refused(broken) | Verdict::Unknown(broken) => eprintln!("{broken}"),
//! }
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
mod proof;
mod verify;

pub use custom::{HALLMARK_VERSION, Hallmark, Yanked};
pub use image::{PullError, VerifiedImage, VerifiedPlatform};
pub use proof::{Broken, Link, Proof, Stage, Status};
pub use verify::{Layers, Platforms, Progress, Verdict, Verification};
