# Mutations that are signed: what a publisher with the keys, or a thief of them, might say.
import copy
import hashlib

import repository as repositories
from catalogue import MISSING, mutation, pick, put, shown

EXPIRES = [
    "2001-01-01T00:00:00Z", "2100-01-01T00:00:00+00:00", "2100-01-01T00:00:00.5Z", "2100-01-01t00:00:00z", "2100-01-01T00:00:00",
    "2100-01-01", "2100-06-30T23:59:60Z", "2100-06-30T23:59:61Z", "12100-01-01T00:00:00Z", "2100-1-1T0:0:0Z", "2100-02-30T00:00:00Z",
    "2100-01-01 00:00:00Z", " 2100-01-01T00:00:00Z", "2100-01-01T00:00:00Z\n", "2100-01-01T24:00:00Z", "", "never", 4102444800, None,
    MISSING, "2100-01-01T00:00:00-01:00", "2100-01-01T00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "٢١٠٠-01-01T00:00:00Z",
]
VERSIONS = [0, -1, "1", None, MISSING, True, [], 2**31, 2**53, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**30]
SPEC_VERSIONS = [
    "2.0.0", "0.9.0", "1", "1.0.31.4", "1.x", "1.0.0-rc1", "", "01.0.0", "1.", ".1", "1..0", " 1.0.0", "1.0.31\n", "1.0.१", "10.0.0",
    1, 1.0, None, MISSING, "1,0", "v1.0.0", "1.18446744073709551616.0",
]
THRESHOLDS = [0, -1, "1", None, MISSING, True, False, 2, 99, 2**32, 2**32 + 1, 2**64, [], 1.0]


def of_field(name, field, values, kinds=None):
    @mutation(name)
    def apply(scene):
        label, doc = pick(scene, kinds)
        if doc is None:
            return None
        value = scene.rng.choice(values)
        put(doc.signed, field, value)
        stated = scene.repository.stated
        agreed = field == "version" and label in stated and value is not MISSING and scene.rng.random() < 0.6
        if agreed:
            stated[label] = (value, *stated[label][1:])
        return f"{label}: {field} = {shown(value)}{', as stated' if agreed else ''}"


of_field("version", "version", VERSIONS)
of_field("expires", "expires", EXPIRES)
of_field("spec_version", "spec_version", SPEC_VERSIONS)
of_field("_type", "_type", ["root", "targets", "snapshot", "timestamp", "Root", "mirrors", "", None, MISSING, 1])
of_field("consistent_snapshot", "consistent_snapshot", ["yes", 1, 0, None, MISSING, True, False, [], "false"], ("root",))
of_field("targets member", "targets", [MISSING, None, [], {}, "x"], ("targets", "alpha", "beta", "gamma"))
of_field("meta member", "meta", [MISSING, None, [], {}, "x"], ("timestamp", "snapshot"))
of_field("keys member", "keys", [MISSING, None, [], {}, "x"], ("root",))
of_field("roles member", "roles", [MISSING, None, [], {}, "x"], ("root",))


@mutation("version out of step")
def version_out_of_step(scene):
    label, doc = pick(scene)
    if not isinstance(doc.signed.get("version"), int):
        return None
    step = scene.rng.choice([-1, 1, 7])
    doc.signed["version"] += step
    return f"{label}: version {step:+}, not as stated"


@mutation("version behind", later=True)
def version_behind(scene):
    """Signed anew with an older version: a rollback by whoever has the keys (5.4.3, 5.5.5)."""
    label, doc = pick(scene, ("timestamp", "snapshot", *scene.repository.targets))
    if not isinstance(doc.signed.get("version"), int):
        return None
    version = doc.signed["version"] = max(1, doc.signed["version"] - scene.rng.choice([1, 2, 6]))
    if label in scene.repository.stated:
        scene.repository.stated[label] = (version, *scene.repository.stated[label][1:])
    return f"{label}: back to version {version}"


