# Signed mutations of keys and of delegations.
import copy

import keys
from catalogue import MISSING, mutation, put, shown


def key_objects(made, keyid):
    """Every object in which a document declares that key."""
    holders = [doc.signed for doc in made.roots]
    holders += [doc.signed.get("delegations") or {} for doc in made.targets.values()]
    found = [holder["keys"] for holder in holders if isinstance(holder.get("keys"), dict)]
    return [declared[keyid] for declared in found if isinstance(declared.get(keyid), dict)]


def used_ids(scene):
    """Ids of the keys that clients meet in this state."""
    made = scene.repository
    signers = [doc.signers for doc in made.documents().values()]
    return sorted({keyid for ids in signers for keyid in ids if keyid in made.ids})


def exchange(made, keyid, kind, number=0):
    """Puts another key under the same id, everywhere."""
    made.ids[keyid] = (kind, number)
    made.keytypes.pop(keyid, None)
    for declared in key_objects(made, keyid):
        declared.update(copy.deepcopy(made.key(keyid).to_dict()))


# Kinds and forms of keys: (words, kind that is put there or None for the one there, edits, scheme, salt).
KEY_FORMS = [
    ("ECDSA over P-521", "p521", {}, None, None),
    ("RSA of 1024 bits", "rsa1024", {}, None, None),
    ("RSA with PKCS #1 v1.5", "rsa", {"scheme": "rsa-pkcs1v15-sha256"}, "rsa-pkcs1v15-sha256", None),
    ("RSA with an empty salt", "rsa", {}, None, 0),
    ("RSA with a salt of 20 bytes", "rsa", {}, None, 20),
    ("RSA-PSS over SHA-384", "rsa", {"scheme": "rsassa-pss-sha384"}, "rsassa-pss-sha384", None),
    ("RSA declared as ECDSA", "rsa", {"keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256"}, None, None),
    ("P-256 declared as P-384", "p256", {"scheme": "ecdsa-sha2-nistp384"}, None, None),
    ("keytype of another curve", "p256", {"keytype": "ecdsa-sha2-nistp384"}, None, None),
    ("unknown key type", "ed25519", {"keytype": "sphincs"}, None, None),
    ("unknown scheme", "ed25519", {"scheme": "ed25519ph"}, None, None),
    ("sigstore-oidc", "ed25519", {"keytype": "sigstore-oidc", "scheme": "Fulcio", "keyval": {"identity": "a", "issuer": "b"}}, None, None),
    ("gpg", "rsa", {"scheme": "pgp+rsa-pkcsv1.5"}, None, None),
    ("scheme in upper case", "ed25519", {"scheme": "ED25519"}, None, None),
    ("no keytype", None, {"keytype": MISSING}, None, None),
    ("no scheme", None, {"scheme": MISSING}, None, None),
    ("no keyval", None, {"keyval": MISSING}, None, None),
    ("keyval null", None, {"keyval": None}, None, None),
    ("no public", None, {"keyval": {}}, None, None),
    ("public a number", None, {"keyval": {"public": 1}}, None, None),
    ("public empty", None, {"keyval": {"public": ""}}, None, None),
    ("public too short", "ed25519", {"keyval": {"public": "00ff"}}, None, None),
    ("public not hex", "ed25519", {"keyval": {"public": "zz" * 32}}, None, None),
    ("small order point", "ed25519", {"keyval": {"public": "01" + "00" * 31}}, None, None),
    ("keyid_hash_algorithms", None, {"keyid_hash_algorithms": ["sha256", "sha512"]}, None, None),
    ("keyid_hash_algorithms a string", None, {"keyid_hash_algorithms": "md5"}, None, None),
    ("unknown member", None, {"x-more": {"a": None}}, None, None),
]
# Other spellings of the same public key: (words, kind, its new text).
KEY_SPELLINGS = [
    ("hex in upper case", "ed25519", lambda signer, text: text.upper()),
    ("hex with a space", "ed25519", lambda signer, text: text[:8] + " " + text[8:]),
    ("the point in hex", "p256", lambda signer, text: signer.point_hex()),
    ("PEM with CR LF", "p256", lambda signer, text: text.replace("\n", "\r\n")),
    ("PEM without the last line end", "p256", lambda signer, text: text.strip()),
    ("PEM in one line", "p256", lambda signer, text: text.replace("\n", "")),
    ("text before the PEM", "p256", lambda signer, text: "key of A\n" + text),
    ("PEM twice", "p256", lambda signer, text: text + text),
    ("PEM under another label", "p256", lambda signer, text: text.replace("PUBLIC KEY", "CERTIFICATE")),
    ("PEM of PKCS #1", "rsa", lambda signer, text: signer.pkcs1_pem()),
    ("PEM broken", "p256", lambda signer, text: text.replace("M", "!", 1)),
    ("PEM with lines of 76", "p256", lambda signer, text: rewrapped(text, 76)),
    ("PEM with lines of 20", "p256", lambda signer, text: rewrapped(text, 20)),
]


