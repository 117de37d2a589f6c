#!/usr/bin/env python3
"""The TUF repositories that bench/compare.py serves, made with python-tuf.

usage: bench/tuf_repos.py FOLDER {small,flat,bins,succinct}

  small     10 targets in one file
  flat      100,000 targets in one file of some 17 MB
  bins      100,000 targets in 16,384 roles by path_hash_prefixes (section 4.5)
  succinct  the same by succinct_roles (TAP 15)

In FOLDER: root.json, the root that a client trusts; metadata/ and targets/, to be served; target, the path
of the one target that exists, in the middle of the list. Ed25519 keys, consistent snapshots, compact JSON.
No length or hash is stated in the snapshot or the timestamp: both are optional, and every peer reads it so.
What is made is for measuring: its keys are forgotten.
"""
import hashlib, pathlib, sys
from datetime import datetime, timedelta, timezone

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (DelegatedRole, Delegations, Metadata, MetaFile, Root, Snapshot, SuccinctRoles,
                              TargetFile, Targets, Timestamp)
from tuf.api.serialization.json import JSONSerializer

COUNT = {"small": 10, "flat": 100_000, "bins": 100_000, "succinct": 100_000}
BITS = 14
BINS = 1 << BITS
ARTIFACT = b"what is fetched and verified\n" * 40
TOP = ("root", "timestamp", "snapshot", "targets")


def path_of(number):
    """Some 70 characters, as the paths of a registry's manifests are."""
    version = f"v1.{number % 53}.{number % 7}"
    return f"registry.example.com/team-{number % 991:03d}/service-{number:06d}/linux-amd64/{version}/index.json"


def targets_of(count):
    """Every target, and the path of the one whose bytes exist."""
    listed = {}
    for number in range(count):
        path = path_of(number)
        digest = hashlib.sha256(path.encode()).hexdigest()
        listed[path] = TargetFile(1000 + number, {"sha256": digest}, path)
    real = path_of(count // 2)
    listed[real] = TargetFile(len(ARTIFACT), {"sha256": hashlib.sha256(ARTIFACT).hexdigest()}, real)
    return listed, real


class Repository:
    """One folder, signed as it is written."""

    def __init__(self, folder):
        self.metadata, self.targets = folder / "metadata", folder / "targets"
        for made in (self.metadata, self.targets):
            made.mkdir(parents=True)
        self.keys = {role: CryptoSigner.generate_ed25519() for role in (*TOP, "bin")}
        self.expires = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=3650)
        self.snapshot = Snapshot(expires=self.expires)

    def write(self, file, signed, key):
        document = Metadata(signed)
        document.sign(self.keys[key])
        (self.metadata / file).write_bytes(document.to_bytes(JSONSerializer(compact=True)))

    def write_bin(self, name, listed):
        self.write(f"1.{name}.json", Targets(expires=self.expires, targets=listed), "bin")
        self.snapshot.meta[f"{name}.json"] = MetaFile(1)

    def write_top(self, targets):
        root = Root(expires=self.expires, consistent_snapshot=True)
        for role in TOP:
            root.add_key(self.keys[role].public_key, role)
        self.write("1.targets.json", targets, "targets")
        self.write("1.snapshot.json", self.snapshot, "snapshot")
        self.write("timestamp.json", Timestamp(expires=self.expires), "timestamp")
        self.write("1.root.json", root, "root")

    def write_artifact(self, path):
        digest = hashlib.sha256(ARTIFACT).hexdigest()
        folder, _, name = path.rpartition("/")
        # The second is where tough looks: the hash before the whole path, not before the file's name.
        for stored in (f"{folder}/{digest}.{name}", f"{digest}.{path}"):
            (self.targets / stored).parent.mkdir(parents=True, exist_ok=True)
            (self.targets / stored).write_bytes(ARTIFACT)


def by_bin(listed):
    """Which target is whose: the first bits of the hash of its path."""
    bins = [{} for _ in range(BINS)]
    for path, target in listed.items():
        first = hashlib.sha256(path.encode()).digest()[:4]
        bins[int.from_bytes(first, "big") >> (32 - BITS)][path] = target
    return bins


def hash_bins(key):
    """16,384 roles, each with the four prefixes of four digits that its fourteen bits leave."""
    roles = {}
    for number in range(BINS):
        prefixes = [f"{number * 4 + rest:04x}" for rest in range(4)]
        name = f"{prefixes[0]}-{prefixes[-1]}"
        roles[name] = DelegatedRole(name, [key.keyid], 1, False, path_hash_prefixes=prefixes)
    return Delegations({key.keyid: key}, roles), list(roles)


def succinct(key):
    roles = SuccinctRoles([key.keyid], 1, BITS, "bin")
    return Delegations({key.keyid: key}, succinct_roles=roles), list(roles.get_roles())


def make(folder, kind):
    listed, real = targets_of(COUNT[kind])
    repository = Repository(folder)
    targets = Targets(expires=repository.expires)
    if kind in ("small", "flat"):
        targets.targets = listed
    else:
        delegations = {"bins": hash_bins, "succinct": succinct}[kind]
        targets.delegations, names = delegations(repository.keys["bin"].public_key)
        for name, own in zip(names, by_bin(listed), strict=True):
            repository.write_bin(name, own)
    repository.write_top(targets)
    repository.write_artifact(real)
    (folder / "root.json").write_bytes((repository.metadata / "1.root.json").read_bytes())
    (folder / "target").write_text(real)


if len(sys.argv) != 3 or sys.argv[2] not in COUNT:
    sys.exit(__doc__)
make(pathlib.Path(sys.argv[1]), sys.argv[2])