@mutation("same version, other content", later=True)
def same_version(scene):
    import json

    label = "timestamp"
    signed = scene.repository.timestamp.signed
    signed["version"] = json.loads(scene.before[-1]["metadata/timestamp.json"])["signed"]["version"]
    signed["x-again"] = True
    return f"{label}: the version seen, with other content"


@mutation("role forgotten by snapshot")
def role_forgotten(scene):
    name = scene.rng.choice(list(scene.repository.targets))
    scene.repository.entries.setdefault(name, []).append(lambda entry: None)
    return f"snapshot doesn't list {name}"


@mutation("snapshot forgotten by timestamp")
def snapshot_forgotten(scene):
    scene.repository.entries.setdefault("snapshot", []).append(lambda entry: None)
    return "timestamp doesn't list the snapshot"


@mutation("more in meta")
def more_in_meta(scene):
    label, doc = pick(scene, ("timestamp", "snapshot"))
    name = scene.rng.choice(["nobody.json", "root.json", "x", "", "snapshot.json.bak"])
    if isinstance(doc.signed.get("meta"), dict):
        doc.signed["meta"][name] = {"version": scene.rng.choice([1, 1, 1, 0])}
    return f"{label}: meta lists {name!r} too"


ENTRIES = {
    "length": [MISSING, None, -1, 0, 1, "5", True, 2**64, 10**30, 1.0],
    "version": [0, -1, "1", None, MISSING, True, 2**64],
    "hashes": [MISSING, None, {}, [], "x", {"sha256": ""}, {"sha256": None}, {"sha256": 1}],
    "custom": [None, {"a": [1]}, "x"],
}


@mutation("METAFILES entry")
def metafiles_entry(scene):
    name = scene.rng.choice([*scene.repository.targets, "snapshot", "snapshot", "targets", "targets"])
    member = scene.rng.choice(list(ENTRIES))
    value = scene.rng.choice(ENTRIES[member])

    def edit(entry):
        if entry is not None:
            put(entry, member, value)
        return entry

    scene.repository.entries.setdefault(name, []).append(edit)
    return f"entry of {name}: {member} = {shown(value)}"


@mutation("entry of the wrong type")
def entry_type(scene):
    name = scene.rng.choice([*scene.repository.targets, "snapshot", "targets"])
    value = scene.rng.choice([[], "x", 1, {}])
    scene.repository.entries.setdefault(name, []).append(lambda entry: value)
    return f"entry of {name} = {shown(value)}"


def hashes_of(content, rng):
    """Hashes in forms that are right, wrong, or of algorithms that not every client knows: words and value."""
    def of(name):
        if name == "blake2b-256":
            return hashlib.blake2b(content, digest_size=32).hexdigest()
        return hashlib.new(name, content).hexdigest()

    good = of("sha256")
    return rng.choice([
        ("upper case", {"sha256": good.upper()}), ("shortened", {"sha256": good[:-2]}), ("zero", {"sha256": "0" * 64}),
        ("sha512 only", {"sha512": of("sha512")}), ("sha384 only", {"sha384": of("sha384")}), ("md5 only", {"md5": of("md5")}),
        ("sha3_256 only", {"sha3_256": of("sha3_256")}), ("blake2b-256 only", {"blake2b-256": of("blake2b-256")}),
        ("blake2b-256 beside", {"blake2b-256": of("blake2b-256"), "sha256": good}),
        ("sha384 beside", {"sha384": of("sha384"), "sha256": good}), ("sha384 wrong beside", {"sha384": "0" * 96, "sha256": good}),
        ("unknown beside", {"sha256": good, "whirlpool9": "00"}), ("unknown only", {"whirlpool9": "00"}),
        ("one of two wrong", {"sha256": good, "sha512": "0" * 128}), ("algorithm in upper case", {"SHA256": good}),
        ("algorithm with hyphen", {"sha-256": good}), ("spaces", {"sha256": f" {good}"}), ("shake without a length", {"shake_128": "00"}),
    ])