def rewrapped(pem, width):
    first, *inner, last = pem.strip().split("\n")
    body = "".join(inner)
    return "\n".join([first, *(body[at : at + width] for at in range(0, len(body), width)), last]) + "\n"


@mutation("key's form")
def key_form(scene):
    made, ids = scene.repository, used_ids(scene)
    if not ids:
        return None
    keyid = scene.rng.choice(ids)
    words, kind, edits, scheme, salt = scene.rng.choice(KEY_FORMS)
    if kind is not None:
        exchange(made, keyid, kind)
    for declared in key_objects(made, keyid):
        for member, value in edits.items():
            put(declared, member, copy.deepcopy(value))
    if scheme is not None:
        made.schemes[keyid] = scheme
    if salt is not None:
        made.salts[keyid] = salt
    return f"key {keyid[:8]}: {words}"


@mutation("key's spelling")
def key_spelling(scene):
    made, ids = scene.repository, used_ids(scene)
    if not ids:
        return None
    keyid = scene.rng.choice(ids)
    words, kind, spell = scene.rng.choice(KEY_SPELLINGS)
    exchange(made, keyid, kind)
    signer = made.signer(keyid)
    for declared in key_objects(made, keyid):
        declared["keyval"] = {"public": spell(signer, declared["keyval"]["public"])}
    return f"key {keyid[:8]}: {words}"


@mutation("key without a declaration")
def key_undeclared(scene):
    made = scene.repository
    holders = [(f"root {index + 1}", made.roots[index].signed) for index in made.fresh_roots()]
    holders += [(name, doc.signed["delegations"]) for name, doc in made.targets.items() if doc.signed.get("delegations")]
    where, holder = scene.rng.choice([pair for pair in holders if isinstance(pair[1].get("keys"), dict) and pair[1]["keys"]] or [(None, None)])
    if holder is None:
        return None
    keyid = scene.rng.choice(list(holder["keys"]))
    holder["keys"].pop(keyid)
    return f"{where} doesn't declare key {keyid[:8]}"


@mutation("one key under two ids")
def one_key_two_ids(scene):
    """GHSA-3633-5h82-39pq: the second id must not count as a second signer."""
    made, rng = scene.repository, scene.rng
    places = [(made.roots[index].signed, role) for index in made.fresh_roots() for role in (made.roots[index].signed.get("roles") or {}).values()]
    for doc in made.targets.values():
        delegations = doc.signed.get("delegations") or {}
        places += [(delegations, role) for role in delegations.get("roles", [])]
    places = [(holder, role) for holder, role in places if isinstance(holder.get("keys"), dict) and isinstance(role, dict) and role.get("keyids")]
    if not places:
        return None
    holder, role = rng.choice(places)
    keyid = role["keyids"][0]
    if keyid not in holder["keys"] or keyid not in made.ids:
        return None
    twin = f"twin of {keyid[:8]}"
    made.ids[twin] = made.ids[keyid]
    if keyid in made.keytypes:
        made.keytypes[twin] = made.keytypes[keyid]
    holder["keys"][twin] = copy.deepcopy(holder["keys"][keyid])
    role["keyids"] = [keyid, twin]
    role["threshold"] = rng.choice([1, 2, 2, 2])
    for doc in made.documents().values():
        if keyid in doc.signers:
            doc.signers = [*doc.signers, twin]
    return f"key {keyid[:8]} is listed under a second id, threshold {role['threshold']}"


