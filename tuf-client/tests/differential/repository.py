# A random TUF repository, from a seed: what a publisher with varied habits could have made. Documents are
# python-tuf's, turned into plain dicts, so that a mutation may say in them what its types would forbid.
import copy
import hashlib
import json
import urllib.parse
from dataclasses import dataclass, field
from datetime import datetime, timezone

from tuf.api.metadata import (
    DelegatedRole, Delegations, Key, Role, Root, Snapshot, SuccinctRoles, TargetFile, Targets, Timestamp,
)

import keys

TOP = ("root", "timestamp", "snapshot", "targets")
NAMES = (
    "a.txt", "b.txt", "B.txt", "dir/a.txt", "dir/b.bin", "dir/sub/c.txt", "d e.txt", "[a].txt", "ü.txt",
    "dir/sub/deep/x", "ab", "a+b%20c",
)
PATTERNS = (
    "*", "*.txt", "?.txt", "dir/*", "dir/?.*", "dir/sub/*", "*/*", "a*", "a.txt", "*/sub/*", "dir/*/*/*",
    "*b*", "ab",
)
ROLE_NAMES = (
    "alpha", "beta", "gamma", "Alpha", "team/x", "../up", "?", "#", "rôle", "9.root", "1.targets", "a b", "%2F",
)
SPEC_VERSIONS = ("1.0.31", "1.0.31", "1.0.34", "1.0.0", "1.0", "1.1.0", "1.99.7")


@dataclass
class Doc:
    """One document before it is signed, and what is to be done to it afterwards."""

    signed: dict
    signers: list
    style: tuple
    envelope: list = field(default_factory=list)
    text: list = field(default_factory=list)


@dataclass
class Repository:
    ids: dict = field(default_factory=dict)  # declared key id -> (kind, number)
    keytypes: dict = field(default_factory=dict)
    schemes: dict = field(default_factory=dict)  # signs with another scheme than the key's own
    salts: dict = field(default_factory=dict)
    roots: list = field(default_factory=list)
    trusted: int = 0  # index of the root that clients start from
    known: int = 0  # index of the newest root that clients have seen
    timestamp: Doc = None
    snapshot: Doc = None
    targets: dict = field(default_factory=dict)  # role name -> Doc
    stated: dict = field(default_factory=dict)  # role name -> (version, with length, hash algorithms)
    entries: dict = field(default_factory=dict)  # role name -> edits of its entry in METAFILES
    files: dict = field(default_factory=dict)  # target path -> content
    served: list = field(default_factory=list)  # edits of what is served, after all is signed
    asked: list = field(default_factory=list)  # targets that a mutation wants to be asked for

    def fresh_roots(self):
        """Roots that clients will weigh in this state: the first one, and those they haven't seen."""
        return range(self.known if self.known == self.trusted else self.known + 1, len(self.roots))

    def documents(self):
        found = {f"root {index + 1}": self.roots[index] for index in self.fresh_roots()}
        return {**found, "timestamp": self.timestamp, "snapshot": self.snapshot, **self.targets}

    def signer(self, keyid):
        return keys.signer(*self.ids[keyid])

    def key(self, keyid):
        public = self.signer(keyid).key
        return Key.from_dict(keyid, {
            "keytype": self.keytypes.get(keyid, public.keytype),
            "scheme": public.scheme,
            "keyval": dict(public.keyval),
        })


