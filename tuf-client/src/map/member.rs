//! One repository of a map, as the search sees it: it is asked for a path and says something.
//!
//! The only file of the map that knows [`Client`].

use crate::client::Client;
use crate::map::answer::Said;
use crate::state::Found;

/// Is asked for a target.
pub(super) trait Ask: Send + Sync {
    fn ask(&self, path: &str) -> Said;
}

/// A repository: one client, which asks the repository's addresses in their order.
pub(super) struct Member(pub(super) Client);

impl Ask for Member {
    fn ask(&self, path: &str) -> Said {
        match self.0.refresh().and_then(|state| state.find(path)) {
            Ok(Found::Target { target, .. }) => Said::Listed(target),
            Ok(Found::Absent(absent)) => Said::Absent(absent),
            Err(error) => Said::Failed(error),
        }
    }
}
