#!/usr/bin/env python3
"""Publishing very many names: `signer` beside python-tuf, on the same list, in one run.

    HALLMARK_PYTHON=.venv/bin/python bench/publish.py [--signer PROGRAM] [--only NAME ...] [--without-peer]

For each size: a repository is made from nothing with so many names, then one name is added to it. python-tuf's own
client then looks up a name in what `signer` published, and the bytes that it asks for are counted. CPU seconds and peak
memory are those of the process. Prints the tables of docs/src/scale.md. Exit code 1: a goal isn't met.
"""

import argparse
import functools
import hashlib
import http.server
import json
import math
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
MEDIA_TYPE = "application/vnd.oci.image.index.v1+json"
# Name, how many names, how many bins (0: all in targets.json), and the goals: CPU seconds to add one, wall seconds to
# make it from nothing, MiB for that.
SIZES = [
    ("flat", 100_000, 0, {"add": 0.5}),
    ("bins", 100_000, 1024, {"add": 0.05}),
    ("million", 1_000_000, 16_384, {"make": 20, "memory": 1024}),
]
DOWNLOAD_MAX = 700_000


def names(count):
    for number in range(count):
        digest = hashlib.sha256(b"image %d" % number).hexdigest()
        tag = f"{number // 1000}.{number % 1000}.0"
        yield f"registry.example.com/library/app-{number % 997:03d}:{tag}", digest, 1000 + number % 997


