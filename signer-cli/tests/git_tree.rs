//! Publishing into a git work tree: two people with a clone each, and a publish that is killed at each step.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::client::Reader;
use support::{Desk, NAME, Said, copy};

fn is_missing() -> bool {
    let there = Command::new("git").arg("--version").output().is_ok();
    if !there {
        assert!(std::env::var_os("HALLMARK_NO_SKIPS").is_none(), "git is not installed");
        eprintln!("SKIPPED: git is not installed");
    }
    !there
}

fn git(dir: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.arg("-C").arg(dir).args(["-c", "user.name=Alice", "-c", "user.email=alice@example.com"]);
    let output = command.args(arguments).env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "git {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// A work tree `site` with a commit of somebody else.
fn site(desk: &Desk) -> PathBuf {
    let tree = desk.path("site");
    fs::create_dir(&tree).unwrap();
    git(&tree, &["init", "--quiet", "--initial-branch=main"]);
    fs::write(tree.join("index.html"), "hello\n").unwrap();
    git(&tree, &["add", "."]);
    git(&tree, &["commit", "--quiet", "-m", "Begin"]);
    tree
}

fn publish_to_site(desk: &Desk) {
    let config = desk.path("trust/signer.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("publish-to = \"git:../site/trust\"\n{text}")).unwrap();
}

/// What a client finds in the folder that a web server would serve.
fn reader(desk: &Desk, tree: &Path) -> Reader {
    let metadata = tree.join("trust/metadata");
    Reader::new(fs::read(desk.path("trust/root.json")).unwrap(), metadata)
}

#[test]
fn every_publish_is_a_commit_and_the_folder_is_what_clients_read() {
    if is_missing() {
        return;
    }
    let desk = Desk::published();
    let tree = site(&desk);
    let said = desk.signer(&["publish", "--to", "git:site/trust"]).ok();
    assert!(said.stderr.contains("carried what was published over to git:site/trust"), "{}", said.stderr);
    assert!(reader(&desk, &tree).find(NAME).is_some());
    // From then on it is where signer.toml says, wherever signer is started.
    publish_to_site(&desk);
    let before: u32 = git(&tree, &["rev-list", "--count", "HEAD"]).parse().unwrap();
    let digest = desk.add("two");
    desk.signer(&["publish"]).ok();
    desk.signer(&["role", "rotate", "root", "--unencrypted-keys"]).ok();
    desk.signer(&["publish"]).ok();
    desk.signer(&["refresh", "--within", "400d"]).ok();
    let after: u32 = git(&tree, &["rev-list", "--count", "HEAD"]).parse().unwrap();
    assert_eq!((after - before, git(&tree, &["status", "--porcelain"]).as_str()), (3, ""));
    assert_eq!(reader(&desk, &tree).find(NAME).unwrap().0, digest);
    desk.signer(&["status"]).ok();
    // Each commit is a whole state.
    for back in 0..3 {
        let old = desk.path(&format!("old-{back}"));
        let commit = format!("HEAD~{back}");
        git(&tree, &["worktree", "add", "--quiet", "--detach", old.to_str().unwrap(), &commit]);
        assert_eq!(reader(&desk, &old).find(NAME).unwrap().0, digest);
    }
}

#[test]
fn two_people_with_a_clone_each_lose_nothing() {
    if is_missing() {
        return;
    }
    let alice = Desk::published();
    let tree = site(&alice);
    let bare = alice.path("bare.git");
    git(alice.dir.path(), &["clone", "--quiet", "--bare", tree.to_str().unwrap(), bare.to_str().unwrap()]);
    fs::remove_dir_all(&tree).unwrap();
    let bob = Desk::new();
    copy(&alice.path("trust"), &bob.path("trust"));
    for desk in [&alice, &bob] {
        git(desk.dir.path(), &["clone", "--quiet", bare.to_str().unwrap(), "site"]);
    }
    let to = ["--to", "git:site/trust"];
    alice.signer(&[&["publish"], &to[..]].concat()).ok();
    for round in 0..3 {
        let names = ["alice", "bob"].map(|name| format!("registry.example.com/acme/{name}:{round}"));
        for (desk, name) in [&alice, &bob].iter().zip(&names) {
            desk.image("one");
            desk.signer(&[&["add", "oci:one:1.4", "--as", name], &to[..]].concat()).ok();
        }
        let children = [&alice, &bob].map(|desk| desk.start(&[&["publish"], &to[..]].concat()));
        for child in children {
            Said::of(&child.wait_with_output().unwrap()).ok();
        }
        let server = alice.path(&format!("server-{round}"));
        git(alice.dir.path(), &["clone", "--quiet", bare.to_str().unwrap(), server.to_str().unwrap()]);
        let reader = reader(&alice, &server);
        for name in &names {
            assert!(reader.find(name).is_some(), "{name} is lost");
        }
        for desk in [&alice, &bob] {
            assert_eq!(git(&desk.path("site"), &["status", "--porcelain", "--untracked-files=all"]), "");
        }
    }
}