def delegators(scene):
    return [(name, doc.signed["delegations"]) for name, doc in scene.repository.targets.items() if doc.signed.get("delegations")]


def with_roles(scene):
    return [(name, made) for name, made in delegators(scene) if made.get("roles")]


@mutation("delegations member")
def delegations_member(scene):
    value = scene.rng.choice([None, [], {}, "x", {"keys": {}}, {"keys": {}, "roles": []}, {"roles": []}, {"keys": [], "roles": []}, {"keys": {}, "roles": {}}, {"keys": {}, "roles": None}, {"keys": None, "roles": []}, {"keys": {}, "roles": [None]}])
    name = scene.rng.choice(list(scene.repository.targets))
    scene.repository.targets[name].signed["delegations"] = copy.deepcopy(value)
    return f"{name}: delegations = {shown(value)}"


ROLE_EDITS = {
    "name": ["root", "timestamp", "snapshot", "targets", "", None, 1, MISSING, "a/../b", "\0", "x" * 300],
    "paths": [MISSING, [], None, "*", ["**"], [1], [""], ["["], ["[!a]*"], ["[a-z]*.txt"], ["\\*"], ["*" * 40 + "b"], ["*.TXT"], ["/*"], ["{a,b}.txt"], ["dir"], ["dir/"]],
    "path_hash_prefixes": [[], None, [""], ["0" * 65], [1], ["A", "B", "C", "D", "E", "F"], list("0123456789abcdef"), ["zz"], "0", MISSING],
    "terminating": [MISSING, None, "yes", 1, 0, True, False, []],
}


@mutation("delegated role's members")
def delegated_role(scene):
    found = with_roles(scene)
    if not found:
        return None
    holder, delegations = scene.rng.choice(found)
    role = scene.rng.choice(delegations["roles"])
    if not isinstance(role, dict):
        return None
    member = scene.rng.choice(list(ROLE_EDITS))
    value = scene.rng.choice(ROLE_EDITS[member])
    if member in ("paths", "path_hash_prefixes") and scene.rng.random() < 0.8:
        # Mostly alone, as the specification asks: with the other one beside it the value isn't weighed.
        role.pop("paths", None)
        role.pop("path_hash_prefixes", None)
    name = role.get("name")
    put(role, member, copy.deepcopy(value))
    return f"{holder}: {name}'s {member} = {shown(value)}"


@mutation("role delegated twice")
def delegated_twice(scene):
    found = with_roles(scene)
    if not found:
        return None
    holder, delegations = scene.rng.choice(found)
    role = copy.deepcopy(scene.rng.choice(delegations["roles"]))
    delegations["roles"].append(role)
    return f"{holder} delegates to {role.get('name')} twice"


@mutation("succinct roles")
def succinct_roles(scene):
    found = [(name, made) for name, made in delegators(scene) if made.get("succinct_roles")]
    if not found:
        return None
    holder, delegations = scene.rng.choice(found)
    member, values = scene.rng.choice([
        ("bit_length", [0, 33, -1, 32, 4, "2", None, MISSING, 2**32, True, 1.0]),
        ("name_prefix", ["", None, 1, MISSING, "other", "targets"]),
        ("roles", [[], None, MISSING]),
        ("x-more", [1]),
    ])
    value = scene.rng.choice(values)
    put(delegations if member == "roles" else delegations["succinct_roles"], member, value)
    return f"{holder}: succinct {member} = {shown(value)}"


