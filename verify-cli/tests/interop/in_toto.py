"""Statements by in-toto's own library, in envelopes by securesystemslib.

`make KEY DIGEST RESOURCE VERIFIER` prints the envelope of a verification summary, `read BUNDLE` what the library reads in one of
ours. It takes no member that it doesn't know: of SLSA's summaries 1.1 it lacks `verifier.version`, and has `verifiedLevels` as one
text and not as a list. Both are left out. `names REPOSITORY TAG DIGEST` prints package URLs of an image, as packageurl-python
writes them: of its type for registries, and of the one for Docker's.
"""
import base64, json, sys

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from google.protobuf import json_format
from in_toto_attestation.predicates.vsa.v1 import vsa_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement
from packageurl import PackageURL
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner

VSA = "https://slsa.dev/verification_summary/v1"


def make(key, digest, resource, verifier):
    summary = vsa_pb2.VerificationSummary(resource_uri=resource, verification_result="PASSED")
    summary.verifier.id = verifier
    summary.time_verified.GetCurrentTime()
    summary.policy.uri = "https://policy.example.com"
    subject = ResourceDescriptor(name="web", digest={"sha256": digest.removeprefix("sha256:")})
    statement = Statement([subject.pb], VSA, json_format.MessageToDict(summary))
    statement.validate()
    payload = json_format.MessageToJson(statement.pb).encode()
    envelope = Envelope(payload, "application/vnd.in-toto+json", {})
    with open(key, "rb") as pem:
        envelope.sign(CryptoSigner(load_pem_private_key(pem.read(), None)))
    print(json.dumps(envelope.to_dict()))


def read(bundle):
    with open(bundle, "rb") as file:
        payload = base64.b64decode(json.load(file)["dsseEnvelope"]["payload"])
    statement = Statement.copy_from_pb(json_format.Parse(payload, statement_pb2.Statement()))
    statement.validate()
    said = json_format.MessageToDict(statement.pb.predicate)
    del said["verifier"]["version"], said["verifiedLevels"]
    summary = json_format.ParseDict(said, vsa_pb2.VerificationSummary())
    print(statement.pb.subject[0].digest["sha256"], summary.verifier.id, summary.resource_uri, summary.verification_result)


def names(repository, tag, digest):
    namespace, _, name = repository.rpartition("/")
    print(PackageURL("oci", None, name, digest, {"repository_url": repository, "tag": tag}).to_string())
    print(PackageURL("docker", namespace, name, tag, {"digest": digest}).to_string())


{"make": make, "read": read, "names": names}[sys.argv[1]](*sys.argv[2:])
