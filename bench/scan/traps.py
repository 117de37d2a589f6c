"""Images of a few kilobytes, each a trap that scanners fell into, made of plain archives. What is installed in them isn't
said here: dpkg, rpm and the like say it of the unpacked image, as of any other.
"""
import gzip, hashlib, io, json, pathlib, tarfile

DEBIAN = ("etc/os-release", 'ID=debian\nVERSION_ID="12"\n')
SITE = "usr/lib/python3/site-packages"


def deb(name, version, status="install ok installed", source=None):
    source = f"Source: {source}\n" if source else ""
    return (f"Package: {name}\nStatus: {status}\nPriority: optional\nSection: misc\nMaintainer: a <a@example.com>\n"
            f"Architecture: amd64\n{source}Version: {version}\nDescription: a\n")


def dpkg(*stanzas):
    return "var/lib/dpkg/status", "\n".join(stanzas)


def part(name, version, source=None):
    return f"var/lib/dpkg/status.d/{name}", deb(name, version, source=source).replace("Status: install ok installed\n", "")


def python(folder, name, version):
    return f"{folder}/{name}-{version}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"


def npm(folder, name, version):
    return f"{folder}/package.json", json.dumps({"name": name, "version": version})


def white(path):
    folder, _, name = path.rpartition("/")
    return f"{folder}/.wh.{name}", ""


def opaque(folder):
    return f"{folder}/.wh..wh..opq", ""


def link(path, to):
    return path, None, to


