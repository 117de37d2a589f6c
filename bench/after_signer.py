#!/usr/bin/env python3
"""What clients of others say of a repository that `signer` publishes, after each of its operations.

    bench/after_signer.py [--signer PROGRAM] [--peers FOLDER]

Each operation is published; then each client refreshes and downloads an image's manifest twice, once with all that it
has kept since the first operation, and once as one that is new and has the first root. A client that can't read
something by design is expected to fail there, with the reason; whatever else fails, or unexpectedly works, makes the
exit code 1. Without --signer and --peers both are built, in debug: nothing is measured here.
"""

import argparse
import functools
import hashlib
import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
CLIENTS = ["peer-tough", "peer-sigstore-tuf"]
WEB = "registry.example.com/acme/web:1.4"
TEAM = "registry.example.com/team/app:1"
NO_P384 = {"peer-tough": "Invalid SubjectPublicKeyInfo"}
NO_TAP_15 = {"peer-tough": "missing field `roles`", "peer-sigstore-tuf": "not listed"}


def build():
    subprocess.run(["cargo", "build", "--quiet", "--bin", "signer"], cwd=HERE.parent, check=True)
    subprocess.run(["cargo", "build", "--quiet", "-p", "bench-peers"], cwd=HERE, check=True)


def layout(folder, content):
    """An OCI layout with one image of no layers, tagged 1.4; returns its manifest."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(data, kind, **more):
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": kind, "digest": "sha256:" + digest, "size": len(data), **more}

    prefix = "application/vnd.oci.image."
    config = json.dumps({"architecture": "amd64", "os": "linux", "author": content,
                         "rootfs": {"type": "layers", "diff_ids": []}}).encode()
    manifest = json.dumps({"schemaVersion": 2, "mediaType": prefix + "manifest.v1+json",
                           "config": blob(config, prefix + "config.v1+json"), "layers": []}).encode()
    entry = blob(manifest, prefix + "manifest.v1+json", annotations={"org.opencontainers.image.ref.name": "1.4"})
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return manifest


class Server(http.server.SimpleHTTPRequestHandler):
    """Serves a folder. tough looks for a target at HASH.FOLDER/NAME, where signer and python-tuf have FOLDER/HASH.NAME
    (TUF 6.2.2: HASH.FILENAME): it gets what it means."""

    def translate_path(self, path):
        for_tough = re.fullmatch(r"/targets/([0-9a-f]{64})\.(.+)/([^/]+)", path)
        return super().translate_path(for_tough.expand(r"/targets/\2/\1.\3") if for_tough else path)

    def log_message(self, *_):
        pass


class Story:
    def __init__(self, folder, signer, peers):
        self.folder, self.signer_program, self.peers = folder, signer, peers
        self.manifests = {name: layout(folder / name, name) for name in ("one", "two")}
        self.failed = False
        self.signer("init", "--unencrypted-keys")
        handler = functools.partial(Server, directory=str(folder / "trust/published"))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        for client in CLIENTS:
            self.start(client, folder / "state" / client)

    def signer(self, *words):
        done = subprocess.run([self.signer_program, *words], cwd=self.folder, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"signer {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def client(self, client, state, *words):
        targets = state / "targets"
        targets.mkdir(parents=True, exist_ok=True)
        command = [self.peers / client, "--metadata-dir", state / "metadata",
                   "--metadata-url", self.address + "/metadata/", "--target-dir", targets,
                   "--target-base-url", self.address + "/targets/", *words]
        return subprocess.run(command, capture_output=True, text=True)

    def start(self, client, state):
        done = self.client(client, state, "init", self.folder / "trust/root.json")
        if done.returncode != 0:
            sys.exit(f"{client} init: {done.stderr}")

    def download(self, client, state, name, manifest):
        """None where it has these bytes, else what went wrong."""
        shutil.rmtree(state / "targets", ignore_errors=True)
        words = ["--target-name", name, "download"] if name else ["refresh"]
        done = self.client(client, state, *words)
        if done.returncode != 0:
            return done.stderr.strip().splitlines()[-1]
        if name is None:
            return None
        files = [path for path in (state / "targets").rglob("*") if path.is_file()]
        if [path.read_bytes() for path in files] != [manifest]:
            return f"expected the manifest, got {[str(path) for path in files]}"
        return None

    def after(self, operation, name, content, *commands, but={}):
        """Stages, publishes, and asks every client. `but`: what a client is expected to say instead."""
        for command in commands:
            self.signer(*command)
        self.signer("publish")
        manifest = self.manifests.get(content)
        row = [operation]
        for client in CLIENTS:
            new = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
            self.start(client, new)
            said = {"followed": self.download(client, self.folder / "state" / client, name, manifest),
                    "new": self.download(client, new, name, manifest)}
            expected = but.get(client)
            for who, why in said.items():
                if (why is None) != (expected is None) or (expected is not None and expected not in why):
                    self.failed = True
                    print(f"UNEXPECTED: {operation}, {client}, {who}: {why}", file=sys.stderr)
            why = said["followed"] or said["new"]
            row.append("yes" if why is None else f"no: {why.removeprefix('error: ')[:100]}")
        print("| " + " | ".join(row) + " |", flush=True)

    def openssl(self, out, *words):
        subprocess.run(["openssl", "genpkey", "-out", out, *words], cwd=self.folder, check=True, capture_output=True)

    def tell_p384(self):
        """In a repository of its own: who can't read a root can't read any after it."""
        self.after("ECDSA P-384 for targets", WEB, "one",
                   ("add", "oci:one:1.4", "--as", WEB),
                   ("key", "new", "p384", "--kind", "ecdsa-p384", "--unencrypted"),
                   ("role", "rotate", "targets", "--key", "p384"), but=NO_P384)

    def tell(self):
        after, spare = self.after, ("key", "new", "spare", "--unencrypted")
        print("| after | " + " | ".join(CLIENTS) + " |\n|---|" + "---|" * len(CLIENTS), flush=True)
        after("init", None, None)
        after("add", WEB, "one", ("add", "oci:one:1.4", "--as", WEB))
        after("a tag that moved", WEB, "two", ("add", "oci:two:1.4", "--as", WEB))
        after("refresh", WEB, "two", ("refresh", "--within", "400d"))
        after("delegate add, and an image in it", TEAM, "one",
              ("delegate", "add", "team", "--paths", "registry.example.com/team/*", "--unencrypted-keys"),
              ("add", "oci:one:1.4", "--as", TEAM))
        after("role rotate of the delegated role", TEAM, "one", ("role", "rotate", "team", "--unencrypted-keys"))
        for role in ("timestamp", "snapshot", "targets", "root"):
            after(f"role rotate {role}", WEB, "two", ("role", "rotate", role, "--unencrypted-keys"))
        after("role add-key root, role threshold root 2", WEB, "two", spare,
              ("role", "add-key", "root", "spare"), ("role", "threshold", "root", "2"))
        after("role renew root", WEB, "two", ("role", "renew", "root"))
        after("ECDSA P-256 for targets", WEB, "two",
              ("key", "new", "p256", "--kind", "ecdsa-p256", "--unencrypted"),
              ("role", "rotate", "targets", "--key", "p256"))
        self.openssl("rsa.pem", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072")
        after("RSA 3072 for targets", WEB, "two",
              ("key", "import", "rsa", "rsa.pem"), ("role", "rotate", "targets", "--key", "rsa"))
        after("Ed25519 for targets again", WEB, "two", ("role", "rotate", "targets", "--unencrypted-keys"))
        after("yank", WEB, "two", ("yank", WEB, "--reason", "loses data"))
        after("remove", None, None, ("remove", TEAM))
        after("delegate remove", WEB, "two", ("delegate", "remove", "team"))
        after("delegate bins 16, hashed", WEB, "two", ("delegate", "bins", "16", "--unencrypted-keys"))
        after("add, in a bin", TEAM, "one", ("add", "oci:one:1.4", "--as", TEAM))
        after("delegate bins 32, succinct", WEB, "two",
              ("delegate", "bins", "32", "--prefix", "succinct", "--succinct", "--unencrypted-keys"), but=NO_TAP_15)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--signer", type=pathlib.Path)
    parser.add_argument("--peers", type=pathlib.Path)
    args = parser.parse_args()
    if not (args.signer and args.peers):
        build()
    target = os.environ.get("CARGO_TARGET_DIR")
    signer = args.signer or pathlib.Path(target or HERE.parent / "target") / "debug/signer"
    peers = args.peers or pathlib.Path(target or HERE / "target") / "debug"
    failed = False
    for tell in (Story.tell, Story.tell_p384):
        with tempfile.TemporaryDirectory() as folder:
            story = Story(pathlib.Path(folder), signer.resolve(), peers.resolve())
            tell(story)
            story.server.shutdown()
            failed |= story.failed
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
