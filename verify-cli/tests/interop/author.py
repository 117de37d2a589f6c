# Writes a repository: ed25519, ECDSA and RSA keys, two of two signatures on targets, a rotated root, and
# the delegation `acme` that names the manifest. Arguments: METADATA-FOLDER NAME MANIFEST
import os
import sys
from datetime import datetime, timedelta, timezone

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

folder, name, manifest = sys.argv[1:]
os.makedirs(folder)
expires = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=2)

keys = {
    "root": [CryptoSigner.generate_ed25519(), CryptoSigner.generate_rsa(size=2048)],
    "timestamp": [CryptoSigner.generate_ecdsa()],
    "snapshot": [CryptoSigner.generate_rsa(size=2048)],
    "targets": [CryptoSigner.generate_ed25519(), CryptoSigner.generate_ecdsa()],
}
acme = CryptoSigner.generate_ecdsa()


def write(file, signed, signers):
    metadata = Metadata(signed)
    for signer in signers:
        metadata.sign(signer, append=True)
    metadata.to_file(os.path.join(folder, file))


root = Root(version=1, expires=expires, consistent_snapshot=True)
for role, signers in keys.items():
    for signer in signers:
        root.add_key(signer.public_key, role)
    root.roles[role].threshold = len(signers)
write("1.root.json", root, keys["root"])

# The next root changes the timestamp's key: both the old and the new root's keys sign it.
root.version = 2
root.revoke_key(keys["timestamp"][0].public_key.keyid, "timestamp")
keys["timestamp"] = [CryptoSigner.generate_ed25519()]
root.add_key(keys["timestamp"][0].public_key, "timestamp")
write("2.root.json", root, keys["root"])

role = DelegatedRole("acme", [], 1, True, paths=["registry.example.com/acme/*"])
targets = Targets(expires=expires, delegations=Delegations(keys={}, roles={"acme": role}))
targets.add_key(acme.public_key, "acme")
write("1.targets.json", targets, keys["targets"])

delegated = Targets(expires=expires)
delegated.targets[name] = TargetFile.from_file(name, manifest, ["sha256", "sha512"])
write("1.acme.json", delegated, [acme])

snapshot = Snapshot(expires=expires)
snapshot.meta["acme.json"] = MetaFile(1)
write("1.snapshot.json", snapshot, keys["snapshot"])
write("timestamp.json", Timestamp(expires=expires), keys["timestamp"])
