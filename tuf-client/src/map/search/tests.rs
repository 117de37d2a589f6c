//! Asking several at once, over repositories that are no more than an answer.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use tuf_core::schema::Target;

use super::*;

/// Answers only once the one before it in time has.
struct After {
    content: &'static [u8],
    wait: Option<Mutex<Receiver<()>>>,
    tell: Option<Mutex<Sender<()>>>,
}

impl Ask for After {
    fn ask(&self, _path: &str) -> Said {
        if let Some(other) = &self.wait {
            // Only where repositories are asked one after the other is there nobody to wait for.
            other.lock().unwrap().recv_timeout(Duration::from_secs(30)).expect("the other was not asked");
        }
        if let Some(other) = &self.tell {
            other.lock().unwrap().send(()).unwrap();
        }
        Said::Listed(Target::of(self.content))
    }
}

#[test]
fn repositories_are_asked_at_once_and_heard_in_the_order_of_the_map() {
    let map = RepositoryMap::parse(
        br#"{ "repositories": { "a": ["/a"], "b": ["/b"] },
              "mapping": [ { "paths": ["*"], "repositories": ["b", "a"], "terminating": true, "threshold": 1 } ] }"#,
    )
    .unwrap();
    // The first of the list answers last.
    let (tell, wait) = channel();
    let first = After { content: b"b", wait: Some(Mutex::new(wait)), tell: None };
    let second = After { content: b"a", wait: None, tell: Some(Mutex::new(tell)) };
    let members: BTreeMap<String, Box<dyn Ask>> =
        BTreeMap::from([("a".into(), Box::new(second) as _), ("b".into(), Box::new(first) as _)]);
    let found = MultiRepo { map, members }.find("x").unwrap();
    assert_eq!(found.target, Target::of(b"b"));
    assert_eq!(found.statements.iter().map(|one| one.repository.as_str()).collect::<Vec<_>>(), ["b", "a"]);
}

#[test]
fn no_name_of_a_repository_leaves_its_folder() {
    for (name, folder) in
        [("PyPI", "PyPI"), ("..", "%2E%2E"), ("a/b", "a%2Fb"), ("é_-%", "%C3%A9_-%25"), (".", "%2E")]
    {
        assert_eq!(folder_name(name), folder);
    }
}
