"""Simple verification results by proofbundle, which writes them of receipts of its own.

`make KEY` prints an envelope with one, `read BUNDLE KEY` says what it makes of one of ours: whether signature, statement and
predicate hold, who verified, and the properties. (That the payload be canonical JSON is a demand of its own receipts, and no
result's.) KEY is a private key for Ed25519 in PEM.
"""
import base64, json, sys

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from proofbundle import evalclaim, intoto


def private(path):
    with open(path, "rb") as pem:
        return load_pem_private_key(pem.read(), None)


def make(path):
    key = private(path)
    claim, _ = evalclaim.build_eval_claim(
        suite="web", suite_version="1", metric="findings", comparator="<=", threshold="0", score="0", n=1,
        model_id="web", dataset_id="web", issuer="https://ci.example.com", timestamp="2026-01-01T00:00:00Z",
    )
    print(json.dumps(intoto.export_svr_dsse(evalclaim.emit_eval_receipt(claim, key), key)))


def read(bundle, path):
    with open(bundle, "rb") as file:
        envelope = json.load(file)["dsseEnvelope"]
    result = intoto.verify_svr_dsse(envelope, private(path).public_key().public_bytes_raw())
    said = json.loads(base64.b64decode(envelope["payload"]))["predicate"]
    holds = all(result[part] for part in ("signature_ok", "statement_ok", "predicate_type_ok", "predicate_shape_ok"))
    print(holds, said["verifier"]["id"], *said["properties"])


{"make": make, "read": read}[sys.argv[1]](*sys.argv[2:])
