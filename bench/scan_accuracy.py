#!/usr/bin/env python3
"""Precision and recall of `verify scan`, image by image, against a truth that shares no code with ours.

    bench/scan_accuracy.py --osv FOLDER [--image LAYOUT:TAG]... [--verify PROGRAM] [--syft PROGRAM]

Each image is unpacked by umoci. What is installed is asked of dpkg-query, rpm and importlib.metadata (scan/listing.py), and
which advisories affect it is found by advisories/truth.py, which asks dpkg, rpm, apk, packaging and npm's semver which
version comes first. The images are the traps of scan/traps.py and those that are named. Go modules and crates are listed
by syft, where it is given. Needs root, umoci, dpkg, rpm, python3-rpm, node with npm's semver (NODE_PATH), and a Python with
packaging below 22; what is missing is left out, and said. --apk-root is a root file system with Alpine's apk.

The mistakes, each on a line, are on stderr. Exit 0 where precision and recall are at least 0.99 over the traps and over the
other images, 1 where they aren't, 3 where nothing was compared.
"""
import argparse, collections, json, os, pathlib, subprocess, sys, tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "advisories"), str(HERE / "scan")]
import listing, traps, truth  # noqa: E402

GOAL = 0.99
# Left out by `verify scan`, and said to be (docs/src/scan.md).
HEADERS = ("linux-libc-dev", "linux-headers-", "kernel-headers")