def canonical(value):
    """OLPC canonical JSON, and beyond it a form for the fractions that some mutations sign."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, (bool, float)) or value is None:
        return json.dumps(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return "[" + ",".join(canonical(item) for item in value) + "]"
    return "{" + ",".join(f"{canonical(k)}:{canonical(v)}" for k, v in sorted(value.items())) + "}"


def signature(repository, keyid, message):
    signer = repository.signer(keyid)
    scheme = repository.schemes.get(keyid, signer.key.scheme)
    return signer.sign_as(scheme, message, repository.salts.get(keyid)).hex()


def encode(repository, doc):
    message = canonical(doc.signed).encode("utf-8", "surrogatepass")
    envelope = {
        "signatures": [
            {"keyid": keyid, "sig": signature(repository, keyid, message)} for keyid in doc.signers
        ],
        "signed": doc.signed,
    }
    for edit in doc.envelope:
        edited = edit(envelope)
        envelope = envelope if edited is None else edited
    indent, order, ascii_only = doc.style
    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(envelope, indent=indent, sort_keys=order, ensure_ascii=ascii_only, separators=separators)
    content = text.encode("utf-8", "surrogatepass")
    for edit in doc.text:
        content = edit(content)
    return content


def entry(repository, name, content):
    """The METAFILES entry of a role, or None where a mutation takes it away."""
    version, with_length, algorithms = repository.stated[name]
    stated = {"version": version}
    if with_length:
        stated["length"] = len(content)
    if algorithms:
        stated["hashes"] = {algorithm: hashlib.new(algorithm, content).hexdigest() for algorithm in algorithms}
    for edit in repository.entries.get(name, []):
        stated = edit(stated)
    return stated


def quoted(name):
    return urllib.parse.quote(name, "")


def render(repository):
    """Signs all, and gives the files as they are served: path -> bytes."""
    served = {}
    consistent = bool(repository.roots[-1].signed.get("consistent_snapshot"))

    def publish(name, content):
        prefix = f"{repository.stated[name][0]}." if consistent else ""
        served[f"metadata/{prefix}{quoted(name)}.json"] = content

    for index, doc in enumerate(repository.roots):
        served[f"metadata/{index + 1}.root.json"] = encode(repository, doc)
    meta = {}
    for name, doc in repository.targets.items():
        content = encode(repository, doc)
        publish(name, content)
        stated = entry(repository, name, content)
        if stated is not None:
            meta[f"{name}.json"] = stated
    snapshot = repository.snapshot
    if isinstance(snapshot.signed.get("meta"), dict):
        # What mutations put there stays; what is computed doesn't overwrite it.
        snapshot.signed["meta"] = {**meta, **snapshot.signed["meta"]}
    content = encode(repository, snapshot)
    publish("snapshot", content)
    timestamp = repository.timestamp
    stated = entry(repository, "snapshot", content)
    if isinstance(timestamp.signed.get("meta"), dict) and stated is not None:
        timestamp.signed["meta"] = {"snapshot.json": stated, **timestamp.signed["meta"]}
    served["metadata/timestamp.json"] = encode(repository, timestamp)
    publish_targets(repository, consistent, served)
    for edit in repository.served:
        edit(served)
    return served


def publish_targets(repository, consistent, served):
    for path, content in repository.files.items():
        folder, slash, name = path.rpartition("/")
        for algorithm in ("sha256", "sha512") if consistent else ():
            digest = hashlib.new(algorithm, content).hexdigest()
            served[f"targets/{folder}{slash}{digest}.{name}"] = content
        if not consistent:
            served[f"targets/{path}"] = content


class Generator:
    def __init__(self, rng):
        self.rng = rng
        self.made = Repository()

    def chance(self, probability):
        return self.rng.random() < probability

    def new_key(self):
        kinds = {"ed25519": 16, "p256": 8, "p384": 3, "rsa": 2, "rsa512": 1}
        sizes = {"rsa": 3, "rsa512": 3}
        used = {(kind.replace("rsa512", "rsa"), number) for kind, number in self.made.ids.values()}
        while True:
            kind = self.rng.choices(list(kinds), list(kinds.values()))[0]
            number = self.rng.randrange(sizes.get(kind, 40))
            if (kind.replace("rsa512", "rsa"), number) not in used:
                break
        keyid = keys.signer(kind, number).key.keyid
        if self.chance(0.15):
            # TAP 12: an id is whatever the delegator declares.
            keyid = self.rng.choice(["key-{}", "KEY {}", "ключ {}"]).format(len(self.made.ids))
        self.made.ids[keyid] = (kind, number)
        if kind in ("p256", "p384") and self.chance(0.4):
            self.made.keytypes[keyid] = keys.signer(kind, number).key.scheme
        return keyid

    def role(self):
        threshold = self.rng.choices([1, 2, 3], [7, 3, 1])[0]
        count = threshold + self.rng.choice([0, 0, 1])
        keyids = [self.rng.choice(list(self.made.ids))] if self.made.ids and self.chance(0.2) else []
        while len(keyids) < count:
            keyids.append(self.new_key())
        return Role(keyids, threshold)

    def signers(self, role):
        """Enough of the role's keys, or all."""
        count = role.threshold if self.chance(0.5) else len(role.keyids)
        return self.rng.sample(role.keyids, count)

    def doc(self, signed, signers):
        plain = signed.to_dict()
        if self.chance(0.2):
            plain["x-unknown"] = self.rng.choice([1, [], {"ü": ["\"", "\\", "\n\t\x7f"]}, None, "é", -7])
        style = (self.rng.choice([None, None, 1, 4]), self.chance(0.5), self.chance(0.5))
        return Doc(plain, list(dict.fromkeys(signers)), style)

    def expires(self):
        return datetime(self.rng.randrange(2090, 2400), 1 + self.rng.randrange(12), 5, tzinfo=timezone.utc)

    def common(self):
        return {"spec_version": self.rng.choice(SPEC_VERSIONS), "expires": self.expires()}

    def generate(self):
        made, rng = self.made, self.rng
        roles = {name: self.role() for name in TOP}
        consistent = rng.choice([True, True, False, None])
        self.add_root(roles, None, consistent)
        for _ in range(rng.choice([0, 0, 1, 1, 2, 3])):
            roles = self.rotated(roles, 0.4)
            if self.chance(0.2):
                consistent = not consistent
            self.add_root(roles, made.roots[-1], consistent)
        made.trusted = made.known = rng.randrange(len(made.roots))
        self.add_targets(roles)
        names = list(NAMES)
        rng.shuffle(names)
        for name in names[: rng.randrange(3, 9)]:
            made.files[name] = f"{name} {rng.random()}".encode()
            self.place(name)
        self.add_snapshot(roles)
        return made

    def rotated(self, roles, probability):
        return {name: self.role() if self.chance(probability) else role for name, role in roles.items()}

    def add_root(self, roles, before, consistent):
        made = self.made
        used = {keyid: made.key(keyid) for role in roles.values() for keyid in role.keyids}
        root = Root(len(made.roots) + 1, keys=used, roles=roles, consistent_snapshot=consistent, **self.common())
        signers = self.signers(roles["root"])
        if before is not None:
            signers += self.signers(Role(**before.signed["roles"]["root"]))
        made.roots.append(self.doc(copy.deepcopy(root), signers))

    def add_targets(self, roles):
        made = self.made
        made.targets["targets"] = self.doc(
            Targets(self.rng.randrange(1, 9), **self.common()), self.signers(roles["targets"])
        )
        self.delegate("targets", self.rng.choice([0, 1, 1, 2, 3]))
        for name in made.targets:
            self.state(name)

    def state(self, name):
        """How the role is stated in METAFILES: length and hashes are optional (4.4)."""
        rng = self.rng
        doc = self.made.snapshot if name == "snapshot" else self.made.targets[name]
        algorithms = rng.choice([(), (), ("sha256",), ("sha256",), ("sha512",), ("sha256", "sha512")])
        self.made.stated[name] = (doc.signed["version"], self.chance(0.5), algorithms)

    def delegate(self, parent, depth):
        if depth == 0:
            return
        made, rng = self.made, self.rng
        free = [name for name in ROLE_NAMES if name not in made.targets]
        style = rng.choice(["paths", "paths", "paths", "prefixes", "succinct"])
        if style == "succinct":
            role, bits, prefix = self.role(), rng.choice([1, 2, 3]), rng.choice(["bin", "ü-bin", "b/in"])
            if any(name.startswith(prefix + "-") for name in made.targets):
                return
            delegation = SuccinctRoles(role.keyids, role.threshold, bits, prefix)
            children = {name: delegation for name in delegation.get_roles()}
            delegations = {"succinct_roles": delegation}
        else:
            names = rng.sample(free, min(len(free), rng.randrange(1, 4)))
            children = {name: self.delegation(style, name, at, len(names)) for at, name in enumerate(names)}
            delegations = {"roles": dict(children)}
        used = {keyid: made.key(keyid) for role in children.values() for keyid in role.keyids}
        made.targets[parent].signed["delegations"] = Delegations(used, **delegations).to_dict()
        for name, role in children.items():
            made.targets[name] = self.doc(
                Targets(rng.randrange(1, 9), **self.common()), self.signers(role)
            )
        for name in children if style != "succinct" else ():
            self.delegate(name, depth - rng.choice([1, 1, 2]) if depth > 1 else 0)

    def delegation(self, style, name, at, count):
        rng, role = self.rng, self.role()
        if style == "paths":
            where = {"paths": rng.sample(PATTERNS, rng.randrange(1, 4))}
        else:
            where = {"path_hash_prefixes": [digit for i, digit in enumerate("0123456789abcdef") if i % count == at]}
        return DelegatedRole(name, role.keyids, role.threshold, self.chance(0.2), **where)

    def place(self, path):
        """Lists a target in one or two roles, whether they may speak for it or not."""
        rng, content = self.rng, self.made.files[path]
        succinct = [
            SuccinctRoles.from_dict(dict(doc.signed["delegations"]["succinct_roles"])).get_role_for_target(path)
            for doc in self.made.targets.values()
            if "succinct_roles" in doc.signed.get("delegations", {})
        ]
        for role in {rng.choice(list(self.made.targets)), *succinct}:
            algorithms = rng.choice([["sha256"], ["sha512"], ["sha256", "sha512"], ["sha512", "sha256"]])
            target = TargetFile.from_data(path, content, algorithms).to_dict()
            if self.chance(0.2):
                target["custom"] = rng.choice([None, 1, {"k": ["v", {}]}, "text"])
            self.made.targets[role].signed["targets"][path] = target

    def add_snapshot(self, roles):
        made, rng = self.made, self.rng
        made.snapshot = self.doc(
            Snapshot(rng.randrange(1, 9), meta={}, **self.common()), self.signers(roles["snapshot"])
        )
        self.state("snapshot")
        made.timestamp = self.doc(Timestamp(rng.randrange(1, 9), **self.common()), self.signers(roles["timestamp"]))
        made.timestamp.signed["meta"] = {}