@mutation("METAFILES hashes")
def metafiles_hashes(scene):
    name = scene.rng.choice([*scene.repository.targets, "snapshot", "snapshot", "targets", "targets"])
    # The entry is made from the very bytes, so the words are known before, and the hashes only then.
    state, kind = scene.rng.getstate(), type(scene.rng)
    repository = scene.repository

    def edit(entry):
        if entry is not None:
            rng = kind()
            rng.setstate(state)
            doc = repository.snapshot if name == "snapshot" else repository.targets[name]
            entry["hashes"] = hashes_of(repositories.encode(repository, doc), rng)[1]
        return entry

    words = hashes_of(b"", scene.rng)[0]
    repository.entries.setdefault(name, []).append(edit)
    return f"entry of {name}: hashes {words}"


def listed_targets(scene):
    return [
        (role, path, doc.signed["targets"][path])
        for role, doc in scene.repository.targets.items()
        for path in doc.signed.get("targets") or ()
        if path in scene.repository.files
    ]


@mutation("target's hashes")
def target_hashes(scene):
    found = listed_targets(scene)
    if not found:
        return None
    role, path, target = scene.rng.choice(found)
    content = scene.repository.files[path]
    words, target["hashes"] = hashes_of(content, scene.rng)
    folder, slash, name = path.rpartition("/")

    def publish(served):
        # Under whatever name the statement leads to, so that it is the statement that is weighed.
        for digest in target["hashes"].values():
            served[f"targets/{folder}{slash}{digest}.{name}"] = content

    scene.repository.served.append(publish)
    scene.repository.asked.append(path)
    return f"target {path} in {role}: hashes {words}"


@mutation("target's members")
def target_members(scene):
    found = listed_targets(scene)
    if not found:
        return None
    role, path, target = scene.rng.choice(found)
    member, values = scene.rng.choice([
        ("length", [MISSING, None, -1, 0, "5", True, target.get("length", 0) + 1, max(0, target.get("length", 0) - 1), 2**64, 10**30, 1.0]),
        ("hashes", [MISSING, None, {}, [], "x", {"sha256": None}]),
        ("custom", [None, [], "x", 1, {"n": None}]),
        ("x-more", [None, {"a": 1}]),
    ])
    value = scene.rng.choice(values)
    put(target, member, value)
    scene.repository.asked.append(path)
    return f"target {path} in {role}: {member} = {shown(value)}"


@mutation("target of the wrong type")
def target_type(scene):
    role = scene.rng.choice(list(scene.repository.targets))
    value = scene.rng.choice([None, [], "x", 1, {}])
    path = scene.rng.choice(list(scene.repository.files))
    scene.repository.targets[role].signed.setdefault("targets", {})[path] = value
    scene.repository.asked.append(path)
    return f"target {path} in {role} = {shown(value)}"


@mutation("odd target path")
def odd_target_path(scene):
    made, rng = scene.repository, scene.rng
    path = rng.choice(["", "/", "/abs.txt", "../up.txt", "dir/../a.txt", "./a.txt", "dir//a.txt", "a?b", "a#b", "a%2Fb", "dir/", "a\\b", "a\nb", "é", "e\u0301", "C:x", "http://x/y", "%", "a;b", "." , ".."])
    content = b"odd"
    made.files[path] = content
    digest = hashlib.sha256(content).hexdigest()
    made.targets["targets"].signed["targets"] = {
        **(made.targets["targets"].signed.get("targets") or {}), path: {"length": len(content), "hashes": {"sha256": digest}},
    }
    made.asked.append(path)
    return f"targets list {path!r}"


