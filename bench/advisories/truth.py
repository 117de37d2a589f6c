#!/usr/bin/env python3
"""Which advisories affect which packages, found without any code of ours: the truth that matching is measured against.

    bench/advisories/truth.py sample --osv FOLDER [--each N] [--seed N] > packages.tsv
    bench/advisories/truth.py affecting --osv FOLDER [--apk-root FOLDER] < packages.tsv > truth.tsv
    bench/advisories/truth.py compare --truth truth.tsv --answers answers.tsv

FOLDER has the layout of the OSV bucket, ECOSYSTEM/all.zip. A line of packages.tsv is ECOSYSTEM, NAME and VERSION; a
sample has versions at the boundaries of ranges, where mistakes are. Truth and answers add IDS, a group a weakness:
names with commas between them, groups with spaces. An answer of `?` counts neither way.

Versions are compared by the programs whose versions they are: dpkg, rpm (Debian's python3-rpm), PyPA's packaging (below
22, which still orders legacy versions), RubyGems, PHP, npm's semver (NODE_PATH says where), apk in a chroot. An
ecosystem whose program is missing is left out, and stderr says so.
"""

import argparse
import collections
import functools
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import zipfile

RPM = """
import re, rpm, sys
def evr(v):
    e, r = re.match(r"(?:(\\d+):)?(.*)$", v).groups()
    v, _, r = r.partition("-")
    return (e or "0", v, r)
for line in sys.stdin:
    print(rpm.labelCompare(*map(evr, line.rstrip("\\n").split("\\t"))), flush=True)
"""
GEM = """
$stdout.sync = true
STDIN.each_line do |l|
  a, b = l.chomp.split("\\t")
  puts((Gem::Version.new(a) <=> Gem::Version.new(b)) || "?") rescue puts("?")
end
"""
PHP = """
while (($l = fgets(STDIN)) !== false) {
  [$a, $b] = array_map(fn($v) => ltrim($v, "vV"), explode("\\t", rtrim($l, "\\n")));
  $pad = fn($v) => preg_match('/^\\d+(\\.\\d+){0,3}$/', $v) ? $v . str_repeat(".0", 3 - substr_count($v, ".")) : $v;
  echo version_compare($pad($a), $pad($b)), "\\n";
}
"""
NODE = """
const semver = require("semver");
const whole = v => {
  v = v.replace(/^go/, "").replace(/^v/, "").replace(/^(\\d+\\.\\d+)(rc|beta)(\\d+)$/, "$1.0-$2.$3");
  const [core, ...rest] = v.split(/(?=[-+])/);
  return core.split(".").concat(["0", "0"]).slice(0, 3).join(".") + rest.join("");
};
require("readline").createInterface({ input: process.stdin }).on("line", line => {
  const [a, b] = line.split("\\t").map(whole);
  try { console.log(semver.compare(a, b, true)); } catch { console.log("?"); }
});
"""


DISTRIBUTIONS = ["AlmaLinux", "Alpine", "Debian", "Ubuntu"]