def measured(command, **options):
    """Wall and CPU seconds, and the peak in MiB, of a command that must succeed."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, **options)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command}: exit code {process.returncode}")
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def together(*parts):
    walls, cpus, peaks = zip(*parts)
    return sum(walls), sum(cpus), max(peaks)


def with_signer(signer, folder, listing, one, bins):
    run = functools.partial(measured, cwd=folder)
    run([signer, "init", "--unencrypted-keys"], stderr=subprocess.DEVNULL)
    steps = []
    if bins:
        steps.append(run([signer, "delegate", "bins", str(bins), "--succinct", "--key", "targets"]))
    steps.append(run([signer, "add", "--list", listing], stderr=subprocess.DEVNULL))
    steps.append(run([signer, "publish"]))
    added = [run([signer, "add", "--list", one], stderr=subprocess.DEVNULL), run([signer, "publish"])]
    return together(*steps), together(*added)


def with_python_tuf(python, folder, listing, one, bins):
    def run(what, path):
        return measured([python, __file__, "--as-python-tuf", what, str(folder), str(path), str(bins)])

    return run("make", listing), run("add", one)


def as_python_tuf(what, folder, listing, bins):
    """What a program does that publishes with python-tuf: all documents compact, one Ed25519 key a role."""
    from datetime import datetime, timedelta, timezone

    from securesystemslib.signer import CryptoSigner
    from tuf.api.metadata import Delegations, Metadata, MetaFile, Root, Snapshot, SuccinctRoles, TargetFile, Targets
    from tuf.api.metadata import Timestamp
    from tuf.api.serialization.json import JSONSerializer
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    folder, compact = pathlib.Path(folder), JSONSerializer(compact=True)
    expires = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=90)
    roles = ("root", "timestamp", "snapshot", "targets")

    def write(name, signed, signer):
        metadata = Metadata(signed)
        metadata.sign(signer)
        file = f"{name}.json" if name == "timestamp" else f"{signed.version}.{name}.json"
        (folder / file).write_bytes(metadata.to_bytes(compact))

    def targets():
        with open(listing) as lines:
            for line in lines:
                name, digest, length, media_type = line.split()
                custom = {"hallmark": {"version": 1, "media_type": media_type}}
                digest = digest.removeprefix("sha256:")
                yield TargetFile(int(length), {"sha256": digest}, name, {"custom": custom})

    if what == "make":
        signers = {role: CryptoSigner.generate_ed25519() for role in roles}
        for role, signer in signers.items():
            (folder / f"{role}.pem").write_bytes(signer.private_bytes)
        root = Root(expires=expires, consistent_snapshot=True)
        for role in roles:
            root.add_key(signers[role].public_key, role)
        top, snapshot, spread = Targets(expires=expires), Snapshot(expires=expires), {}
        if bins:
            key = signers["targets"].public_key
            succinct = SuccinctRoles([key.keyid], 1, bins.bit_length() - 1, "bins")
            top.delegations = Delegations(keys={key.keyid: key}, succinct_roles=succinct)
            spread = {name: Targets(expires=expires) for name in succinct.get_roles()}
        for target in targets():
            role = spread[succinct.get_role_for_target(target.path)] if bins else top
            role.targets[target.path] = target
        for name, role in spread.items():
            write(name, role, signers["targets"])
            snapshot.meta[f"{name}.json"] = MetaFile(1)
        write("root", root, signers["root"])
    else:
        signers = {role: CryptoSigner(load_pem_private_key((folder / f"{role}.pem").read_bytes(), None)) for role in roles}
        top = Metadata.from_file(str(folder / "1.targets.json")).signed
        snapshot = Metadata.from_file(str(folder / "1.snapshot.json")).signed
        for target in targets():
            if bins:
                name = top.delegations.succinct_roles.get_role_for_target(target.path)
                role = Metadata.from_file(str(folder / f"1.{name}.json")).signed
            else:
                name, role = "targets", top
            role.targets[target.path] = target
            role.version += 1
            snapshot.meta[f"{name}.json"] = MetaFile(role.version)
            if bins:
                write(name, role, signers["targets"])
        snapshot.version += 1
    if what == "make" or not bins:
        write("targets", top, signers["targets"])
        snapshot.meta["targets.json"] = MetaFile(top.version)
    write("snapshot", snapshot, signers["snapshot"])
    timestamp = Timestamp(expires=expires, version=snapshot.version)
    timestamp.snapshot_meta.version = snapshot.version
    write("timestamp", timestamp, signers["timestamp"])


def download(python, published, root, name):
    """The bytes that python-tuf's client asks for, new and with what it kept, to find one name."""
    sent = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def copyfile(self, source, output):
            sent.append(pathlib.Path(source.name).stat().st_size)
            super().copyfile(source, output)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(published)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    script = ("import sys; from tuf.ngclient import Updater, UpdaterConfig; url, root, kept, name = sys.argv[1:];"
              "u = Updater(kept, url + '/metadata/', config=UpdaterConfig(targets_max_length=10**9),"
              " bootstrap=open(root, 'rb').read());"
              "assert u.get_targetinfo(name)")
    counts = []
    with tempfile.TemporaryDirectory() as kept:
        for _ in range(2):
            sent.clear()
            url = f"http://127.0.0.1:{server.server_port}"
            subprocess.run([python, "-c", script, url, str(root), kept, name], check=True)
            counts.append(sum(sent))
    server.shutdown()
    return counts


def sizes_of(published):
    """Bytes of the snapshot, of an average bin, and of all else that a client needs."""
    folder = published / "metadata"

    def latest(role):
        return max(folder.glob(f"*.{role}.json"), key=lambda path: int(path.name.split(".")[0])).stat().st_size

    bins = [path.stat().st_size for path in folder.glob("*.bins-*.json") if int(path.name.split(".")[0]) > 0]
    rest = latest("root") + latest("targets") + (folder / "timestamp.json").stat().st_size
    return latest("snapshot"), sum(bins) / max(len(bins), 1), rest


