# Mutations that nobody signs anew: bytes, files and the envelopes around what is signed.
import json
import random
import re

import keys
from catalogue import mutation, path_of, pick, put, retext, shown, MISSING


def of_bytes(name, edit, *variants):
    """A mutation of any document's bytes: `edit(content, variant)`."""

    @mutation(name)
    def apply(scene):
        label, doc = pick(scene)
        variant = scene.rng.choice(variants) if variants else scene.rng.random()
        when = retext(scene, label, doc, lambda content: edit(content, variant))
        return f"{label} {when}: {name} {variant!r}"


def flip(content, where):
    if not content:
        return content
    at = int(where * len(content))
    return content[:at] + bytes([content[at] ^ (1 << int(where * 8e6) % 8)]) + content[at + 1 :]


def relaid(content, order):
    """The same document with other white space, and its members in another order."""
    try:
        value = json.loads(content)
    except ValueError:
        return content

    def write(value):
        if isinstance(value, dict):
            members = sorted(value.items(), reverse=order == "reversed")
            inner = "\r\n,".join(f"{json.dumps(name)}\t: {write(item)}" for name, item in members)
            return "{ " + inner + "\n\n}"
        if isinstance(value, list):
            return "[\t" + " , ".join(write(item) for item in value) + "]"
        return json.dumps(value)

    return (" \n" + write(value) + " ").encode()


def escaped(content, which):
    """Writes characters of strings as escapes: the same text to every reader of JSON."""
    def escape(match):
        return '"' + "".join(f"\\u{ord(c):04X}" if c.isascii() and c.isalpha() else c for c in match[1]) + '"'

    pattern = rf'"({which})"'
    try:
        return re.sub(pattern, escape, content.decode()).encode()
    except UnicodeDecodeError:
        return content


def replaced(content, pair):
    old, new = pair
    return content.replace(old, new, 1)


def number(content, form):
    return re.sub(rb'("version":\s*)(\d+)', lambda m: m[1] + form.replace(b"N", m[2]), content, count=1)


NOT_OBJECTS = {
    "list": lambda content: b"[" + content + b"]",
    "null": lambda _: b"null",
    "empty": lambda _: b"{}",
    "string": lambda content: json.dumps(content.decode(errors="replace")).encode(),
    "two": lambda content: content + content,
}

of_bytes("byte flipped", flip)
of_bytes("truncated", lambda content, where: content[: int(where * len(content))])
of_bytes("emptied", lambda content, _: b"")
of_bytes("bytes before", lambda content, more: more + content, b"\xef\xbb\xbf", b"\n", b" ", b"\0", b"x", b")]}'\n", b"\x0c")
of_bytes("bytes after", lambda content, more: content + more, b"\n", b" \t\r\n", b"\0", b"x", b"{}", b",", b"\x0c", "\u00a0".encode())
of_bytes("other encoding", lambda content, form: content.decode().encode(form), "utf-16", "utf-16-le", "utf-32", "utf-7")
of_bytes("white space and order", relaid, "sorted", "reversed")
of_bytes("names escaped", escaped, "signed", "keyid", "version", "_type", "expires", "[a-z_]+")
of_bytes("slashes escaped", lambda content, _: content.replace(b"/", b"\\/"))
of_bytes("a page of HTML", lambda content, _: b"<!doctype html><title>404</title>")
of_bytes("not an object", lambda content, form: NOT_OBJECTS[form](content), "list", "null", "empty", "string", "two")
of_bytes("version's number form", number, b"N.0", b"Ne0", b"NE+0", b"0N", b"+N", b"N.", b"N.5", b"-N", b'"N"', b"N0e-1", b"0xN", b"N_0", b" N ", b"Ne400")
of_bytes(
    "loose syntax", replaced,
    (b"{", b"{/**/"), (b"{", b"{,"), (b"}", b",}"), (b"[", b"[,"), (b'"signed"', b"signed"), (b'"signed"', b"'signed'"),
    (b'"signed"', b'"signed "'), (b":", b"="), (b"{", b"{//\n"), (b"null", b"None"), (b"true", b"True"), (b"]", b",]"),
)


