//! What `verify pull` wrote, and what `verify image` names, in podman and docker.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::images::busybox;
use crate::publisher::Publisher;
use crate::registry::Registry;
use crate::support::{copy, have, oci, run, say, skopeo, succeeds};

/// What a container needs where root may not raise limits.
const ULIMITS: [&str; 4] = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"];

/// A signed image in a registry, and the layout that was pulled of it.
struct Pulled {
    publisher: Publisher,
    _registry: Registry,
    name: String,
    layout: PathBuf,
}

fn pulled() -> Option<Pulled> {
    if !have(&["docker-registry", "skopeo"]) {
        return None;
    }
    let publisher = Publisher::init()?;
    let built = busybox(&publisher.path(""), "hello")?;
    let registry = Registry::start();
    let name = registry.name("web:1.4");
    copy(&oci(&built, "1.4"), &registry.docker("web:1.4"));
    publisher.publish(&[&name]);
    let layout = publisher.pull(&name, "out", "1.4", &[]);
    Some(Pulled { publisher, _registry: registry, name, layout })
}

#[test]
fn podman_runs_what_was_pulled() {
    let Some(image) = have(&["podman", "runc"]).then(pulled).flatten() else { return };
    let home = image.publisher.path("podman");
    let podman = |arguments: &[&str]| {
        let mut command = Command::new("podman");
        command.args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "file"]);
        command.arg("--root").arg(home.join("root")).arg("--runroot").arg(home.join("run"));
        command.args(["--runtime", "runc"]).args(arguments);
        command
    };
    // podman names the image after the path, which must then be in lower case: the path from here is.
    let mut pull = podman(&["pull", "--quiet", "oci:out:1.4"]);
    let id = succeeds(pull.current_dir(image.publisher.path("")));
    let said = run(podman(&["run", "--rm", "--network", "none"]).args(ULIMITS).arg(&id));
    // Where the machine allows no container, it is not the image's fault.
    match said.code {
        Some(0) => assert_eq!(said.stdout, "hello\n"),
        _ => say(&format!("SKIPPED: podman can't run a container here: {}", said.stderr)),
    }
    // A container store is mounted where it was used.
    let _ = run(&mut podman(&["rmi", "--force", &id]));
}

/// A Docker daemon with a folder of its own. Ends when dropped.
struct Dockerd {
    child: Child,
    socket: String,
}

impl Dockerd {
    fn start(home: &Path) -> Option<Self> {
        std::fs::create_dir_all(home).unwrap();
        let socket = format!("unix://{}", home.join("s").display());
        let log = File::create(home.join("log")).unwrap();
        let mut command = Command::new("dockerd");
        command.arg("--data-root").arg(home.join("data")).arg("--exec-root").arg(home.join("exec"));
        command.arg("--pidfile").arg(home.join("pid")).args(["--host", &socket, "--storage-driver", "vfs"]);
        command.args(["--iptables=false", "--ip6tables=false", "--bridge=none"]);
        let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
        command.env("PATH", path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let daemon = Self { child: command.spawn().ok()?, socket };
        let up = (0..60).any(|_| {
            std::thread::sleep(Duration::from_millis(500));
            run(&mut daemon.docker(&["version"])).code == Some(0)
        });
        if up {
            return Some(daemon);
        }
        let log = std::fs::read_to_string(home.join("log")).unwrap_or_default();
        let last: Vec<_> = log.lines().rev().take(3).collect();
        say(&format!("SKIPPED: dockerd does not start here: {last:#?}"));
        None
    }

    fn docker(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(["--host", &self.socket]).args(arguments);
        command
    }
}

impl Drop for Dockerd {
    /// Asks it to end, so that it ends the containerd that it started.
    fn drop(&mut self) {
        let _ = run(Command::new("kill").args(["-TERM", &self.child.id().to_string()]));
        let _ = self.child.wait();
    }
}

#[test]
fn docker_loads_what_was_pulled_and_pulls_what_was_verified() {
    let Some(image) = have(&["dockerd", "docker"]).then(pulled).flatten() else { return };
    // The path of a socket is short by law: not within the publisher's folder.
    let home = tempfile::tempdir().unwrap();
    let Some(daemon) = Dockerd::start(home.path()) else { return };
    let archive = image.publisher.path("web.tar").display().to_string();
    let target = format!("docker-archive:{archive}:acme/web:1.4");
    succeeds(&mut skopeo(&["copy", "--quiet", &oci(&image.layout, "1.4"), &target]));
    succeeds(&mut daemon.docker(&["load", "--input", &archive]));
    let said = run(&mut daemon.docker(&["run", "--rm", "--network", "none", "acme/web:1.4"]));
    match said.code {
        Some(0) => assert_eq!(said.stdout, "hello\n"),
        _ => say(&format!("SKIPPED: docker can't run a container here: {}", said.stderr)),
    }

    let pinned = image.publisher.trusted(&[&image.name]);
    succeeds(&mut daemon.docker(&["pull", "--quiet", &pinned]));
    let id = |image: &str| succeeds(&mut daemon.docker(&["image", "inspect", "--format={{.Id}}", image]));
    assert_eq!(id(&pinned), id("acme/web:1.4"), "the same configuration");
}