/// A server behind ssh: the program `ssh` here writes down how it was called, and is the server itself.
#[test]
fn it_is_pushed_over_ssh_which_asks_nobody() {
    if is_missing() {
        return;
    }
    let desk = Desk::published();
    let tree = site(&desk);
    let bare = desk.path("bare.git");
    git(desk.dir.path(), &["clone", "--quiet", "--bare", tree.to_str().unwrap(), bare.to_str().unwrap()]);
    git(&tree, &["remote", "add", "origin", &format!("ssh://git@git.example.com{}", bare.display())]);
    git(&tree, &["config", "branch.main.remote", "origin"]);
    git(&tree, &["config", "branch.main.merge", "refs/heads/main"]);
    let (folder, log) = (desk.path("programs"), desk.path("calls"));
    fs::create_dir(&folder).unwrap();
    let text = format!(
        "#!/bin/sh\necho \"$@\" >> '{}'\nfor last; do :; done\nexec sh -c \"$last\"\n",
        log.display()
    );
    fs::write(folder.join("ssh"), text).unwrap();
    fs::set_permissions(folder.join("ssh"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths([folder].into_iter().chain(std::env::split_paths(&path))).unwrap();
    let publish = || {
        let mut command = desk.command(&["publish", "--to", "git:site/trust"]);
        Said::of(&command.env("PATH", &path).output().unwrap())
    };
    publish().ok();
    assert_eq!(git(&bare, &["rev-parse", "main"]), git(&tree, &["rev-parse", "HEAD"]));
    let calls = fs::read_to_string(log).unwrap();
    assert!(calls.contains("git-receive-pack"), "{calls}");
    assert!(calls.lines().all(|call| call.starts_with("-o BatchMode=yes ")), "{calls}");
    // Nobody to push to.
    fs::rename(&bare, desk.path("away.git")).unwrap();
    publish().failed(3, &["git:site/trust can't be used", "can't be reached"]);
}

/// A program `git` that ends its caller at the n-th call: before git does anything, or after it did.
fn deadly(desk: &Desk, at: u32, after: bool) -> PathBuf {
    let real = std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|folder| folder.join("git"))
        .find(|path| path.exists())
        .unwrap();
    let (folder, count) = (desk.path("deadly"), desk.path("calls"));
    let _ = fs::create_dir(&folder);
    let _ = fs::remove_file(&count);
    let (real, count) = (real.display(), count.display());
    let run = if after { format!("{real} \"$@\"\n") } else { String::new() };
    let text = format!(
        "#!/bin/sh\necho x >> '{count}'\nif [ \"$(wc -l < '{count}')\" = {at} ]; then\n\
         {run}kill -9 $PPID\nexit 1\nfi\nexec {real} \"$@\"\n"
    );
    fs::write(folder.join("git"), text).unwrap();
    fs::set_permissions(folder.join("git"), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

#[test]
fn a_publish_that_is_killed_at_any_call_of_git_leaves_the_old_state_or_the_new() {
    if is_missing() {
        return;
    }
    let desk = Desk::published();
    let tree = site(&desk);
    publish_to_site(&desk);
    let publish = ["publish"];
    desk.signer(&publish).ok();
    let path = std::env::var_os("PATH").unwrap();
    let (mut killed, mut number) = (0, 0);
    let mut last = reader(&desk, &tree).find(NAME).unwrap().0;
    for at in 1.. {
        // Before a call and after the one before it is the same moment, but for what git itself leaves.
        let folder = deadly(&desk, at, at % 2 == 0);
        number += 1;
        let next = desk.add(&format!("image-{number}"));
        let found = std::env::join_paths([folder].into_iter().chain(std::env::split_paths(&path))).unwrap();
        let output = desk.command(&publish).env("PATH", found).output().unwrap();
        let there = reader(&desk, &tree).find(NAME).unwrap().0;
        if output.status.success() {
            assert!(killed > 20, "{killed}");
            assert_eq!(there, next);
            return;
        }
        killed += 1;
        assert!(there == last || there == next, "call {at}");
        desk.signer(&publish).ok();
        assert_eq!(reader(&desk, &tree).find(NAME).unwrap().0, next, "after call {at} and a publish");
        assert_eq!(git(&tree, &["status", "--porcelain", "--untracked-files=all"]), "", "call {at}");
        last = next;
    }
}