def evolve(repository, rng):
    """What the publisher does next: a later state of the same repository, good again."""
    made = copy.deepcopy(repository)
    made.known = len(made.roots) - 1
    made.served, made.entries, made.asked = [], {}, []
    generator = Generator(rng)
    generator.made = made
    made.timestamp.signed["meta"], made.snapshot.signed["meta"] = {}, {}
    changed = {name for name in made.targets if rng.random() < 0.4}
    if rng.random() < 0.15:
        return made
    if rng.random() < 0.4:
        signed = made.roots[-1].signed
        before = {name: Role(**role) for name, role in copy.deepcopy(signed["roles"]).items()}
        roles = generator.rotated(before, 0.4)
        generator.add_root(roles, made.roots[-1], signed.get("consistent_snapshot"))
        made.timestamp.signers = generator.signers(roles["timestamp"])
        made.snapshot.signers = generator.signers(roles["snapshot"])
        made.targets["targets"].signers = generator.signers(roles["targets"])
        changed.add("targets")
    for name in changed:
        made.targets[name].signed["version"] += rng.choice([1, 1, 5])
        generator.state(name)
        for path in made.targets[name].signed["targets"]:
            if rng.random() < 0.3:
                made.files[path] = f"{path} {rng.random()}".encode()
    # Whoever lists a changed file says so.
    for name, doc in made.targets.items():
        for path, target in doc.signed["targets"].items():
            good = TargetFile.from_data(path, made.files[path], list(target["hashes"])).to_dict()
            if target["hashes"] != good["hashes"]:
                target.update(good)
                if name not in changed:
                    changed.add(name)
                    doc.signed["version"] += 1
                    generator.state(name)
    made.snapshot.signed["version"] += 1
    generator.state("snapshot")
    made.timestamp.signed["version"] += 1
    return made
