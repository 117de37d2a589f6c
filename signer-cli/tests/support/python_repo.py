"""Writes a repository as somebody does who uses python-tuf's Metadata API: argv is a folder and a kind.

Beside metadata/ and targets/ there is keys/ with the private keys, which are never served.
"""

import hashlib
import os
import sys
from datetime import datetime, timedelta, timezone

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole, Delegations, Metadata, MetaFile, Role, Root, Snapshot, SuccinctRoles, TargetFile, Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer

out, kind = sys.argv[1:]
consistent = kind != "plain"
expires = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=200)
spec = "1.0.19"
pretty = JSONSerializer(compact=False)
for folder in ("metadata", "targets", "keys"):
    os.makedirs(os.path.join(out, folder))


def key(name):
    signer = CryptoSigner.generate_ecdsa() if name == "targets" else CryptoSigner.generate_ed25519()
    with open(os.path.join(out, "keys", name + ".pem"), "wb") as file:
        os.chmod(file.fileno(), 0o600)
        file.write(signer.private_bytes)
    return signer


def save(name, document, *signers):
    """Signs and writes it, and says what a snapshot may state of it."""
    document.signatures.clear()
    for signer in signers:
        document.sign(signer, append=True)
    data = document.to_bytes(pretty)
    versioned = name == "root" or (consistent and name != "timestamp")
    file = f"{document.signed.version}.{name}.json" if versioned else f"{name}.json"
    with open(os.path.join(out, "metadata", file), "wb") as stream:
        stream.write(data)
    hashes = {"sha256": hashlib.sha256(data).hexdigest()}
    return MetaFile(document.signed.version, len(data), hashes)


def target(path, content):
    data = content.encode()
    file = TargetFile.from_data(path, data, ["sha256", "sha512"])
    folder, _, name = path.rpartition("/")
    names = [f"{digest}.{name}" for digest in file.hashes.values()] if consistent else [name]
    for name in names:
        place = os.path.join(out, "targets", folder, name)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "wb") as stream:
            stream.write(data)
    return file


roots = [key("root-a"), key("root-b")]
later = key("root-c")
targets_key, snapshot_key, timestamp_key = key("targets"), key("snapshot"), key("timestamp")
root = Root(1, spec, expires, consistent_snapshot=consistent)
root.unrecognized_fields["x-note"] = {"kept": ["as", "it", "is"]}
for signer in roots:
    root.add_key(signer.public_key, "root")
root.roles["root"].threshold = 2
for role, signer in (("targets", targets_key), ("snapshot", snapshot_key), ("timestamp", timestamp_key)):
    root.add_key(signer.public_key, role)
save("root", Metadata(root), *roots)
# The second root has another key in place of the first.
root.version = 2
root.revoke_key(roots[0].public_key.keyid, "root")
root.add_key(later.public_key, "root")
save("root", Metadata(root), *roots, later)

files = [target("old/file one.txt", "one"), target("two.txt", "two"), target("team/app.bin", "three")]
top = Targets(1, spec, expires)
snapshot = Snapshot(1, spec, expires)


def delegated(name, listed, signer, below=None):
    document = Targets(3, spec, expires, {file.path: file for file in listed}, below)
    document.unrecognized_fields["x-by"] = name
    snapshot.meta[f"{name}.json"] = save(name, Metadata(document), signer)


if kind == "plain":
    top.targets = {file.path: file for file in files[:2]}
    team, sub = key("team"), key("sub")
    role = DelegatedRole("sub", [sub.public_key.keyid], 1, False, paths=["team/*"])
    delegated("sub", files[2:], sub)
    delegated("team", [], team, Delegations({sub.public_key.keyid: sub.public_key}, {"sub": role}))
    role = DelegatedRole("team", [team.public_key.keyid], 1, True, paths=["team/*"])
    top.delegations = Delegations({team.public_key.keyid: team.public_key}, {"team": role})
else:
    bins = key("bins")
    keys = {bins.public_key.keyid: bins.public_key}
    if kind == "succinct":
        top.delegations = Delegations(keys, None, SuccinctRoles([*keys], 1, 3, "bin"))
        names = list(top.delegations.succinct_roles.get_roles())
    else:
        roles = {}
        for at in range(8):
            prefixes = [f"{digit:x}" for digit in (2 * at, 2 * at + 1)]
            roles[f"bin-{at}"] = DelegatedRole(f"bin-{at}", [*keys], 1, False, path_hash_prefixes=prefixes)
        top.delegations = Delegations(keys, roles)
        names = list(roles)
    for name in names:
        mine = [file for file in files if name in [found for found, _ in top.delegations.get_roles_for_target(file.path)]]
        delegated(name, mine, bins)
snapshot.meta["targets.json"] = save("targets", Metadata(top), targets_key)
listed = save("snapshot", Metadata(snapshot), snapshot_key)
save("timestamp", Metadata(Timestamp(1, spec, expires, listed)), timestamp_key)
