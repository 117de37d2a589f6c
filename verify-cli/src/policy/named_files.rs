//! The files that rules name, and whether they are what rules need: looked at before anybody relies on them.

use std::path::Path;

use image_evidence::SigstoreRoot;
use image_policy::{RootOfTrust, Scope};
use tuf_core::limits::ROOT_BYTES;

use super::{Rulebook, key_id, root};
use crate::access::bootstrapped;
use crate::evidence;
use crate::evidence_args::SignerArgs;
use crate::failure::Failure;
use crate::files;

impl Rulebook {
    /// What a scope names and can't be used, each with the reason.
    pub(crate) fn unusable(&self, scope: &Scope) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let mut look = |read: Result<(), String>| {
            if let Err(why) = read
                && !found.contains(&why)
            {
                found.push(why);
            }
        };
        let what = |failure: Failure| failure.what().to_owned();
        if let Some(trust) = &scope.trust {
            look(root(self, trust).map(drop).map_err(what));
            if let RootOfTrust::File(file) = &trust.root {
                look(usable_root(&self.beside(file)).map_err(what));
            }
        }
        let vex = scope.scan.iter().flat_map(|scan| &scan.vex_keys);
        for key in scope.key_files().into_iter().chain(vex) {
            look(key_id(&self.beside(key)).map(drop));
        }
        if let Some(file) = scope.trusted_root().map(|file| self.beside(file)) {
            let parsed = evidence::read(&file)
                .and_then(|text| SigstoreRoot::from_json(&text).map(drop).map_err(evidence::bad(&file)));
            look(parsed.map_err(what));
        }
        let policy = scope.signers.as_ref().and_then(|signers| signers.notation_policy.as_ref());
        if let Some(file) = policy {
            let notation_policy = Some(self.beside(file));
            let args = SignerArgs { notation_policy, ..SignerArgs::default() };
            look(evidence::trust(&args).map(drop).map_err(what));
        }
        if let Some(db) = scope.scan.as_ref().and_then(|scan| scan.db.as_ref()) {
            let db = self.beside(db);
            look(std::fs::File::open(&db).map(drop).map_err(|why| what(files::unusable(&db, &why))));
        }
        found
    }
}

fn usable_root(file: &Path) -> Result<(), Failure> {
    let root = bootstrapped(&files::bytes(file, ROOT_BYTES)?);
    root.map(drop).map_err(|failure| files::unusable(file, &failure.what()))
}