@mutation("duplicate member")
def duplicate_member(scene):
    label, doc = pick(scene)
    at_random = scene.rng.choice(["version", "_type", "expires", "keyid", "sig", "signatures", "signed", "keyids", "threshold"])
    value, first = scene.rng.choice(["null", "same", "1", '"x"']), scene.rng.random() < 0.5

    def twice(content):
        # The first member of that name, whole: its value is a JSON value that a parser can end.
        try:
            text = content.decode()
        except UnicodeDecodeError:
            return content
        match = re.search(rf'"{at_random}":\s*', text)
        if match is None:
            return content
        try:
            _, end = json.JSONDecoder().raw_decode(text, match.end())
        except ValueError:
            return content
        member = text[match.start() : end]
        other = member if value == "same" else f'"{at_random}":{value}'
        both = f"{other},{member}" if first else f"{member},{other}"
        return (text[: match.start()] + both + text[end:]).encode()

    when = retext(scene, label, doc, twice)
    return f"{label} {when}: {at_random} twice, the {'first' if first else 'second'} {value}"


def odd_member(scene, name, value, text):
    """An unknown member whose value is written as `text`: signed, or beside what is signed."""
    label, doc = pick(scene)
    signed = scene.rng.random() < 0.7
    if signed:
        doc.signed[name] = value
    else:
        doc.envelope.append(lambda envelope: {**envelope, name: value})
    doc.text.append(lambda content: content.replace(b'"@@"', text))
    return f"{label}: {'signed' if signed else 'unsigned'} member {name} written {text[:40]!r}"


NUMBERS = [
    (0, b"-0"), (1000.0, b"1e3"), (1000, b"1e3"), (1.5, b"1.5"), (1, b"1.0"), (1.0, b"1.0"), (2**53 + 1, None),
    (2**63, None), (2**64 - 1, None), (2**64, None), (-(2**63), None), (-(2**63) - 1, None), (10**40, None),
    (float("inf"), b"1E400"), (float("nan"), b"NaN"), (float("inf"), b"Infinity"), (1, b"01"), (16, b"0x10"),
    (0.0, b"-0.0"), (0.0, b"1e-400"), (-1, None),
]


@mutation("odd number")
def odd_number(scene):
    value, text = scene.rng.choice(NUMBERS)
    if text is None:
        return odd_member(scene, "x-number", value, b"")
    # A marker stands for the number: what is signed is the value, what is written is the text.
    report = odd_member(scene, "x-number", value, text)
    for _, doc in scene.repository.documents().items():
        doc.text.insert(0, lambda content: re.sub(rb'"x-number":\s*[^,}\s]+', b'"x-number":' + text, content))
    return f"{report} for {value!r}"


STRINGS = [
    ("\ud800", b'"\\ud800"'), ("\udc00", b'"\\udc00"'), ("😀", b'"\\ud83d\\ude00"'), ("\0", b'"\\u0000"'),
    ("\x7f", b'"\x7f"'), ("\x01", b'"\x01"'), ("\n", b'"\n"'), ("\t", b'"\t"'), ("\uffff", b'"\xef\xbf\xbf"'),
    ("x", b'"\xff"'), ("x", b'"\xc0\xaf"'), ("x", b'"\xed\xa0\x80"'), ("/", b'"\\/"'), ("\b\f", b'"\\b\\f"'), ("A", b'"\\U0041"'),
    ("\u2028", b'"\xe2\x80\xa8"'), ("é", "\"e\u0301\"".encode()), ("e\u0301", "\"e\u0301\"".encode()), ("\x1f", b'"\\u001F"'),
    ("x", b'"\\x41"'), ("a", b'"\\u61"'), ("\\", b'"\\\\"'), ('"', b'"\\""'), ("\ufeff", b'"\xef\xbb\xbf"'),
]


@mutation("odd string")
def odd_string(scene):
    value, text = scene.rng.choice(STRINGS)
    report = odd_member(scene, "x-string", value, text)
    written = re.compile(rb'"x-string":\s*"(?:[^"\\]|\\.)*"')
    for _, doc in scene.repository.documents().items():
        doc.text.insert(0, lambda content: written.sub(lambda _: b'"x-string":' + text, content))
    return report