@mutation("delegation in a circle")
def circle(scene):
    """A role that delegates to itself, to one above it, or to one that another delegates to as well."""
    made, rng, found = scene.repository, scene.rng, with_roles(scene)
    if not found:
        return None
    holder, delegations = rng.choice(found)
    role = copy.deepcopy(rng.choice(delegations["roles"]))
    other = rng.choice([name for name in made.targets if name != holder] or [holder])
    target = made.targets[other].signed
    into = target.get("delegations")
    if not isinstance(into, dict) or not isinstance(into.get("roles"), list):
        into = target["delegations"] = {"keys": {}, "roles": []}
    into["roles"] = [one for one in into["roles"] if one.get("name") != role.get("name")]
    into["roles"].insert(rng.randrange(len(into["roles"]) + 1), role)
    other_keys = rng.random() < 0.4
    if other_keys:
        # Under this delegator nobody's signature counts: a role is its delegator's, not its name's.
        into["keys"].update({keyid: made.key(keyid).to_dict() for keyid in list(made.ids)[:1]})
        role["keyids"], role["threshold"] = list(made.ids)[:1], 1
    else:
        into["keys"].update({keyid: copy.deepcopy(delegations["keys"][keyid]) for keyid in role["keyids"] if keyid in delegations["keys"]})
    if "paths" in role:
        role["paths"] = ["*", "*/*", "*/*/*"]
    return f"{other} delegates to {role['name']} too{', to other keys' if other_keys else ''}"


@mutation("long chain of delegations")
def long_chain(scene):
    made, rng = scene.repository, scene.rng
    length = rng.choice([10, 31, 32, 33, 40, 63, 64, 65, 70])
    keyid = next((keyid for keyid, (kind, _) in made.ids.items() if kind == "ed25519"), None)
    path = rng.choice(list(made.files))
    if keyid is None:
        return None
    listing = None
    for doc in made.targets.values():
        target = (doc.signed.get("targets") or {}).pop(path, None)
        listing = target or listing
    before = "targets"
    for step in range(length):
        name = f"link {step}"
        made.targets[before].signed["delegations"] = {
            "keys": {keyid: made.key(keyid).to_dict()},
            "roles": [{"name": name, "keyids": [keyid], "threshold": 1, "terminating": False, "paths": ["*", "*/*", "*/*/*", "*/*/*/*"]}],
        }
        doc = copy.deepcopy(made.targets["targets"])
        doc.envelope, doc.text, doc.signers = [], [], [keyid]
        doc.signed = {**doc.signed, "_type": "targets", "version": 1, "targets": {}, "expires": "2100-01-01T00:00:00Z", "spec_version": "1.0.31"}
        doc.signed.pop("delegations", None)
        made.targets[name], made.stated[name] = doc, (1, False, ())
        before = name
    if listing is not None:
        made.targets[before].signed["targets"] = {path: listing}
    made.asked.append(path)
    return f"{path} is {length} delegations away"


@mutation("role rekeyed by its delegator")
def rekeyed(scene):
    found = with_roles(scene)
    if not found:
        return None
    holder, delegations = scene.rng.choice(found)
    role, keyid = scene.rng.choice(delegations["roles"]), scene.rng.choice(list(scene.repository.ids))
    if not isinstance(role, dict) or not isinstance(delegations.get("keys"), dict):
        return None
    delegations["keys"][keyid] = scene.repository.key(keyid).to_dict()
    role["keyids"], role["threshold"] = [keyid], 1
    return f"{holder} gives {role.get('name')} another key"


@mutation("online key taken away", later=True)
def key_taken(scene):
    """A root in which one key of timestamp or snapshot is gone: 5.3.11 when it is the online keys that change."""
    import repository as repositories

    made, rng = scene.repository, scene.rng
    if len(made.roots) - 1 == made.known:
        generator = repositories.Generator(rng)
        generator.made = made
        roles = {name: repositories.Role(**copy.deepcopy(role)) for name, role in made.roots[-1].signed["roles"].items()}
        for name in rng.choice([("timestamp",), ("snapshot",), ("timestamp", "snapshot")]):
            roles[name].keyids = [*roles[name].keyids[1:], generator.new_key()]
            getattr(made, name).signers = list(roles[name].keyids)
        generator.add_root(roles, made.roots[-1], made.roots[-1].signed.get("consistent_snapshot"))
        doc = scene.rng.choice([made.timestamp, made.snapshot])
        if rng.random() < 0.7 and isinstance(doc.signed.get("version"), int):
            doc.signed["version"] = 1
            if doc is made.snapshot:
                made.stated["snapshot"] = (1, *made.stated["snapshot"][1:])
        return "a root takes a key of timestamp or snapshot away, and a version goes back to 1"
    return None