# A trap: its layers, the lowest first; each a list of files. Versions are such as advisories of the sample are on.
TRAPS = {
    "removed, its configuration left": [[DEBIAN, dpkg(
        deb("postgresql-15", "15.1-1", "deinstall ok config-files"), deb("openssl", "3.0.9-1"))]],
    "half-configured": [[DEBIAN, dpkg(deb("openssl", "3.0.9-1", "install ok half-configured"))]],
    "no dpkg, a file a package": [[DEBIAN, part("libssl3", "3.0.9-1", "openssl"), part("tzdata", "2024a-0+deb12u1")]],
    "built anew": [[DEBIAN, dpkg(deb("libcurl4", "7.88.1-10+b1", source="curl"), deb("zlib1g", "1:1.2.13.dfsg-1+b1"))]],
    "the source has another version": [[DEBIAN, dpkg(
        deb("libgcc-s1", "12.2.0-14", source="gcc-12 (12.2.0-14)"),
        deb("libsystemd0", "252.6-1", source="systemd (252.6-1)"), deb("krb5-locales", "9:9-1", source="krb5 (1.20.1-2)"))]],
    "epochs": [[DEBIAN, dpkg(deb("vim", "2:9.0.1378-2"), deb("bind9-host", "1:9.18.12-1", source="bind9"))]],
    "tildes and pluses": [[DEBIAN, dpkg(deb("openssl", "3.0.11-1~deb12u1"), deb("curl", "7.88.1-10+deb12u1"))]],
    "an upper layer replaces the database": [
        [DEBIAN, dpkg(deb("openssl", "3.0.9-1"), deb("curl", "7.88.1-10"))],
        [dpkg(deb("openssl", "3.0.17-1~deb12u2"))]],
    "an upper layer hides a package": [
        [DEBIAN, python(SITE, "requests", "2.25.0"), python(SITE, "Django", "3.2.4")],
        [white(f"{SITE}/requests-2.25.0.dist-info")]],
    "an opaque folder": [
        [DEBIAN, python(SITE, "requests", "2.25.0"), python("opt", "Pillow", "9.0.0")],
        [opaque(SITE), python(SITE, "requests", "2.31.0")]],
    "hidden and there again": [
        [DEBIAN, npm("app/node_modules/lodash", "lodash", "4.17.11")],
        [white("app/node_modules/lodash"), npm("app/node_modules/lodash", "lodash", "4.17.21")]],
    "a link in the folders": [
        [DEBIAN, link("lib", "usr/lib"), python("usr/lib", "Jinja2", "2.10")],
        [python("lib", "urllib3", "1.24.1"), white("lib/Jinja2-2.10.dist-info")]],
    "brought by the distribution": [[
        DEBIAN, dpkg(deb("python3-requests", "2.28.1+dfsg-1", source="requests")), python(SITE, "requests", "2.25.0"),
        ("var/lib/dpkg/info/python3-requests.list",
         f"/.\n/{SITE}/requests-2.25.0.dist-info\n/{SITE}/requests-2.25.0.dist-info/METADATA\n")]],
    "test data of packages": [[
        DEBIAN, npm("app/node_modules/resolve", "resolve", "1.10.0"),
        npm("app/node_modules/resolve/test/fixtures/a", "lodash", "4.17.11"),
        npm("app/node_modules/resolve/test/node_modules/b", "minimist", "0.0.8")]],
    "the same name elsewhere": [[DEBIAN, npm("app/node_modules/requests", "requests", "0.1.0"),
                                 python(SITE, "lodash", "1.0"), python(SITE, "minimist", "0.0.8")]],
    "before the release": [[DEBIAN, python(SITE, "Django", "3.2rc1"), python("opt", "Django", "4.2.1")]],
    "builds of one's own": [[DEBIAN, python(SITE, "torch", "1.13.1+cu118"), python(SITE, "tensorflow", "2.11.0")]],
    "several spellings of a name": [[DEBIAN, python(SITE, "PyYAML", "5.3"), python(SITE, "Flask_Cors", "3.0.8"),
                                     python(SITE, "Werkzeug", "2.0.1")]],
    "scopes": [[DEBIAN, npm("app/node_modules/@hapi/hoek", "@hapi/hoek", "8.5.0"),
                npm("app/node_modules/hoek", "hoek", "4.2.0")]],
    "Alpine's origins": [[
        ("etc/os-release", "ID=alpine\nVERSION_ID=3.10.1\n"),
        ("lib/apk/db/installed", "P:libcrypto1.1\nV:1.1.1c-r0\nA:x86_64\no:openssl\n\n"
         "P:musl-utils\nV:1.1.22-r2\nA:x86_64\no:musl\n\nP:libcurl\nV:7.65.1-r0\nA:x86_64\no:curl\n\n")]],
    "no data for the release": [[("etc/os-release", "ID=alpine\nVERSION_ID=3.18.4\n"),
                                 ("lib/apk/db/installed", "P:openssl\nV:3.1.0-r0\nA:x86_64\no:openssl\n\n")]],
    "another release of Debian": [[("etc/os-release", 'ID=debian\nVERSION_ID="11"\n'), dpkg(
        deb("openssl", "1.1.1n-0+deb11u3"), deb("curl", "7.74.0-1.3+deb11u3"))]],
}


def archive(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content, *to in files:
            entry = tarfile.TarInfo(path)
            if to:
                entry.type, entry.linkname = tarfile.SYMTYPE, to[0]
                tar.addfile(entry)
                continue
            entry.size = len(content.encode())
            tar.addfile(entry, io.BytesIO(content.encode()))
    return buffer.getvalue()


def make(layout, layers):
    """Writes an image as an OCI layout, with the tag `trap`."""
    blobs = pathlib.Path(layout) / "blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(kind, data):
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}

    archives = [archive(files) for files in layers]
    ids = ["sha256:" + hashlib.sha256(one).hexdigest() for one in archives]
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": ids}}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": blob("config.v1+json", json.dumps(config).encode()),
                "layers": [blob("layer.v1.tar+gzip", gzip.compress(one, mtime=0)) for one in archives]}
    top = blob("manifest.v1+json", json.dumps(manifest).encode())
    top["annotations"] = {"org.opencontainers.image.ref.name": "trap"}
    index = {"schemaVersion": 2, "manifests": [top]}
    (pathlib.Path(layout) / "index.json").write_text(json.dumps(index))
    (pathlib.Path(layout) / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