class Lines:
    """A program that is asked a line, A and B, and answers a line: -1, 0, 1 or ?."""

    def __init__(self, *argv):
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, a, b):
        self.process.stdin.write(f"{a}\t{b}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer:
            raise RuntimeError(f"{self.process.args[0]} ended while it compared {a!r} with {b!r}")
        return None if answer == "?" else int(answer)


def dpkg(a, b):
    for relation, order in ("lt", -1), ("gt", 1):
        if subprocess.run(["dpkg", "--compare-versions", a, relation, b], check=False).returncode == 0:
            return order
    return 0


def apk(root):
    def compare(a, b):
        answer = subprocess.run(["chroot", root, "/sbin/apk", "version", "-t", a, b], capture_output=True, text=True)
        return {"<": -1, "=": 0, ">": 1}.get(answer.stdout.strip())

    return compare


def packaging(a, b):
    from packaging import version

    with_local, boundary = version.parse(a), version.parse(b)
    # A build of one's own is of the release that it was built from.
    if with_local.local and not boundary.local:
        with_local = version.parse(with_local.public)
    return (with_local > boundary) - (with_local < boundary)


def comparers(apk_root):
    makers = {
        "Debian": lambda: dpkg,
        "Ubuntu": lambda: dpkg,
        "Alpine": lambda: apk(apk_root) if apk_root else None,
        "AlmaLinux": lambda: Lines("/usr/bin/python3", "-c", RPM),
        "PyPI": lambda: packaging,
        "RubyGems": lambda: Lines("ruby", "-e", GEM),
        "Packagist": lambda: Lines("php", "-r", PHP),
        "npm": lambda: node(),
        "crates" ".io": lambda: node(),
        "Go": lambda: node(),
    }
    node = functools.cache(lambda: Lines("node", "-e", NODE))
    samples = {"AlmaLinux": "1:1.0-1.el9", "Alpine": "1.0-r0"}
    found = {}
    for name, make in makers.items():
        version = samples.get(name, "1.0")
        try:
            compare = make()
            if compare and compare(version, version) == 0:
                found[name] = functools.cache(compare)
                continue
            why = "no --apk-root" if name == "Alpine" else "no answer"
        except (OSError, ImportError, RuntimeError) as error:
            why = error
        print(f"SKIPPED {name}: {why}", file=sys.stderr)
    return found


def base(ecosystem):
    return ecosystem.split(":", 1)[0]


def key(ecosystem, name):
    """What an entry is about. Channels that are paid for (Ubuntu:Pro) speak of other packages."""
    parts = [part for part in ecosystem.split(":") if part != "LTS"]
    if base(ecosystem) == "PyPI":
        name = re.sub(r"[-_.]+", "-", name).lower()
    if base(ecosystem) == "Packagist":
        name = name.lower()
    return ":".join(parts), name


def for_everybody(entry, record):
    """Where an advisory of Ubuntu speaks only of those who pay, the rest is as affected, without the fix: a release
    that is past its end. FIPS builds are other packages."""
    of = entry["package"]
    parts = of["ecosystem"].split(":")
    if parts[:2] != ["Ubuntu", "Pro"]:
        return of["ecosystem"]
    plain = ":".join(["Ubuntu", *parts[2:]])
    others = [(other["package"]["ecosystem"], other["package"]["name"]) for other in record["affected"]]
    return of["ecosystem"] if "FIPS" in of["ecosystem"] or (plain, of["name"]) in others else plain


def entries(folder):
    """(ecosystem, name) -> [(record, entry)]"""
    found = collections.defaultdict(list)
    for archive in sorted(pathlib.Path(folder).glob("*/all.zip")):
        with zipfile.ZipFile(archive) as records:
            for name in sorted(records.namelist()):
                record = json.loads(records.read(name))
                if record.get("withdrawn") or "** REJECT" in (record.get("details") or ""):
                    continue
                for entry in record.get("affected") or []:
                    if "package" in entry:
                        package = entry["package"]
                        found[key(for_everybody(entry, record), package["name"])].append((record, entry))
    return found


def events(entry):
    for span in entry.get("ranges") or []:
        if span["type"] != "GIT":
            yield [next(iter(event.items())) for event in span["events"]]


def is_affected(version, entry, compare):
    """docs/schema.md of OSV, "Evaluation": the listed versions, or a range."""
    if version in (entry.get("versions") or []):
        return True
    answers = [is_within(version, span, compare) for span in events(entry)]
    return True if True in answers else (None if None in answers else False)


def is_within(version, span, compare):
    def order(boundary):
        return 1 if boundary == "0" else compare(version, boundary)

    orders = [(kind, boundary, order(boundary)) for kind, boundary in span]
    if any(order is None for _, _, order in orders):
        return None
    limits = [order for kind, boundary, order in orders if kind == "limit" and boundary != "*"]
    if limits and not any(order < 0 for order in limits):
        return False

    # The last boundary that is passed decides; those at one version in the schema's order.
    def by_version(a, b):
        if "0" in (a[1], b[1]):
            return (a[1] != "0") - (b[1] != "0")
        return compare(a[1], b[1]) or 0

    state = False
    for kind, _, order in sorted(orders, key=functools.cmp_to_key(by_version)):
        if kind == "introduced" and order >= 0:
            state = True
        elif (kind == "fixed" and order >= 0) or (kind == "last_affected" and order > 0):
            state = False
    return state


def names(record):
    """By what a record and another's are the same weakness."""
    others = [*(record.get("aliases") or []), *(record.get("upstream") or [])]
    if record["id"].startswith("AL"):
        others += record.get("related") or []
    return {record["id"], *others}


def weaknesses(ecosystem, record):
    """An advisory of a distribution is on several CVEs; one of a language has several names for one weakness."""
    cves = sorted(name for name in names(record) if name.startswith("CVE-"))
    if base(ecosystem) in DISTRIBUTIONS and cves:
        return [f"{cve},{record['id']}" for cve in cves]
    return [",".join(sorted(names(record)))]


def same(a, b):
    """Whether two groups are one weakness: by CVE where both have one."""
    cves = [{name for name in group if name.startswith("CVE-")} for group in (a, b)]
    return bool(cves[0] & cves[1]) if all(cves) else bool(a & b)


def sample(options):
    chance = random.Random(options.seed)
    by_ecosystem = collections.defaultdict(list)
    found = entries(options.osv)
    for ecosystem, name in found:
        by_ecosystem[base(ecosystem)].append((ecosystem, name))
    for _, keys in sorted(by_ecosystem.items()):
        # What needs more than a name and a version has tests of its own: streams of modules, paid channels.
        keys = sorted(k for k in keys if ":Pro" not in k[0])
        for ecosystem, name in chance.sample(keys, min(options.each, len(keys))):
            of_it = [entry for _, entry in found[ecosystem, name]]
            versions = {v for entry in of_it for span in events(entry) for _, v in span if v not in ("0", "*")}
            versions |= {v for entry in of_it for v in (entry.get("versions") or [])[:3]}
            if any("module" in version for version in versions):
                continue
            for version in chance.sample(sorted(versions), min(3, len(versions))):
                print(ecosystem, name, version, sep="\t")


def affecting(options):
    found, compare = entries(options.osv), comparers(options.apk_root)
    for line in sys.stdin:
        ecosystem, name, version = line.rstrip("\n").split("\t")
        by = compare.get(base(ecosystem))
        if not by:
            continue
        of_it = found[key(ecosystem, name)] + (found[key(base(ecosystem), name)] if ":" in ecosystem else [])
        answers = [(is_affected(version, entry, by), record) for record, entry in of_it]
        groups = {group for answer, record in answers if answer for group in weaknesses(ecosystem, record)}
        unknown = ["?"] if any(answer is None for answer, _ in answers) else []
        print(ecosystem, name, version, " ".join(sorted(groups) + unknown), sep="\t")


def read(path):
    rows = {}
    for line in pathlib.Path(path).read_text().splitlines():
        *package, groups = line.split("\t")
        rows[tuple(package)] = [frozenset(group.split(",")) for group in groups.split()]
    return rows


def compare(options):
    truth, answers = read(options.truth), read(options.answers)
    counts = collections.defaultdict(collections.Counter)
    for package, expected in truth.items():
        count = counts[base(package[0])]
        if package not in answers:
            count["unanswered"] += 1
            print(f"unanswered: {package}", file=sys.stderr)
            continue
        got = answers[package]
        if {"?"} in got or {"?"} in expected:
            count["unknown"] += 1
            continue
        count["packages"] += 1
        right = [group for group in got if any(same(group, other) for other in expected)]
        missed = [group for group in expected if not any(same(group, other) for other in got)]
        wrong = [group for group in got if group not in right]
        twice = sum(same(a, b) for i, a in enumerate(got) for b in got[i + 1 :])
        count.update(right=len(right), missed=len(missed), wrong=len(wrong), twice=twice)
        for what, groups in ("missed", missed), ("wrong", wrong):
            for group in groups:
                print(what, *package, ",".join(sorted(group)), sep="\t", file=sys.stderr)
    return table(counts)


def table(counts):
    print("| ecosystem | packages | findings right | wrong | missed | twice | unknown | precision | recall |")
    print("|---|---|---|---|---|---|---|---|---|")
    total = sum(counts.values(), collections.Counter())
    good = bool(total["right"]) and not total["unanswered"]
    for name, count in [*sorted(counts.items()), ("**all**", total)]:
        right, wrong, missed = count["right"], count["wrong"], count["missed"]
        precision = right / (right + wrong) if right + wrong else 1.0
        recall = right / (right + missed) if right + missed else 1.0
        good = good and precision >= 0.99 and recall >= 0.99
        columns = [count["packages"], right, wrong, missed, count["twice"], count["unknown"]]
        print(f"| {name} | {' | '.join(map(str, columns))} | {precision:.4f} | {recall:.4f} |")
    return 0 if good else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    for verb in sample, affecting, compare:
        options = verbs.add_parser(verb.__name__)
        options.set_defaults(run=verb)
        if verb is compare:
            options.add_argument("--truth", required=True)
            options.add_argument("--answers", required=True)
            continue
        options.add_argument("--osv", required=True)
        if verb is sample:
            options.add_argument("--each", type=int, default=150)
            options.add_argument("--seed", type=int, default=1)
        else:
            options.add_argument("--apk-root")
    options = parser.parse_args()
    return options.run(options)


if __name__ == "__main__":
    sys.exit(main())