def scanned(verify, layout, tag, database):
    """What `verify scan` finds: (kind, name, version) -> groups of names; and of which it says that it can't be told."""
    command = [verify, "scan", "--unverified", f"oci:{layout}:{tag}", "--db", str(database), "--format", "json"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{command}: {done.stderr.decode()}")
    report = json.loads(done.stdout)
    report = report["platforms"][0]["report"] if "platforms" in report else report
    kinds = {(one["path"], one["name"], one["version"]): one["kind"] for one in report["components"]}
    kinds |= {(one["purl"], one["name"], one["version"]): one["kind"] for one in report["components"]}
    found = collections.defaultdict(set)
    for one in report["findings"]:
        kind = kinds[one["purl"], one["package"], one["version"]]
        found[kind, one["package"], one["version"]].add(frozenset([one["id"], *one.get("aliases", [])]))
    undecided = {(one["package"], one["version"]) for one in report.get("undecided", [])}
    return found, undecided


def expected(packages, release, entries, comparers):
    """The same by the truth; None where it can't be told, and packages that nothing can be compared for."""
    found, unknown, skipped = {}, set(), collections.Counter()
    for kind, name, version, source, source_version in packages:
        of = listing.ecosystem(kind, release)
        if of is None or name.startswith(HEADERS) or version == "(devel)":
            continue
        lookup, at = (source, source_version) if source else (name, version)
        records = entries.get(truth.key(of, lookup), [])
        records = records + (entries.get(truth.key(truth.base(of), lookup), []) if ":" in of else [])
        by = comparers.get(truth.base(of))
        if records and not by:
            skipped[truth.base(of)] += 1
            unknown.add((name, version))
            continue
        answers = [(truth.is_affected(at, entry, by), record) for record, entry in records]
        groups = {group for answer, record in answers if answer for group in truth.weaknesses(of, record)}
        if any(answer is None for answer, _ in answers):
            unknown.add((name, version))
        key = (kind, name, version)
        found[key] = found.get(key, set()) | {frozenset(group.split(",")) for group in groups}
    return found, unknown, skipped


def joined(groups):
    """Groups that are one weakness, as one: several advisories of a language may be on it."""
    left, whole = list(groups), []
    while left:
        one = left.pop()
        same = [other for other in left if truth.same(one, other)]
        left = [other for other in left if other not in same]
        if same:
            left.append(frozenset(one.union(*same)))
        else:
            whole.append(one)
    return whole


def compared(name, got, said_unknown, truths, unknown):
    count = collections.Counter()
    for package in sorted(set(got) | set(truths)):
        if package[1:] in unknown or package[1:] in said_unknown:
            count["unknown"] += 1
            continue
        ours, theirs = joined(got.get(package, ())), joined(truths.get(package, ()))
        right = [group for group in ours if any(truth.same(group, other) for other in theirs)]
        wrong = [group for group in ours if group not in right]
        missed = [group for group in theirs if not any(truth.same(group, other) for other in ours)]
        count.update(right=len(right), wrong=len(wrong), missed=len(missed))
        for what, groups in ("wrong", wrong), ("missed", missed):
            for group in groups:
                print(what, name, *package, ",".join(sorted(group)), sep="\t", file=sys.stderr)
    count["packages"] = len(truths)
    return count


def line(name, count):
    right, wrong, missed = count["right"], count["wrong"], count["missed"]
    precision = right / (right + wrong) if right + wrong else 1.0
    recall = right / (right + missed) if right + missed else 1.0
    print(f"| {name} | {count['packages']} | {right} | {wrong} | {missed} | {count['unknown']} "
          f"| {precision:.4f} | {recall:.4f} |")
    return precision >= GOAL and recall >= GOAL


def unpacked(work, layout, tag):
    bundle = work / f"bundle-{len(list(work.iterdir()))}"
    done = subprocess.run(["umoci", "unpack", "--image", f"{layout}:{tag}", str(bundle)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"umoci unpack {layout}:{tag}: {done.stderr}")
    return bundle / "rootfs"


def images(options, work):
    for name, layers in traps.TRAPS.items():
        layout = work / "traps" / name.replace(" ", "-").replace(",", "").replace("'", "")
        traps.make(layout, layers)
        yield True, name, layout, "trap"
    for image in options.image:
        layout, _, tag = image.rpartition(":")
        yield False, f"{pathlib.Path(layout).name}:{tag}", pathlib.Path(layout).absolute(), tag


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--osv", required=True)
    parser.add_argument("--image", action="append", default=[])
    parser.add_argument("--verify")
    parser.add_argument("--syft")
    parser.add_argument("--apk-root")
    options = parser.parse_args()
    verify = options.verify or built()
    entries, comparers = truth.entries(options.osv), truth.comparers(options.apk_root)
    totals, good = {True: collections.Counter(), False: collections.Counter()}, True
    with tempfile.TemporaryDirectory() as temporary:
        work = pathlib.Path(temporary)
        database = work / "advisories.db"
        subprocess.run([verify, "db", "build", "--from", options.osv, "--out", str(database)], check=True,
                       stdout=subprocess.DEVNULL)
        print("| image | packages | findings right | wrong | missed | unknown | precision | recall |")
        print("|---|---|---|---|---|---|---|---|")
        for is_trap, name, layout, tag in images(options, work):
            rootfs = unpacked(work, layout, tag)
            release = listing.os_release(rootfs)
            packages = [*listing.packages(rootfs), *listing.of_programs(None if is_trap else options.syft, layout, tag)]
            truths, unknown, skipped = expected(packages, release, entries, comparers)
            for of, number in skipped.items():
                print(f"SKIPPED {number} packages of {of} in {name}: nothing to compare versions with", file=sys.stderr)
            count = compared(name, *scanned(verify, layout, tag, database), truths, unknown)
            totals[is_trap].update(count)
            if not is_trap:
                line(name, count)
        for is_trap, what in (True, f"**{len(traps.TRAPS)} traps**"), (False, "**the other images**"):
            if is_trap or options.image:
                good &= line(what, totals[is_trap])
    if not totals[True]["right"]:
        sys.exit(3)
    return 0 if good else 1


def built():
    subprocess.run(["cargo", "build", "--release", "--quiet", "--bin", "verify"], cwd=HERE.parent, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target"))
    return str(target / "release/verify")


if __name__ == "__main__":
    sys.exit(main())