@mutation("odd names")
def odd_names(scene):
    """Their order is by code point: neither UTF-16's nor a language's."""
    label, doc = pick(scene)
    doc.signed["x-names"] = {"\uffff": 1, "\U0001f600": 2, "é": 3, "e\u0301": 4, "z": 5, "Z": 6, "": 7, "\0": 8, '"': 9, "a\\": 10, "a b": 11}
    return f"{label}: names of all kinds"


@mutation("deep nesting")
def deep_nesting(scene):
    label, doc = pick(scene)
    depth, signed = scene.rng.choice([10, 20, 22, 30, 120, 5000]), scene.rng.random() < 0.5
    opened, closed = scene.rng.choice([("[", "]"), ('{"d":', "}")])
    if signed and depth < 200:
        doc.signed["x-deep"] = json.loads(opened * depth + "0" + closed * depth)
        return f"{label}: signed member nested {depth} deep"
    text = f'"x-deep":{opened * depth}0{closed * depth},"signatures"'.encode()
    doc.text.append(lambda content: content.replace(b'"signatures"', text, 1))
    return f"{label}: unsigned member nested {depth} deep"


@mutation("padded")
def padded(scene):
    label, doc = pick(scene)
    size, signed = scene.rng.choice([1_000, 20_000, 70_000, 515_000, 600_000]), scene.rng.random() < 0.5
    if signed:
        doc.signed["x-padding"] = "x" * size
    else:
        doc.text.append(lambda content: content + b" " * size)
    return f"{label}: {size} bytes of {'signed text' if signed else 'white space'}"


def of_envelope(name):
    """A mutation of one document's signatures: `function(signatures, rng)`."""

    def register(function):
        @mutation(name)
        def apply(scene):
            label, doc = pick(scene)
            if not doc.signers:
                return None
            seed = scene.rng.random()

            def edit(envelope):
                if isinstance(envelope.get("signatures"), list) and envelope["signatures"]:
                    # A document may be encoded twice, and must come out the same.
                    function(envelope["signatures"], random.Random(seed))

            doc.envelope.append(edit)
            return f"{label}: {name}"

        return function

    return register


@of_envelope("signature removed")
def signature_removed(signatures, rng):
    signatures.pop(rng.randrange(len(signatures)))


@of_envelope("signatures removed")
def signatures_removed(signatures, rng):
    signatures.clear()


@of_envelope("signature twice")
def signature_twice(signatures, rng):
    signatures.insert(rng.randrange(len(signatures) + 1), dict(rng.choice(signatures)))


@of_envelope("signature twice, one bad")
def signature_twice_one_bad(signatures, rng):
    again = dict(rng.choice(signatures))
    again["sig"] = "00" * 64
    signatures.insert(rng.randrange(len(signatures) + 1), again)


@of_envelope("signature spoilt")
def signature_spoilt(signatures, rng):
    one = rng.choice(signatures)
    one["sig"] = rng.choice(["", "00", "0", "zz", one["sig"][:-2], one["sig"] + "00", one["sig"][2:], "0x" + one["sig"], one["sig"][::-1]])


@of_envelope("signature's hex in other form")
def signature_hex(signatures, rng):
    one = rng.choice(signatures)
    sig = one["sig"]
    one["sig"] = rng.choice([sig.upper(), sig.title(), " ".join([sig[:4], sig[4:]]), sig + "\n", " " + sig, sig[:1] + " " + sig[1:]])


@of_envelope("signature of nobody listed")
def signature_of_nobody(signatures, rng):
    signatures.insert(rng.randrange(len(signatures) + 1), {"keyid": rng.choice(["nobody", "", "00" * 32]), "sig": rng.choice(["", "00" * 64, "zz"])})


@of_envelope("key ids of signatures swapped")
def key_ids_swapped(signatures, rng):
    signatures[0]["keyid"], signatures[-1]["keyid"] = signatures[-1]["keyid"], signatures[0]["keyid"]


@of_envelope("signature's key id in other case")
def key_id_case(signatures, rng):
    one = rng.choice(signatures)
    one["keyid"] = rng.choice([one["keyid"].upper(), " " + one["keyid"], one["keyid"][:-1]])


@of_envelope("signature of the wrong type")
def signature_type(signatures, rng):
    put(rng.choice(signatures), rng.choice(["keyid", "sig"]), rng.choice([MISSING, None, 1, [], {}, True]))


