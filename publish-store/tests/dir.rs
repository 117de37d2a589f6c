//! A folder: what every place must do; disks that are full, read-only or gone; many files at once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod contract;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use contract::{publish, seen};
use publish_store::{DirStore, Store, StoreError};

#[test]
fn a_folder_keeps_the_contract() {
    for contract in [
        contract::what_is_put_changes_nothing_before_it_is_led_to as fn(contract::Open<'_>),
        contract::a_version_is_written_once,
        contract::a_publish_that_stops_anywhere_leaves_the_old_state_or_the_new,
        |open| contract::of_many_publishers_one_wins_and_nobodys_files_are_lost(open, 20),
    ] {
        let folder = tempfile::tempdir().unwrap();
        contract(&|| Box::new(DirStore::new(folder.path())));
    }
}

#[test]
fn many_files_are_written_at_once_and_whole() {
    let folder = tempfile::tempdir().unwrap();
    let store = DirStore::new(folder.path());
    let mut files = (0..300).map(|number| (format!("1.bins-{number}.json"), vec![b'x'; 1000]));
    let last = AtomicU32::new(0);
    store
        .put_all_metadata(&mut files, &|done| last.store(u32::try_from(done).unwrap(), Ordering::Relaxed))
        .unwrap();
    assert_eq!(last.into_inner(), 300);
    let count = fs::read_dir(folder.path().join("metadata")).unwrap().count();
    assert_eq!(count, 300, "and nothing unfinished");
}

/// A file system of its own, of this many kilobytes; unmounted when dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    fn of(kilobytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={kilobytes}k");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).output();
        if mount.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        // Only root may mount, and not in every container: nothing that a package could bring.
        eprintln!("SKIPPED: no file system can be mounted here");
        None
    }

    fn path(&self) -> PathBuf {
        self.0.path().to_owned()
    }

    fn remount(&self, options: &str) {
        let status =
            Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(self.0.path()).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

fn expect_io(result: Result<publish_store::Token, StoreError>, words: &str) {
    let error = result.unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error:?}");
    assert!(error.to_string().contains(words), "{error}");
}

fn unfinished(dir: &Path) -> usize {
    let entries = fs::read_dir(dir.join("metadata")).unwrap();
    entries
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("unfinished"))
        .count()
}

/// Fills a disk of a megabyte, and says how large the file became. A process that another test is just starting may
/// hold the file that was removed before, for a moment.
fn fill(filler: &Path) -> u64 {
    for _ in 0..100 {
        fs::write(filler, vec![0; 1100 * 1024]).unwrap_err();
        let full = fs::metadata(filler).unwrap().len();
        if full > 500 * 1024 {
            return full;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("the disk has no room, and nothing is on it");
}

#[test]
fn a_full_disk_leaves_the_old_state_and_nothing_unfinished() {
    // Room enough that the filler is always larger than what is given back: the kernel counts pages by processor.
    let Some(disk) = Disk::of(1024) else { return };
    let store = DirStore::new(disk.path().join("trust"));
    publish(&store, 1).unwrap();
    // Filled up to some room more for each try, so that it ends at another write.
    let filler = disk.path().join("filler");
    let mut failed = 0;
    for room in (0..40).step_by(4) {
        let full = fill(&filler);
        fs::File::options().write(true).open(&filler).unwrap().set_len(full - room * 1024).unwrap();
        let before = seen(&store).unwrap();
        match publish(&store, 100 + u32::try_from(room).unwrap()) {
            Ok(_) => {}
            refused => {
                expect_io(refused, "No space left on device");
                assert_eq!(seen(&store).unwrap(), before);
                failed += 1;
            }
        }
        assert_eq!(unfinished(&disk.path().join("trust")), 0);
        fs::remove_file(&filler).unwrap();
    }
    assert!(failed >= 3, "{failed}");
    publish(&store, 500).unwrap();
    assert_eq!(seen(&store).unwrap().0, 500);
}

#[test]
fn a_disk_that_may_not_be_written_is_named() {
    let Some(disk) = Disk::of(256) else { return };
    let store = DirStore::new(disk.path().join("trust"));
    publish(&store, 1).unwrap();
    disk.remount("ro");
    expect_io(publish(&store, 2), "Read-only file system");
    let token = store.head().unwrap().unwrap().token;
    expect_io(store.advance(Some(&token), b"{}", &[]), "Read-only file system");
    assert_eq!(seen(&store).unwrap().0, 1);
    disk.remount("rw");
    publish(&store, 2).unwrap();
    assert_eq!(seen(&store).unwrap().0, 2);
}

#[test]
fn a_folder_that_vanishes_half_way_is_no_publish() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, away) = (folder.path().join("trust"), folder.path().join("away"));
    let store = DirStore::new(&dir);
    publish(&store, 1).unwrap();
    let token = store.head().unwrap().unwrap().token;
    store.put_metadata("2.targets.json", b"{}").unwrap();
    fs::rename(&dir, &away).unwrap();
    let refused = store.advance(Some(&token), &contract::timestamp(2, 2), &[]).unwrap_err();
    assert!(matches!(refused, StoreError::Moved), "{refused}: what was led from isn't there");
    let _ = fs::remove_dir_all(&dir);
    fs::rename(&away, &dir).unwrap();
    assert_eq!(seen(&store).unwrap().0, 1);
    publish(&store, 2).unwrap();
    assert_eq!(seen(&store).unwrap().0, 2);
}

#[test]
fn what_is_served_can_be_read_by_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let store = DirStore::new(folder.path());
    publish(&store, 1).unwrap();
    for name in ["metadata/timestamp.json", "metadata/1.targets.json"] {
        let mode = fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o444, 0o444, "{name}");
    }
}
