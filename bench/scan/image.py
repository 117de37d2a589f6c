#!/usr/bin/env python3
"""Makes the image that scanners are compared on: Debian 12 in eight layers, with what applications bring.

    bench/scan/image.py LAYOUT

Needs root, mmdebstrap, umoci, npm, pip and a network. Everything in it is published by others; versions are pinned but
for Debian's own. The layers, the lowest first:

  1 Debian 12, minbase             5 programs: uv (Rust, with its crates listed), esbuild (Go), tabula's jar (Java)
  2 packages by apt                6 some of apt's purged or removed, and a Python package: whiteouts
  3 Python packages, --target      7 Python packages in newer versions, and the application
  4 Node.js packages               8 a folder in the place of another: an opaque whiteout
"""
import json, os, pathlib, shutil, subprocess, sys, tarfile, tempfile, zipfile

APT = ["python3-yaml", "python3-requests", "curl", "git", "openssl", "libxml2-utils", "imagemagick-6-common",
       "sqlite3", "libpq5", "redis-tools"]
PYTHON = ["flask==2.0.1", "werkzeug==2.0.1", "django==3.2.4", "pillow==9.2.0", "requests==2.25.0", "pyyaml==6.0.1",
          "cryptography==41.0.1"]
NEWER = ["requests==2.32.3", "certifi==2024.8.30"]
NODE = ["express@4.16.0", "lodash@4.17.11", "minimist@1.2.0", "@babel/traverse@7.20.0", "semver@7.3.5"]
ESBUILD, UV, TABULA, LODASH = "@esbuild/linux-x64@0.19.0", "uv==0.13.9", "tabula-py==2.9.0", "lodash@4.17.21"


def run(*words, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{words}: {done.stderr[-2000:]}")
    return done.stdout


def pip(target, packages, *more):
    run(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile",
        "--only-binary=:all:", "--python-version=3.11", "--platform=manylinux2014_x86_64", "--implementation=cp",
        "--upgrade", "--target", target, *more, *packages)


def npm_pack(work, package, to):
    """Unpacks a published package as it is."""
    made = run("npm", "pack", "--silent", package, cwd=work).split()[-1]
    to.mkdir(parents=True, exist_ok=True)
    run("tar", "-xzf", work / made, "-C", to, "--strip-components=1")


def wheel(work, package):
    folder = work / package.split("==")[0]
    run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", folder, package,
        "--python-version=3.11", "--platform=manylinux2014_x86_64", "--implementation=cp")
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def apt(rootfs, *words):
    environment = {"DEBIAN_FRONTEND": "noninteractive", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
                   **{name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}}
    for name in ("etc/resolv.conf", "etc/hosts"):
        shutil.copy(f"/{name}", rootfs / name)
    run("chroot", rootfs, "apt-get", "-qq", "-o", "Dpkg::Options::=--force-unsafe-io", *words, env=environment)
    for name in ("etc/resolv.conf", "etc/hosts"):
        (rootfs / name).unlink()


def layers_in_a_bundle(work, rootfs):
    """Changes the root file system step by step; each step becomes a layer."""
    apt(rootfs, "update")
    apt(rootfs, "install", "--yes", "--no-install-recommends", *APT)
    for lists in ("var/lib/apt/lists", "var/cache/apt"):
        shutil.rmtree(rootfs / lists)
        (rootfs / lists).mkdir()
    yield "apt-get install"
    pip(rootfs / "opt/app", PYTHON)
    yield "pip install"
    web = rootfs / "srv/web"
    web.mkdir(parents=True)
    run("npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", web, *NODE)
    yield "npm install"
    bin, java = rootfs / "usr/local/bin", rootfs / "opt/java"
    npm_pack(work, ESBUILD, work / "esbuild")
    shutil.copy(work / "esbuild/bin/esbuild", bin / "esbuild")
    java.mkdir()
    for package, end, to in ((UV, "/scripts/uv", bin / "uv"), (TABULA, ".jar", java / "tabula.jar")):
        archive = wheel(work, package)
        member = next(name for name in archive.namelist() if name.endswith(end))
        to.write_bytes(archive.read(member))
        to.chmod(0o755)
    yield "COPY programs"
    apt(rootfs, "purge", "--yes", "redis-tools")
    # Leaves its configuration, and so a stanza in dpkg's status.
    apt(rootfs, "remove", "--yes", "imagemagick-6-common")
    for name in ("pillow", "Pillow", "PIL"):
        for path in (rootfs / "opt/app").glob(f"{name}*"):
            shutil.rmtree(path)
    yield "apt-get purge, rm"
    for path in (rootfs / "opt/app").glob("requests*"):
        shutil.rmtree(path)
    pip(rootfs / "opt/app", NEWER, "--no-deps")
    (rootfs / "opt/app/main.py").write_text("import flask\n")
    yield "pip install --upgrade"


def opaque_layer(work):
    """A folder that hides the one below, with another version of what was in it."""
    npm_pack(work, LODASH, work / "opaque")
    folder, path = "srv/web/node_modules/lodash", work / "opaque.tar"
    with tarfile.open(path, "w") as archive:
        marker = tarfile.TarInfo(f"{folder}/.wh..wh..opq")
        archive.addfile(tarfile.TarInfo(folder + "/"))
        archive.addfile(marker)
        archive.add(work / "opaque", folder, filter=lambda one: None if one.name == folder else one)
    return path


def make(layout):
    with tempfile.TemporaryDirectory() as temporary:
        work = pathlib.Path(temporary)
        image = f"{layout}:app"
        run("mmdebstrap", "--variant=minbase", "--mode=root", "--components=main", "bookworm", work / "base.tar")
        run("umoci", "init", "--layout", layout)
        run("umoci", "new", "--image", image)
        run("umoci", "raw", "add-layer", "--image", image, "--history.created_by", "debian", work / "base.tar")
        run("umoci", "unpack", "--image", image, work / "bundle")
        for step in layers_in_a_bundle(work, work / "bundle/rootfs"):
            run("umoci", "repack", "--refresh-bundle", "--history.created_by", step, "--image", image, work / "bundle")
        run("umoci", "raw", "add-layer", "--image", image, "--history.created_by", "COPY lodash", opaque_layer(work))
        run("umoci", "config", "--image", image, "--os", "linux", "--architecture", "amd64")
        run("umoci", "gc", "--layout", layout)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    make(pathlib.Path(sys.argv[1]).absolute())
