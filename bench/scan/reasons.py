"""Why scanners list different things: each reason is looked up in the unpacked image, never taken from a program's word."""
import functools, json, os, pathlib, re, subprocess, tempfile, zipfile, zlib

import listing


class Facts:
    def __init__(self, rootfs):
        self.rootfs = pathlib.Path(rootfs)

    def path(self, place):
        return self.rootfs / place.split(":")[0].split("!")[0].lstrip("/")

    @functools.cached_property
    def states(self):
        """dpkg's word on each package that it knows of."""
        form = "${db:Status-Status}\t${Package}\n"
        admin = self.rootfs / "var/lib/dpkg"
        if not (admin / "status").is_file():
            return {}
        return {name: state for state, name in listing.fields("dpkg-query", f"--admindir={admin}", "-W", "-f", form)}

    @functools.cache
    def crates(self, program):
        """What `cargo auditable` wrote into a program."""
        with tempfile.NamedTemporaryFile() as section:
            words = ["objcopy", "--dump-section", f".dep-v0={section.name}", str(program), os.devnull]
            done = subprocess.run(words, capture_output=True, check=False)
            compressed = pathlib.Path(section.name).read_bytes()
        if done.returncode != 0 or not compressed:
            return []
        return json.loads(zlib.decompress(compressed))["packages"]

    def reason(self, one, has, found):
        """Why not all list it; None where that isn't known."""
        kind, name, version = one
        places = sorted({place for program in has for place in found[program][one] if place != "/"})
        of = {"deb": self.of_deb, "npm": self.of_npm, "cargo": self.of_cargo, "golang": self.of_go, "maven": self.of_maven,
              "pypi": self.of_python, "generic": self.of_pattern, "github": self.of_pattern}.get(kind)
        return of(name, version, has, places) if of else None

    def of_deb(self, name, version, has, places):
        if self.states.get(name) in ("config-files", "not-installed"):
            return f"not installed: dpkg-query says `{self.states[name]}`"
        return None

    def of_npm(self, name, version, has, places):
        parts = [place.split("node_modules/")[1:] for place in places]
        is_installed = [listing.NODE.search(place) and all(re.fullmatch(r"(@[^/]+/)?[^/]+/?(package\.json)?", part)
                                                           for part in of) for place, of in zip(places, parts)]
        if places and not any(is_installed):
            return "its `package.json` is a part of another package or of the application, not an installed package"
        return None

    def of_cargo(self, name, version, has, places):
        for place in places:
            for crate in self.crates(self.path(place)):
                if (crate["name"], crate["version"]) == (name, version):
                    if crate["source"] not in ("crates" + ".io", "registry"):
                        return f"not from a registry: the program's list says `{crate['source']}`"
                    if crate.get("kind", "runtime") != "runtime":
                        return f"not in the program: its list says `{crate['kind']}`"
        return None

    def of_go(self, name, version, has, places):
        if version == "(devel)" or version.startswith("0.0.0-"):
            return "the program's own module: it says `(devel)`, of which syft makes a version by its commit"
        says = any(f"go{version}".encode() in self.path(place).read_bytes() for place in places)
        if name == "stdlib" and "trivy" not in has and says:
            return "Go's library, by the version of Go in the program; trivy leaves it out"
        return None

    def of_maven(self, name, version, has, places):
        if has == ["hallmark", "syft"]:
            return "Java's archives aren't shown to trivy, which fetches a database to tell what they are"
        artifact = name.rpartition("/")[2]
        for place in places:
            path = self.path(place)
            if not zipfile.is_zipfile(path):
                continue
            names = zipfile.ZipFile(path).namelist()
            if not any(re.search(rf"META-INF/maven/[^/]+/{re.escape(artifact)}/pom\.properties$", one) for one in names):
                return "no `pom.properties` says so: name and version are guessed of the file's name and its manifest"
        return None

    def of_python(self, name, version, has, places):
        is_owned = [any(os.path.realpath(self.path(place)).startswith(one) for one in self.owned) for place in places]
        if "trivy" not in has and places and all(is_owned):
            return "brought by a package of Debian's, by dpkg's list: named with its owner, and left out by trivy"
        return None

    @functools.cached_property
    def owned(self):
        return listing.owned(self.rootfs)

    def of_pattern(self, name, version, has, places):
        return "found by a pattern in a file; no package says so"
