"""What is installed in a root file system, asked of the programs and libraries whose packages they are: dpkg-query, rpm,
Python's importlib.metadata, and for Go and Rust syft. No code of ours has a part in it.

A package is (kind, name, version, source name, source version): the last two as Debian and Alpine name what a package
was built from. What only the distribution's packages brought is theirs, and isn't listed again.
"""
import importlib.metadata, json, os, pathlib, re, subprocess

NODE = re.compile(r"node_modules/((@[^/]+/)?[^/@.][^/]*)/package\.json$")


def os_release(rootfs):
    for place in ("etc/os-release", "usr/lib/os-release"):
        path = rootfs / place
        if path.is_symlink():
            path = rootfs / os.path.normpath(os.path.join("/", os.path.dirname(place), os.readlink(path))).lstrip("/")
        if path.is_file():
            lines = (line.partition("=") for line in path.read_text().splitlines())
            return {name: value.strip("\"'") for name, _, value in lines}
    return {}


def ecosystem(kind, release):
    """The ecosystem of the OSV schema."""
    version = release.get("VERSION_ID", "")
    return {
        "deb": f"Debian:{version.split('.')[0]}" if release.get("ID") == "debian" else f"Ubuntu:{version}",
        "apk": "Alpine:v" + ".".join(version.split(".")[:2]),
        "rpm": f"AlmaLinux:{version.split('.')[0]}",
        "pypi": "PyPI", "npm": "npm", "golang": "Go", "cargo": "crates" + ".io", "gem": "RubyGems",
        "composer": "Packagist",
    }.get(kind)


def fields(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


def of_dpkg(rootfs):
    admin = rootfs / "var/lib/dpkg"
    if not (admin / "status").is_file():
        return
    form = "${db:Status-Status}\t${Package}\t${Version}\t${source:Package}\t${source:Version}\n"
    for status, name, version, source, source_version in fields("dpkg-query", f"--admindir={admin}", "-W", "-f", form):
        if status not in ("config-files", "not-installed"):
            yield "deb", name, version, source, source_version


def of_parts(rootfs):
    """Images without dpkg have a file a package; dpkg-query reads them as one database."""
    parts = rootfs / "var/lib/dpkg/status.d"
    stanzas = [path.read_text().strip() for path in sorted(parts.glob("*")) if not path.name.endswith(".md5sums")]
    if not stanzas:
        return
    admin = rootfs.parent / "parts"
    (admin / "info").mkdir(parents=True, exist_ok=True)
    installed = (one if "\nStatus:" in one else one + "\nStatus: install ok installed" for one in stanzas)
    (admin / "status").write_text("\n\n".join(installed) + "\n")
    form = "${Package}\t${Version}\t${source:Package}\t${source:Version}\n"
    for name, version, source, source_version in fields("dpkg-query", f"--admindir={admin}", "-W", "-f", form):
        yield "deb", name, version, source, source_version


def of_apk(rootfs):
    path = rootfs / "lib/apk/db/installed"
    for stanza in path.read_text().split("\n\n") if path.is_file() else []:
        of = dict(line.split(":", 1) for line in stanza.splitlines() if line[1:2] == ":" and line[0] in "PVo")
        if "P" in of:
            yield "apk", of["P"], of["V"], of.get("o") or of["P"], of["V"]


def of_rpm(rootfs):
    for place in ("var/lib/rpm", "usr/lib/sysimage/rpm"):
        if any((rootfs / place / name).is_file() for name in ("rpmdb.sqlite", "Packages", "Packages.db")):
            backend = "sqlite" if (rootfs / place / "rpmdb.sqlite").is_file() else "bdb_ro"
            form = "%{NAME}\t%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\n"
            listed = fields("rpm", f"--dbpath={rootfs / place}", "-D", f"_db_backend {backend}", "-qa", "--qf", form)
            for name, version in listed:
                if name != "gpg-pubkey":
                    yield "rpm", name, version, None, None


def owned(rootfs):
    """The files of the distribution's packages, by dpkg's own lists, at their real places."""
    paths = set()
    for path in (rootfs / "var/lib/dpkg/info").glob("*.list"):
        for line in path.read_text().splitlines():
            if ".dist-info" in line or ".egg-info" in line:
                paths.add(os.path.realpath(rootfs / line.lstrip("/")))
    return paths


def of_python(rootfs):
    theirs, seen = owned(rootfs), set()
    for folder, folders, files in os.walk(rootfs):
        for name in [*folders, *files]:
            path = os.path.realpath(os.path.join(folder, name))
            if not name.endswith((".dist-info", ".egg-info")) or path in seen:
                continue
            seen.add(path)
            if any(one == path or one.startswith(path + "/") for one in theirs):
                continue
            found = importlib.metadata.Distribution.at(pathlib.Path(path))
            if found.metadata and found.metadata["Name"]:
                yield "pypi", found.metadata["Name"], found.version, None, None


def of_node(rootfs):
    for folder, _, files in os.walk(rootfs):
        place = os.path.relpath(folder, rootfs)
        if "package.json" not in files or not NODE.search(place + "/package.json"):
            continue
        # What lies between two node_modules has to be one package: packages carry others as test data.
        between = place.split("node_modules/")[1:]
        if not all(re.fullmatch(r"(@[^/]+/)?[^/]+/?", part) for part in between):
            continue
        try:
            said = json.loads(pathlib.Path(folder, "package.json").read_text())
        except ValueError:
            continue
        if said.get("name") and said.get("version"):
            yield "npm", said["name"], said["version"], None, None


def of_programs(syft, layout, tag):
    """Crates and Go modules in programs, as syft lists them."""
    if not syft:
        return
    done = subprocess.run([syft, "scan", f"oci-dir:{layout}", "-o", "syft-json", "-q"], capture_output=True, check=True,
                          env={**os.environ, "SYFT_CHECK_FOR_APP_UPDATE": "false"})
    for one in json.loads(done.stdout)["artifacts"]:
        if one["type"] in ("go-module", "rust-crate"):
            kind = {"go-module": "golang", "rust-crate": "cargo"}[one["type"]]
            yield kind, one["name"], one["version"].removeprefix("go"), None, None


def packages(rootfs):
    listers = of_dpkg, of_parts, of_apk, of_rpm, of_python, of_node
    return sorted({one for lister in listers for one in lister(rootfs)}, key=str)