@of_envelope("signature with more members")
def signature_members(signatures, rng):
    rng.choice(signatures).update({"method": "x", "x": {"y": [1]}})


@of_envelope("three hundred signatures")
def many_signatures(signatures, rng):
    signatures.extend({"keyid": f"{number:064x}", "sig": "00" * 64} for number in range(300))


@of_envelope("signatures in reverse")
def signatures_reversed(signatures, rng):
    signatures.reverse()


@of_envelope("signature malleated")
def signature_malleated(signatures, rng):
    """Another spelling of the same signature: S + L for Ed25519, n - s or a longer form for ECDSA."""
    one = rng.choice(signatures)
    raw = bytes.fromhex(one["sig"])
    if len(raw) == 64:
        high = int.from_bytes(raw[32:], "little") + keys.ED25519_ORDER
        one["sig"] = (raw[:32] + high.to_bytes(32, "little")).hex()
    elif raw[:1] == b"\x30" and len(raw) < 75:
        length = raw[3]
        r, s = raw[4 : 4 + length], int.from_bytes(raw[6 + length :], "big")
        other = keys.P256_ORDER - s if rng.random() < 0.6 else s
        if rng.random() < 0.6 or other != s:
            body = other.to_bytes(other.bit_length() // 8 + 1, "big")
        else:
            body = b"\0" + raw[6 + length :]
        inner = b"\x02" + bytes([length]) + r + b"\x02" + bytes([len(body)]) + body
        one["sig"] = (b"\x30" + bytes([len(inner)]) + inner).hex()


@mutation("envelope's members")
def envelope_members(scene):
    label, doc = pick(scene)
    name = scene.rng.choice(["signatures", "signed", "x-more"])
    value = scene.rng.choice([MISSING, None, {}, [], "x", 1, [None], [[]]])
    doc.envelope.append(lambda envelope: put(envelope, name, value))
    return f"{label}: envelope's {name} = {shown(value)}"


@mutation("file missing")
def file_missing(scene):
    label, _ = pick(scene)
    scene.repository.served.append(lambda served: served.pop(path_of(served, label), None))
    return f"{label} isn't served"


@mutation("another role's file")
def other_file(scene):
    (label, _), (other, _) = pick(scene), pick(scene)
    both = scene.rng.random() < 0.5

    def swap(served):
        a, b = path_of(served, label), path_of(served, other)
        if a in served and b in served:
            served[a], served[b] = served[b], served[a] if both else served[b]

    scene.repository.served.append(swap)
    return f"{label} is served with {other}'s bytes{' and the reverse' if both else ''}"


@mutation("target's bytes")
def target_bytes(scene):
    listed = [path for path in scene.repository.files]
    path, rng = scene.rng.choice(listed), scene.rng
    edit = rng.choice([lambda c: flip(c, 0.3), lambda c: c + b"x", lambda c: c[:-1], lambda c: b"", lambda c: c * 1000, None])
    name = path.rpartition("/")[2]

    def change(served):
        for key in [key for key in served if key.startswith("targets/") and key.endswith(name)]:
            if edit is None:
                served.pop(key)
            else:
                served[key] = edit(served[key])

    scene.repository.served.append(change)
    scene.repository.asked.append(path)
    return f"target {path}: other bytes, or none"


@mutation("stale file", later=True)
def stale_file(scene):
    label = scene.rng.choice([label for label, _ in [pick(scene), ("timestamp", None), ("snapshot", None), ("targets", None)]])
    old = scene.before[0]

    def change(served):
        path, before = path_of(served, label), path_of(old, label)
        if before in old and path is not None:
            served[path] = old[before]

    scene.repository.served.append(change)
    return f"{label} is served as it was"


@mutation("stale state", later=True)
def stale_state(scene):
    old, roots_too = scene.before[0], scene.rng.random() < 0.5

    def change(served):
        kept = {} if roots_too else {path: content for path, content in served.items() if path.endswith(".root.json")}
        served.clear()
        served.update({**old, **kept})

    scene.repository.served.append(change)
    return f"all {'' if roots_too else 'but the roots '}is served as it was"
