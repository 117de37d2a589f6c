//! The proof as a tree: from the name and its root of trust down to each blob, and what each link rests on.
//!
//! It says nothing that the links don't: it shows what hangs on what.

use oci_image::{Descriptor, Manifest};
use serde::Serialize;

use crate::image::VerifiedImage;
use crate::proof::{Link, Stage};
use crate::verify::Verdict;

/// A link, and those that hang on it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Node {
    /// The link.
    pub link: Link,
    /// What it rests on: why the link above vouches for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rests_on: Option<&'static str>,
    /// What was not looked at here, where it isn't all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<String>,
    /// What hangs on it, in the order of the chain.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Node>,
}

/// The tree of a verdict; none where there is no link.
#[must_use]
pub fn tree(verdict: &Verdict) -> Option<Node> {
    let mut top = tree_of(&verdict.proof().links)?;
    if let Verdict::Trusted(image) = verdict {
        top.leave_out(&left_out(image));
    }
    Some(top)
}

/// The tree of a trusted image.
#[must_use]
pub fn tree_of_image(image: &VerifiedImage) -> Option<Node> {
    let mut top = tree_of(&image.proof().links)?;
    top.leave_out(&left_out(image));
    Some(top)
}

/// The tree of links as they came, one after the other.
#[must_use]
pub fn tree_of(links: &[Link]) -> Option<Node> {
    // Everything hangs on the name; of a name that was denied at once there is only that link.
    let at = links.iter().position(|link| link.stage == Stage::Reference).unwrap_or(0);
    let top = Node::of(links.get(at)?.clone());
    let mut open = vec![(0, top)];
    for (_, link) in links.iter().enumerate().filter(|(place, _)| *place != at) {
        let depth = depth(link.stage);
        let nests = link.stage == Stage::Targets;
        // A role to which another one delegates hangs on that one.
        let ends = |last: u8| if nests { last > depth } else { last >= depth };
        while open.len() > 1 && open.last().is_some_and(|(last, _)| ends(*last)) {
            close(&mut open);
        }
        open.push((depth, Node::of(link.clone())));
    }
    while open.len() > 1 {
        close(&mut open);
    }
    open.pop().map(|(_, top)| top)
}

fn close(open: &mut Vec<(u8, Node)>) {
    if let Some((_, node)) = open.pop()
        && let Some((_, parent)) = open.last_mut()
    {
        parent.children.push(node);
    }
}

/// How far below the name a stage is.
fn depth(stage: Stage) -> u8 {
    match stage {
        Stage::Reference => 0,
        Stage::Trust | Stage::Policy | Stage::Evidence | Stage::Scan => 1,
        Stage::Root => 2,
        Stage::Timestamp => 3,
        Stage::Snapshot => 4,
        Stage::Targets => 5,
        Stage::Target => 6,
        Stage::Manifest => 7,
        Stage::Child => 8,
        Stage::Config | Stage::Layer => 9,
    }
}

impl Node {
    fn of(link: Link) -> Self {
        let rests_on = rests_on(&link);
        Self { link, rests_on, left_out: None, children: Vec::new() }
    }

    /// How many links there are below, this one included.
    #[must_use]
    pub fn count(&self) -> usize {
        self.children.iter().fold(1, |sum: usize, child| sum.saturating_add(child.count()))
    }

    fn leave_out(&mut self, what: &Option<String>) {
        if self.link.stage == Stage::Manifest {
            self.left_out.clone_from(what);
        }
        self.children.iter_mut().for_each(|child| child.leave_out(what));
    }
}

/// Why the link above vouches for this one, where it holds.
fn rests_on(link: &Link) -> Option<&'static str> {
    use crate::proof::Status::{Deferred, Passed};
    if !matches!(link.status, Passed | Deferred) {
        return None;
    }
    Some(match link.stage {
        Stage::Reference | Stage::Policy | Stage::Evidence | Stage::Scan => return None,
        Stage::Trust => "whoever verifies chose it",
        Stage::Root => {
            "each root since the trusted one is signed by the keys of the one before and by its own"
        }
        Stage::Timestamp => "signed by the keys that the root names for it",
        Stage::Snapshot => "named by the timestamp, and signed by the keys that the root names for it",
        Stage::Targets if link.subject == "targets" => {
            "named by the snapshot, and signed by the keys that the root names for it"
        }
        Stage::Targets => "named by the snapshot, and signed by the keys that the role above names for it",
        Stage::Target => "the role above lists it",
        Stage::Manifest => "its length and hash are those that the target states",
        Stage::Child => {
            "needs no signature of its own: the index, whose own digest is signed, names its digest and size"
        }
        Stage::Config | Stage::Layer => "the manifest names its digest and size",
    })
}

/// Of an index of which not everything was verified: what wasn't.
fn left_out(image: &VerifiedImage) -> Option<String> {
    let Ok(Manifest::Index(index)) = Manifest::parse(image.bytes(), Some(&image.descriptor().media_type))
    else {
        return None;
    };
    let verified = |entry: &&Descriptor| image.parts().any(|part| part.descriptor().digest == entry.digest);
    let others: Vec<_> = index.manifests.iter().filter(|entry| !verified(entry)).collect();
    let name = |entry: &&Descriptor| match &entry.platform {
        Some(platform) if !entry.is_attestation() => platform.to_string(),
        _ if entry.is_attestation() => format!("attestations in {}", entry.digest),
        _ => entry.digest.to_string(),
    };
    let names: Vec<_> = others.iter().map(name).collect();
    let (all, left) = (index.manifests.len(), others.len());
    (left > 0).then(|| format!("{left} of {all} that the index lists: {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::Status;

    fn drawn(stages: &[(Stage, &str)]) -> String {
        let links: Vec<_> =
            stages.iter().map(|(stage, subject)| Link::new(*stage, Status::Passed, *subject, "")).collect();
        fn draw(node: &Node) -> String {
            let below: Vec<_> = node.children.iter().map(draw).collect();
            match below.is_empty() {
                true => node.link.subject.clone(),
                false => format!("{}({})", node.link.subject, below.join(" ")),
            }
        }
        tree_of(&links).map(|top| draw(&top)).unwrap_or_default()
    }

    #[test]
    fn each_link_hangs_on_the_one_that_vouches_for_it() {
        use Stage::{
            Child, Config, Evidence, Layer, Manifest, Policy, Reference, Root, Scan, Snapshot, Target,
            Targets, Timestamp, Trust,
        };
        let chain = [
            (Trust, "trust"),
            (Reference, "name"),
            (Root, "root"),
            (Timestamp, "timestamp"),
            (Snapshot, "snapshot"),
            (Targets, "targets"),
            (Targets, "team"),
            (Target, "target"),
            (Manifest, "index"),
            (Child, "amd64"),
            (Config, "c1"),
            (Layer, "l1"),
            (Layer, "l2"),
            (Child, "arm64"),
            (Config, "c2"),
            (Policy, "policy"),
            (Evidence, "evidence"),
            (Scan, "scan"),
        ];
        assert_eq!(
            drawn(&chain),
            "name(trust(root(timestamp(snapshot(targets(team(target(index(amd64(c1 l1 l2) arm64(c2))))))))) \
             policy evidence scan)"
        );
        assert_eq!(drawn(&chain[..4]), "name(trust(root(timestamp)))");
        assert_eq!(
            drawn(&[(Trust, "trust"), (Reference, "name"), (Timestamp, "broken")]),
            "name(trust(broken))"
        );
        assert_eq!(drawn(&[(Policy, "denied")]), "denied");
        assert_eq!(drawn(&[]), "");
    }
}