def growth(count, bins, sizes):
    """What a new client downloads for one of very many names, computed from measured sizes."""
    snapshot, one_bin, rest = sizes
    a_name, an_entry = one_bin / (count / bins), snapshot / bins
    lines = ["| names | bins | snapshot kB | one bin kB | all kB |", "|---|---|---|---|---|"]
    for many in (1_000_000, 10_000_000, 100_000_000):
        best = 2 ** round(math.log2(math.sqrt(many * a_name / an_entry)))
        for spread in sorted({bins, best, 65_536}):
            parts = an_entry * spread, many / spread * a_name
            lines.append(f"| {many:,} | {spread:,} | {parts[0] / 1000:,.0f} | {parts[1] / 1000:,.0f} |"
                         f" {(sum(parts) + rest) / 1000:,.0f} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signer")
    parser.add_argument("--only", nargs="*", choices=[size[0] for size in SIZES])
    parser.add_argument("--without-peer", action="store_true", help="where python-tuf would take too long")
    given = parser.parse_args()
    python = os.environ.get("HALLMARK_PYTHON", sys.executable)
    signer = given.signer
    if signer is None:
        subprocess.run(["cargo", "build", "--quiet", "--release", "--bin", "signer"], cwd=HERE.parent, check=True)
        about = ["cargo", "metadata", "--no-deps", "--format-version", "1"]
        about = subprocess.run(about, cwd=HERE.parent, check=True, capture_output=True).stdout
        signer = str(pathlib.Path(json.loads(about)["target_directory"]) / "release/signer")
    rows, downloads, missed, computed = [], [], [], ""
    for name, count, bins, goals in SIZES:
        if given.only and name not in given.only:
            continue
        folder = pathlib.Path(tempfile.mkdtemp(prefix="hallmark-publish-"))
        try:
            listing, one = folder / "list", folder / "one"
            with open(listing, "w") as lines:
                for image, digest, length in names(count):
                    lines.write(f"{image} sha256:{digest} {length} {MEDIA_TYPE}\n")
            new = hashlib.sha256(b"new").hexdigest()
            one.write_text(f"registry.example.com/library/new:1 sha256:{new} 1234 {MEDIA_TYPE}\n")
            (folder / "ours").mkdir()
            results = {"signer": with_signer(signer, folder / "ours", listing, one, bins)}
            if not given.without_peer:
                (folder / "theirs").mkdir()
                results["python-tuf"] = with_python_tuf(python, folder / "theirs", listing, one, bins)
            for program, ((wall, cpu, peak), (_, add, _)) in results.items():
                rows.append(f"| {count:,} in {f'{bins:,} bins' if bins else 'one file'} | {program} | {wall:.1f} |"
                            f" {cpu:.1f} | {peak:,.0f} | {add:.3f} |")
            (wall, _, peak), (_, add, _) = results["signer"]
            for goal, got in (("make", wall), ("memory", peak), ("add", add)):
                if got > goals.get(goal, math.inf):
                    missed.append(f"{name}: {goal} is to be at most {goals[goal]}, got {got:.3f}")
            trust = folder / "ours/trust"
            looked_up = random.Random(1).choice(list(names(1000)))[0]
            fresh, warm = download(python, trust / "published", trust / "root.json", looked_up)
            downloads.append(f"| {count:,} in {f'{bins:,} bins' if bins else 'one file'} | {fresh:,} | {warm:,} |")
            if name == "million":
                computed = growth(count, bins, sizes_of(trust / "published"))
                if fresh > DOWNLOAD_MAX:
                    missed.append(f"{name}: a client is to download at most {DOWNLOAD_MAX} bytes, got {fresh}")
        finally:
            shutil.rmtree(folder)
    print("| names | program | from nothing: wall s | CPU s | peak MiB | one more: CPU s |\n|---|---|---|---|---|---|")
    print("\n".join(rows))
    print("\n| names | a new client downloads, bytes | the same client again |\n|---|---|---|")
    print("\n".join(downloads))
    print(f"\n{computed}" if computed else "")
    for one in missed:
        print(f"missed: {one}", file=sys.stderr)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--as-python-tuf"]:
        what, folder, listing, bins = sys.argv[2:]
        as_python_tuf(what, folder, listing, int(bins))
    else:
        main()
