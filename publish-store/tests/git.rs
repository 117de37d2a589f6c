//! A folder of a git work tree, with the program git: alone, with an upstream, and beside other people's work.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod contract;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use contract::{publish, seen};
use publish_store::{Access, Place, Store, StoreError, open};

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

/// A work tree with one commit and a file of somebody else.
fn work_tree(dir: &Path) -> PathBuf {
    let tree = dir.join("site");
    fs::create_dir_all(&tree).unwrap();
    git(&tree, &["init", "--quiet", "--initial-branch=main"]);
    fs::write(tree.join("index.html"), "hello\n").unwrap();
    git(&tree, &["add", "."]);
    git(&tree, &["commit", "--quiet", "-m", "Begin"]);
    tree
}

/// A bare repository, and clones of it.
fn with_upstream(dir: &Path) -> (PathBuf, PathBuf, PathBuf) {
    let tree = work_tree(dir);
    let bare = dir.join("bare.git");
    git(dir, &["clone", "--quiet", "--bare", tree.to_str().unwrap(), bare.to_str().unwrap()]);
    let clones = ["one", "two"].map(|name| {
        git(dir, &["clone", "--quiet", bare.to_str().unwrap(), name]);
        dir.join(name)
    });
    let [one, two] = clones;
    (bare, one, two)
}

fn store(dir: &Path) -> Box<dyn Store> {
    let place: Place = format!("git:{}/trust", dir.display()).parse().unwrap();
    open(&place, &Access::default()).unwrap()
}

fn store_on(dir: &Path, branch: &str) -> Box<dyn Store> {
    let place: Place = format!("git:{}/trust#{branch}", dir.display()).parse().unwrap();
    open(&place, &Access::default()).unwrap()
}

