//! One repository of a map, as the search sees it: it is asked for a path and says something.
//!
//! The only file of the map that knows [`Client`].

use super::answer::Said;
use crate::{Client, Found};

/// Is asked for a target.
pub(super) trait Ask: Send + Sync {
    fn ask(&self, path: &str) -> Said;
}

/// A repository: a client for each of its addresses, all over one store.
pub(super) struct Member {
    pub(super) first: Client,
    pub(super) mirrors: Vec<Client>,
}

impl Ask for Member {
    /// The first address that gives a state which is accepted speaks for the repository: the state is
    /// signed, and the store knows what was seen before. Where none does, a refusal says more than silence.
    fn ask(&self, path: &str) -> Said {
        let found = |client: &Client| client.refresh().and_then(|state| state.find(path));
        let mut answer = found(&self.first);
        for mirror in &self.mirrors {
            let Err(before) = &answer else { break };
            let next = found(mirror);
            if next.is_ok() || before.unreachable() {
                answer = next;
            }
        }
        match answer {
            Ok(Found::Target { target, .. }) => Said::Listed(target),
            Ok(Found::Absent(absent)) => Said::Absent(absent),
            Err(error) => Said::Failed(error),
        }
    }
}
