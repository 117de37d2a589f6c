#!/usr/bin/env python3
"""Hallmark beside its peers, in one run: a large layer, and a small image with fresh metadata.

usage: bench/run.py [-n RUNS] [--layer-mb MB]

Needs openssl and skopeo, and builds the release binaries. Each program is run in turn, round after
round, so that a noisy machine is noisy for all of them. Reported: medians of wall and CPU seconds of the
whole process, its peak memory, and the ratios that the project promises:

  layer   `verify image` of an OCI layout with one large layer, against `openssl dgst -sha256` of the
          layer and `skopeo copy` of the image: at least 0.9 of openssl's throughput, under 32 MiB
  small   `verify image` of a small image with fresh cached metadata: under 20 ms of CPU

Exit code 1 when a promise is broken.
"""
import argparse, hashlib, json, os, pathlib, shutil, statistics, subprocess, sys, tempfile, time

TOP = pathlib.Path(__file__).resolve().parent.parent
NAME = "registry.example.com/bench/web:1"


def blob(layout, data):
    digest = hashlib.sha256(data).hexdigest()
    (layout / "blobs/sha256" / digest).write_bytes(data)
    return {"digest": f"sha256:{digest}", "size": len(data)}


def filler(layout, size):
    """A layer, written in pieces: a child's peak memory starts at this process's own."""
    digest, path, left = hashlib.sha256(), layout / "layer", size - 1024
    with open(path, "wb") as file:
        piece = b"\0" * 1024
        while piece:
            digest.update(piece)
            file.write(piece)
            piece = os.urandom(min(left, 1 << 20))
            left -= len(piece)
    path.rename(layout / "blobs/sha256" / digest.hexdigest())
    return {"digest": f"sha256:{digest.hexdigest()}", "size": size}


def write_image(layout, size):
    """One uncompressed layer: an empty tar archive's end, then bytes that don't compress."""
    (layout / "blobs/sha256").mkdir(parents=True)
    layer = filler(layout, size) | {"mediaType": "application/vnd.oci.image.layer.v1.tar"}
    config = {"architecture": "amd64", "os": "linux", "config": {},
              "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}
    config = blob(layout, json.dumps(config).encode()) | {"mediaType": "application/vnd.oci.image.config.v1+json"}
    kind = "application/vnd.oci.image.manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer]}
    top = blob(layout, json.dumps(manifest).encode()) | {"mediaType": kind}
    top["annotations"] = {"org.opencontainers.image.ref.name": "1"}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return layout / "blobs/sha256" / layer["digest"].removeprefix("sha256:")


def timed(command):
    """Wall and CPU seconds, and peak memory in MiB, of one process."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"{command}: {said.decode(errors='replace')}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def rounds(commands, runs):
    """Runs every command once to warm the page cache, then all of them in turn."""
    seen = {name: [] for name in commands}
    for turn in range(runs + 1):
        for name, make in commands.items():
            took = timed(make())
            if turn:
                seen[name].append(took)
    table = {}
    for name, taken in seen.items():
        wall, cpu, rss = (statistics.median(column) for column in zip(*taken))
        table[name] = (wall, cpu, max(one[2] for one in taken))
        print(f"  {name:28} wall {wall:7.3f} s   cpu {cpu:7.3f} s   peak {table[name][2]:6.1f} MiB")
    return table


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", "--runs", type=int, default=7)
    parser.add_argument("--layer-mb", type=int, default=200)
    args = parser.parse_args()
    subprocess.run(["cargo", "build", "--release", "--quiet", "--bin", "verify", "--bin", "signer"], cwd=TOP, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", TOP / "target"))
    verify, signer = str(target / "release/verify"), str(target / "release/signer")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hallmark-bench-"))
    try:
        bad = measure(folder, verify, signer, args)
    finally:
        shutil.rmtree(folder)
    sys.exit(1 if bad else 0)


def signed(folder, signer, verify, name, size):
    """A signed image in a layout, and the command that verifies it."""
    layout, trust = folder / name, folder / f"{name}-trust"
    layer = write_image(layout, size)
    repo = ["--repo", str(trust)]
    for words in (["init", "--unencrypted-keys"], ["add", f"oci:{layout}:1", "--as", NAME], ["publish"]):
        subprocess.run([signer, *repo, *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    root = trust / "published/metadata/1.root.json"
    command = [verify, "image", f"oci:{layout}:1", "--as", NAME, "--platform", "linux/amd64", *repo,
               "--root", str(root), "--state", str(folder / "state")]
    return layout, layer, command


def measure(folder, verify, signer, args):
    layout, layer, command = signed(folder, signer, verify, "large", args.layer_mb * 1000 * 1000)
    copies = iter(range(1_000_000))
    print(f"layer of {args.layer_mb} MB, {args.runs} rounds")
    table = rounds({
        "openssl dgst -sha256": lambda: ["openssl", "dgst", "-sha256", str(layer)],
        "verify image": lambda: command,
        "skopeo copy": lambda: ["skopeo", "copy", "--quiet", "--insecure-policy", f"oci:{layout}:1",
                                f"dir:{folder}/copy-{next(copies)}"],
        "verify pull": lambda: [verify, "pull", f"oci:{layout}:1", f"oci:{folder}/pull-{next(copies)}:1", *command[3:]],
    }, args.runs)
    (openssl, ours, skopeo, pull) = (table[name] for name in
                                     ("openssl dgst -sha256", "verify image", "skopeo copy", "verify pull"))
    throughput = openssl[1] / ours[1]
    print(f"  throughput beside openssl    {throughput:.2f} by CPU, {openssl[0] / ours[0]:.2f} by wall (at least 0.90 by CPU)")
    print(f"  verify pull beside skopeo    {pull[1] / skopeo[1]:.2f} of its CPU, {pull[0] / skopeo[0]:.2f} of its wall")
    print(f"  peak memory                  {max(ours[2], pull[2]):.1f} MiB (under 32)")
    _, _, command = signed(folder, signer, verify, "small", 4096)
    print(f"small image with fresh metadata, {args.runs} rounds")
    small = rounds({"verify image": lambda: command}, args.runs)["verify image"]
    print(f"  CPU                          {small[1] * 1000:.1f} ms (under 20)")
    return throughput < 0.9 or max(ours[2], pull[2]) >= 32 or small[1] >= 0.020


main()