#[test]
fn a_work_tree_keeps_the_contract() {
    if is_missing() {
        return;
    }
    for contract in [
        contract::what_is_put_changes_nothing_before_it_is_led_to as fn(contract::Open<'_>),
        contract::a_version_is_written_once,
        contract::a_publish_that_stops_anywhere_leaves_the_old_state_or_the_new,
        |open| contract::of_many_publishers_one_wins_and_nobodys_files_are_lost(open, 3),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let tree = work_tree(folder.path());
        contract(&|| store(&tree));
        assert_eq!(git(&tree, &["status", "--porcelain"]), "", "the work tree holds what the branch does");
        assert_eq!(git(&tree, &["fsck", "--no-dangling", "--strict"]), "");
    }
}

#[test]
fn an_upstream_keeps_the_contract_and_two_clones_meet_there() {
    if is_missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (bare, one, two) = with_upstream(folder.path());
    let turn = std::sync::atomic::AtomicUsize::new(0);
    let either = || match turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 2 {
        0 => store(&one),
        _ => store(&two),
    };
    contract::of_many_publishers_one_wins_and_nobodys_files_are_lost(&either, 3);
    for clone in [&one, &two] {
        let state = seen(&*store(clone)).unwrap().0;
        publish(&*store(clone), state + 10).unwrap();
        assert_eq!(git(clone, &["status", "--porcelain"]), "");
        assert_eq!(git(clone, &["rev-parse", "HEAD"]), git(&bare, &["rev-parse", "main"]));
        let published = fs::read(clone.join("trust/metadata/timestamp.json")).unwrap();
        assert_eq!(published, store(clone).head().unwrap().unwrap().timestamp);
    }
    assert_eq!(git(&bare, &["show", "main:index.html"]), "hello");
}

#[test]
fn what_others_staged_or_changed_stays_and_is_in_no_commit() {
    if is_missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let tree = work_tree(folder.path());
    fs::write(tree.join("staged.html"), "staged\n").unwrap();
    git(&tree, &["add", "staged.html"]);
    fs::write(tree.join("index.html"), "changed\n").unwrap();
    fs::write(tree.join("untracked.html"), "untracked\n").unwrap();
    fs::create_dir(tree.join("trust")).unwrap();
    fs::write(tree.join("trust/README"), "mine\n").unwrap();
    publish(&*store(&tree), 1).unwrap();
    let status = git(&tree, &["status", "--porcelain"]);
    assert_eq!(status, " M index.html\nA  staged.html\n?? trust/README\n?? untracked.html");
    let files = git(&tree, &["ls-tree", "-r", "--name-only", "HEAD"]);
    assert!(
        !files.contains("staged")
            && !files.contains("README")
            && files.contains("trust/metadata/timestamp.json")
    );
    assert_eq!(fs::read_to_string(tree.join("index.html")).unwrap(), "changed\n");
    assert_eq!(git(&tree, &["log", "-1", "--format=%s"]), "Publish trust metadata");
}

#[test]
fn what_somebody_wrote_into_our_files_is_not_overwritten() {
    if is_missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let tree = work_tree(folder.path());
    publish(&*store(&tree), 1).unwrap();
    let before = git(&tree, &["rev-parse", "HEAD"]);
    for file in
        ["trust/metadata/timestamp.json", "trust/metadata/1.targets.json", "trust/metadata/3.targets.json"]
    {
        let path = tree.join(file);
        let was = fs::read(&path).ok();
        fs::write(&path, "mine, and nowhere else").unwrap();
        let publisher = store(&tree);
        let token = publisher.head().unwrap().unwrap().token;
        for (name, bytes) in contract::files(3, 3) {
            publisher.put_metadata(&name, &bytes).unwrap();
        }
        let refused = publisher.advance(Some(&token), &contract::timestamp(3, 3), &[]).unwrap_err();
        assert!(refused.to_string().contains("changed and in no commit"), "{refused}");
        if was.is_some() {
            let refused = publisher.sweep().unwrap_err();
            assert!(refused.to_string().contains(file), "{refused}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine, and nowhere else");
        assert_eq!(git(&tree, &["rev-parse", "HEAD"]), before);
        was.map_or_else(|| fs::remove_file(&path).unwrap(), |was| fs::write(&path, was).unwrap());
    }
    // What git was stopped at has the beginning of what it wrote, and is nobody's.
    fs::write(tree.join("trust/metadata/1.targets.json"), &contract::files(1, 1)[3].1[..9]).unwrap();
    fs::remove_file(tree.join("trust/metadata/1.acme.json")).unwrap();
    publish(&*store(&tree), 2).unwrap();
    assert_eq!(git(&tree, &["status", "--porcelain"]), "");
}

/// git's short name for a branch is another one then.
#[test]
fn a_tag_of_the_branchs_name_leads_nobody_astray() {
    if is_missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let tree = work_tree(folder.path());
    publish(&*store(&tree), 1).unwrap();
    git(&tree, &["tag", "main", "HEAD~1"]);
    assert_eq!(seen(&*store(&tree)).unwrap().0, 1);
    publish(&*store(&tree), 2).unwrap();
    assert_eq!(git(&tree, &["for-each-ref", "--format=%(refname)", "refs/heads"]), "refs/heads/main");
    assert!(store_on(&tree, "main").head().unwrap().is_some());
}

#[test]
fn no_name_leaves_the_folder_or_reaches_into_the_repository() {
    if is_missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let tree = work_tree(folder.path());
    publish(&*store(&tree), 1).unwrap();
    let before = git(&tree, &["rev-parse", "HEAD"]);
    for name in [".git/config", "../../.git/hooks/pre-commit", "/etc/passwd", "a/./b", ".GIT/config", "a\nb"]
    {
        let publisher = store(&tree);
        let token = publisher.head().unwrap().unwrap().token;
        publisher.put_target(name, b"evil").unwrap();
        let refused = publisher.advance(Some(&token), &contract::timestamp(1, 1), &[]).unwrap_err();
        assert!(matches!(refused, StoreError::Malformed { .. }), "{name}: {refused}");
        assert_eq!(git(&tree, &["rev-parse", "HEAD"]), before, "{name}");
    }
    // What begins with a dash is a name as any other.
    let publisher = store(&tree);
    let token = publisher.head().unwrap().unwrap().token;
    publisher.put_target("--exec=evil/-f", b"image").unwrap();
    publisher.advance(Some(&token), &contract::timestamp(1, 1), &[]).unwrap();
    assert_eq!(fs::read(tree.join("trust/targets/--exec=evil/-f")).unwrap(), b"image");
    assert_eq!(git(&tree, &["status", "--porcelain"]), "");
}

#[test]
fn no_hook_runs_and_no_filter_changes_a_byte() {
    if is_missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let tree = work_tree(folder.path());
    fs::write(tree.join(".gitattributes"), "*.json text working-tree-encoding=UTF-16 ident filter=evil\n")
        .unwrap();
    git(&tree, &["config", "filter.evil.smudge", "tr a-z A-Z"]);
    git(&tree, &["config", "filter.evil.clean", "tr a-z A-Z"]);
    git(&tree, &["config", "filter.evil.required", "true"]);
    git(&tree, &["add", ".gitattributes"]);
    git(&tree, &["commit", "--quiet", "-m", "Rules"]);
    for hook in
        ["pre-commit", "post-commit", "post-checkout", "post-merge", "reference-transaction", "pre-push"]
    {
        let file = tree.join(".git/hooks").join(hook);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, format!("#!/bin/sh\ntouch '{}'\n", folder.path().join("ran").display())).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    git(&tree, &["config", "core.autocrlf", "true"]);
    let spy = folder.path().join("spy");
    fs::write(&spy, format!("#!/bin/sh\ntouch '{}'\n", folder.path().join("ran").display())).unwrap();
    fs::set_permissions(&spy, fs::Permissions::from_mode(0o755)).unwrap();
    git(&tree, &["config", "core.fsmonitor", spy.to_str().unwrap()]);
    let lines = b"{\n  \"signed\": 1\n}\n";
    let target = store(&tree);
    target.head().unwrap();
    target.put_metadata("1.targets.json", lines).unwrap();
    target.advance(None, &contract::timestamp(1, 1), &[]).unwrap();
    assert!(!folder.path().join("ran").exists());
    git(&tree, &["config", "--unset", "core.fsmonitor"]);
    assert_eq!(fs::read(tree.join("trust/metadata/1.targets.json")).unwrap(), lines);
    assert_eq!(store(&tree).metadata("1.targets.json", 100).unwrap().unwrap(), lines);
    // Rules of others are added to by themselves.
    fs::write(tree.join("trust/.gitattributes"), "* text eol=crlf\n").unwrap();
    git(&tree, &["commit", "--quiet", "-m", "Others", "trust/.gitattributes"]);
    let publisher = store(&tree);
    let token = publisher.head().unwrap().unwrap().token;
    let refused = publisher.advance(Some(&token), &contract::timestamp(2, 2), &[]).unwrap_err();
    assert!(refused.to_string().contains("expected the line \"/metadata/** -text"), "{refused}");
    // Whether git looks into a file depends on its times.
    let touched = fs::File::options().write(true).open(tree.join("trust/metadata/1.targets.json")).unwrap();
    touched.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let refused = publisher.sweep().unwrap_err();
    assert!(refused.to_string().contains("got the attribute text: set"), "{refused}");
    assert_eq!(fs::read(tree.join("trust/metadata/1.targets.json")).unwrap(), lines, "left as it is");
    git(&tree, &["revert", "--no-edit", "HEAD"]);
    publish(&*store(&tree), 3).unwrap();
    // Rules of this machine come before those of the repository.
    fs::create_dir_all(tree.join(".git/info")).unwrap();
    fs::write(tree.join(".git/info/attributes"), "*.json text eol=crlf\n").unwrap();
    let refused = publish(&*store(&tree), 4).unwrap_err();
    assert!(refused.to_string().contains("got the attribute text: set"), "{refused}");
    fs::remove_file(tree.join(".git/info/attributes")).unwrap();
    publish(&*store(&tree), 5).unwrap();
    // And in whoever's clone.
    let clone = folder.path().join("clone");
    git(folder.path(), &["-c", "core.autocrlf=true", "clone", "--quiet", tree.to_str().unwrap(), "clone"]);
    assert_eq!(fs::read(clone.join("trust/metadata/1.targets.json")).unwrap(), lines);
}

#[test]
fn a_branch_that_is_not_checked_out_leaves_the_work_tree_alone() {
    if is_missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let tree = work_tree(folder.path());
    let open = || store_on(&tree, "pages");
    contract::what_is_put_changes_nothing_before_it_is_led_to(&open);
    assert!(!tree.join("trust").exists());
    assert_eq!(git(&tree, &["status", "--porcelain"]), "");
    assert_eq!(
        git(&tree, &["rev-list", "--count", "pages"]),
        "2",
        "it began with nothing, and has two publishes"
    );
    assert_eq!(git(&tree, &["ls-tree", "--name-only", "pages"]), "trust");
}

#[test]
fn a_crash_before_the_work_tree_followed_is_repaired() {
    if is_missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let tree = work_tree(folder.path());
    publish(&*store(&tree), 1).unwrap();
    let before = git(&tree, &["rev-parse", "HEAD"]);
    publish(&*store(&tree), 2).unwrap();
    let after = git(&tree, &["rev-parse", "HEAD"]);
    // As if the machine had stopped right after the branch moved.
    git(&tree, &["reset", "--quiet", "--hard", &before]);
    git(&tree, &["update-ref", "refs/heads/main", &after]);
    assert_ne!(git(&tree, &["status", "--porcelain"]), "");
    store(&tree).sweep().unwrap();
    assert_eq!(git(&tree, &["status", "--porcelain"]), "");
    assert_eq!(seen(&*store(&tree)).unwrap().0, 2);
}

#[test]
fn commits_of_others_are_not_pushed_for_them() {
    if is_missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (bare, one, _) = with_upstream(folder.path());
    git(&one, &["commit", "--quiet", "--allow-empty", "-m", "Not ready"]);
    let refused = publish(&*store(&one), 1).unwrap_err();
    assert!(matches!(refused, StoreError::Malformed { .. }), "{refused}");
    assert!(refused.to_string().contains("main has commits that aren't in origin"), "{refused}");
    assert_eq!(git(&bare, &["log", "-1", "--format=%s", "main"]), "Begin");
}

#[test]
fn a_push_that_is_refused_or_goes_nowhere_says_so_and_publishes_nothing() {
    if is_missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (bare, one, _) = with_upstream(folder.path());
    publish(&*store(&one), 1).unwrap();
    let hook = bare.join("hooks/pre-receive");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, "#!/bin/sh\nexit 1\n").unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let refused = publish(&*store(&one), 2).unwrap_err();
    assert!(matches!(refused, StoreError::Denied { .. }), "{refused}");
    assert!(refused.to_string().contains("pre-receive hook declined"), "{refused}");
    assert_eq!(seen(&*store(&one)).unwrap().0, 1);
    fs::rename(&bare, folder.path().join("away.git")).unwrap();
    let lost = publish(&*store(&one), 2).unwrap_err();
    assert!(matches!(lost, StoreError::Unreachable { .. }), "{lost}");
    fs::rename(folder.path().join("away.git"), &bare).unwrap();
    fs::remove_file(&hook).unwrap();
    publish(&*store(&one), 3).unwrap();
    assert_eq!(seen(&*store(&one)).unwrap().0, 3);
    assert_eq!(git(&one, &["status", "--porcelain"]), "");
}

#[test]
fn what_others_push_meanwhile_is_kept_and_is_no_publish() {
    if is_missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (bare, one, two) = with_upstream(folder.path());
    publish(&*store(&one), 1).unwrap();
    let publisher = store(&one);
    let token = publisher.head().unwrap().unwrap().token;
    contract::files(2, 2).iter().for_each(|(name, bytes)| publisher.put_metadata(name, bytes).unwrap());
    git(&two, &["pull", "--quiet"]);
    fs::write(two.join("index.html"), "news\n").unwrap();
    git(&two, &["commit", "--quiet", "-a", "-m", "News"]);
    git(&two, &["push", "--quiet"]);
    publisher.advance(Some(&token), &contract::timestamp(2, 2), &[]).unwrap();
    assert_eq!(seen(&*store(&two)).unwrap().0, 2);
    assert_eq!(git(&bare, &["show", "main:index.html"]), "news");
    assert_eq!(fs::read_to_string(one.join("index.html")).unwrap(), "news\n", "the work tree came along");
    assert_eq!(git(&one, &["status", "--porcelain"]), "");
}

#[test]
fn a_link_in_the_branch_leads_no_write_elsewhere() {
    if is_missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (_, one, two) = with_upstream(folder.path());
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::create_dir(two.join("trust")).unwrap();
    std::os::unix::fs::symlink(&elsewhere, two.join("trust/metadata")).unwrap();
    git(&two, &["add", "."]);
    git(&two, &["commit", "--quiet", "-m", "A trap"]);
    git(&two, &["push", "--quiet"]);
    git(&one, &["pull", "--quiet"]);
    let refused = publish(&*store(&one), 1).unwrap_err();
    assert!(refused.to_string().contains("got the link"), "{refused}");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}

#[test]
fn what_is_no_work_tree_or_branch_is_told() {
    if is_missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let error = store(folder.path()).head().unwrap_err();
    assert!(error.to_string().contains("expected a folder in a git work tree"), "{error}");
    let tree = work_tree(folder.path());
    git(&tree, &["checkout", "--quiet", "--detach"]);
    let error = store(&tree).head().unwrap_err();
    assert!(error.to_string().contains("expected a branch, got a detached HEAD"), "{error}");
    git(&tree, &["worktree", "add", "--quiet", "../other", "main"]);
    let error = store_on(&tree, "main").head().unwrap_err();
    assert!(error.to_string().contains("checked out nowhere else"), "{error}");
    // An empty repository has a branch, and nothing on it.
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    git(&empty, &["init", "--quiet", "--initial-branch=main"]);
    publish(&*store(&empty), 1).unwrap();
    assert_eq!(seen(&*store(&empty)).unwrap().0, 1);
    assert_eq!(git(&empty, &["status", "--porcelain"]), "");
}
