//! 5.2 and 5.3: from the root that was handed over to the newest one, by way of those accepted before.
//!
//! A crash between any two writes leaves a store from which the next update goes on. Each root of the
//! history is kept before its successor. Then what a rotation takes away is forgotten, so that an older
//! timestamp can't come back under the old key; and last, `root.json` becomes the new root. It is the mark
//! of what timestamp and snapshot were accepted under: while it is behind, the rotation is still to do.

use std::sync::Arc;

use tuf_core::{CurrentRoot, Instant, Reason, Refusal, Role, TrustedRoot, limits, metadata_file_name};

use super::Session;
use crate::error::ClientError;
use crate::face::Face;
use crate::sources::{Absence, Ask};
use crate::store::ROOT_HISTORY;

/// The newest root so far, and the bytes of those that are not kept yet.
struct Walk {
    newest: TrustedRoot,
    bytes: Vec<u8>,
    accepted: Vec<(u64, Vec<u8>)>,
}

impl<T: Face + ?Sized> Session<T> {
    pub(super) async fn current_root(&self, now: Instant) -> Result<CurrentRoot, ClientError> {
        let mut walk = self.kept_roots(now)?;
        // Where the walk fails on the way, what was accepted until then is kept all the same (5.3.8).
        let ended = self.walk_roots(&mut walk).await;
        self.keep_roots(&walk, now)?;
        ended?;
        walk.newest.current().map_err(|refusal| self.expired_offline(refusal))
    }

    /// The roots that were accepted before. One that doesn't follow is damage, and the walk begins there.
    fn kept_roots(&self, now: Instant) -> Result<Walk, ClientError> {
        let mut newest = self.bootstrap(&self.config.root, now)?;
        let mut bytes = self.config.root.clone();
        let mark = self.store().read("root.json", limits::ROOT_BYTES)?;
        for _ in 0..limits::ROOT_STEPS {
            let name = old_root(newest.version().saturating_add(1));
            let Some(kept) = self.store().read(&name, limits::ROOT_BYTES)? else { break };
            let Ok(next) = newest.next(&kept) else { break };
            (newest, bytes) = (next, kept);
            if mark.as_ref() == Some(&bytes) {
                newest = newest.resumed();
            }
        }
        Ok(Walk { newest, bytes, accepted: Vec::new() })
    }

    /// 5.3.3 to 5.3.9.
    async fn walk_roots(&self, walk: &mut Walk) -> Result<(), ClientError> {
        if self.config.offline {
            return Ok(());
        }
        for _ in 0..limits::ROOT_STEPS {
            let version = walk.newest.version().saturating_add(1);
            let name = metadata_file_name("root", Some(version));
            let ask = Ask {
                role: &Role::Root,
                name: &name,
                limit: limits::ROOT_BYTES,
                known: None,
                absence: Absence::Ends,
            };
            let newest = walk.newest.clone();
            let asked = self.mirrors.ask(&ask, &self.budget, |bytes| Ok(newest.next(bytes)?));
            let Some(answer) = asked.await? else { break };
            walk.newest = answer.value;
            walk.bytes.clone_from(&answer.bytes);
            walk.accepted.push((version, Arc::unwrap_or_clone(answer.bytes)));
        }
        Ok(())
    }

    fn keep_roots(&self, walk: &Walk, now: Instant) -> Result<(), ClientError> {
        let kept = self.store().read("root.json", limits::ROOT_BYTES)?;
        self.not_before_kept(kept.as_deref(), &walk.newest, now)?;
        for (version, bytes) in &walk.accepted {
            self.store().write(&old_root(*version), bytes)?;
        }
        if walk.newest.rotated() {
            // 5.3.11, before `root.json` says that it is done.
            self.store().remove("timestamp.json")?;
            self.store().remove("snapshot.json")?;
        }
        if kept.as_ref() != Some(&walk.bytes) {
            self.store().write("root.json", &walk.bytes)?;
        }
        Ok(())
    }

    /// A root older than the one accepted last would bring back keys that were taken away. It can only
    /// come up when the history was damaged and the repository doesn't show what follows.
    fn not_before_kept(
        &self,
        kept: Option<&[u8]>,
        newest: &TrustedRoot,
        now: Instant,
    ) -> Result<(), ClientError> {
        let kept = kept.and_then(|bytes| self.bootstrap(bytes, now).ok());
        match kept.map(|kept| kept.version()).filter(|kept| *kept > newest.version()) {
            Some(expected) => {
                let reason = Reason::Version { expected, got: newest.version() };
                Err(Refusal { role: Role::Root, step: "5.3.5", reason }.into())
            }
            None => Ok(()),
        }
    }
}

/// The name under which an accepted root is kept.
fn old_root(version: u64) -> String {
    format!("{ROOT_HISTORY}{}", metadata_file_name("root", Some(version)))
}