def role_holders(scene):
    """Every place that says who signs a role: (where, container with keyids and threshold)."""
    found = []
    for index in scene.repository.fresh_roots():
        for name, role in (scene.repository.roots[index].signed.get("roles") or {}).items():
            found.append((f"root {index + 1}: {name}", role))
    for holder, doc in scene.repository.targets.items():
        delegations = doc.signed.get("delegations") or {}
        found += [(f"{holder}: {role['name']}", role) for role in delegations.get("roles", [])]
        if "succinct_roles" in delegations:
            found.append((f"{holder}: succinct", delegations["succinct_roles"]))
    return [(where, role) for where, role in found if isinstance(role, dict)]


def of_roles(name, edit):
    @mutation(name)
    def apply(scene):
        found = role_holders(scene)
        if not found:
            return None
        where, role = scene.rng.choice(found)
        words = edit(scene, role)
        return words and f"{where}: {words}"


def threshold(scene, role):
    value = scene.rng.choice(THRESHOLDS)
    put(role, "threshold", value)
    return f"threshold = {shown(value)}"


def threshold_above(scene, role):
    if not isinstance(role.get("keyids"), list):
        return None
    role["threshold"] = len(role["keyids"]) + 1
    return "threshold above the number of keys"


def keyids(scene, role):
    ids = role.get("keyids")
    if not isinstance(ids, list) or not ids:
        return None
    value = scene.rng.choice([
        [*ids, ids[0]], [*ids, "nobody"], ["nobody"], [], MISSING, None, "abc", 1, [1], [None], ids[::-1], [i.upper() for i in ids], {ids[0]: 1}, ids[1:],
    ])
    put(role, "keyids", value)
    return f"keyids = {shown(value)}"


def role_members(scene, role):
    role["x-more"] = {"a": [1]}
    return "unknown member"


of_roles("threshold", threshold)
of_roles("threshold above keys", threshold_above)
of_roles("keyids", keyids)
of_roles("role's members", role_members)


@mutation("roles of root")
def roles_of_root(scene):
    label, doc = pick(scene, ("root",))
    if label is None or not isinstance(doc.signed.get("roles"), dict):
        return None
    name = scene.rng.choice(["mirrors", "extra", "root", "timestamp", "snapshot", "targets"])
    value = scene.rng.choice([MISSING, None, [], {}]) if name in repositories.TOP else {"keyids": [], "threshold": 1}
    put(doc.signed["roles"], name, value)
    return f"{label}: roles.{name} = {shown(value)}"


@mutation("signed by others")
def signed_by_others(scene):
    label, doc = pick(scene)
    others = [keyid for keyid in scene.repository.ids if keyid not in doc.signers]
    if not others:
        return None
    doc.signers = scene.rng.sample(others, min(len(others), len(doc.signers) or 1))
    return f"{label} is signed by keys of others"


@mutation("root signed on one side")
def root_one_sided(scene):
    made = scene.repository
    fresh = [index for index in made.fresh_roots() if index > made.known]
    if not fresh:
        return None
    index = scene.rng.choice(fresh)
    side = scene.rng.choice(["its own", "the old"])
    source = made.roots[index if side == "its own" else index - 1].signed
    made.roots[index].signers = list(source["roles"]["root"]["keyids"])
    return f"root {index + 1} is signed by {side} keys only"


@mutation("root out of sequence")
def root_out_of_sequence(scene):
    made = scene.repository
    fresh = [index for index in made.fresh_roots() if index > made.known]
    if not fresh:
        return None
    index, form = scene.rng.choice(fresh), scene.rng.choice(["withheld", "the one before", "expired"])

    def change(served):
        if form == "withheld":
            served.pop(f"metadata/{index + 1}.root.json", None)
        elif form == "the one before" and f"metadata/{index}.root.json" in served:
            served[f"metadata/{index + 1}.root.json"] = served[f"metadata/{index}.root.json"]

    if form == "expired":
        made.roots[index].signed["expires"] = "2001-01-01T00:00:00Z"
    made.served.append(change)
    return f"root {index + 1} is {form}"
