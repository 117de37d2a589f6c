"""Documents by the libraries and schemas of their standards, and what those read in ours.

`openvex PRODUCT` prints a document by vexipy; `read-openvex` reads one from standard input. `predicate SCHEMAS KIND` prints a predicate
by in-toto's own schemas (protoc's descriptors), `read SCHEMAS KIND` reads one from standard input, and takes no member that isn't in
them. That of simple verification results has another form of `verifier.policy` than its specification, which calls it an extension:
it is left out.
"""
import json, sys

TIME = "2026-01-02T03:04:05Z"


def openvex(product):
    from vexipy import Document, Product, Statement, Vulnerability

    bash = [{"@id": "pkg:apk/alpine/busybox"}]
    named = Product(**{"@id": product, "subcomponents": bash})
    one = Statement(
        vulnerability=Vulnerability(name="CVE-2026-7"),
        products=[named],
        status="not_affected",
        justification="vulnerable_code_not_in_execute_path",
    )
    document = Document(**{"@id": "https://acme.example/vex/1"}, author="Acme", version=1, statements=[one])
    print(document.to_json(by_alias=True, exclude_none=True))


def read_openvex():
    from vexipy import Document

    document = Document.from_json(sys.stdin.read())
    [one] = document.statements
    print(document.author, one.vulnerability.name, one.status.value, str(one.products[0].id))


KINDS = {
    "svr": ("svr.v0_1.SimpleVerificationResult", {
        "verifier": {"id": "https://verify.example.com"}, "timeCreated": TIME, "properties": ["ACME_REVIEWED"],
    }),
    "vsa": ("vsa.v1.VerificationSummary", {
        "verifier": {"id": "https://verify.example.com"}, "timeVerified": TIME, "resourceUri": "r.io/x",
        "policy": {"uri": "https://policy.example.com"}, "verificationResult": "PASSED", "slsaVersion": "1.2",
        "verifiedLevels": ["SLSA_BUILD_LEVEL_3", "ACME_REVIEWED"],
    }),
    "vulns01": ("vulns.v01.Vulns", {
        "scanner": {"uri": "pkg:x", "version": "1", "database": {"uri": "pkg:db", "lastUpdate": TIME},
                    "result": {"vulnerabilities": [{"id": "CVE-1", "severity": [{"method": "nvd", "score": "5.2"}]}]}},
        "scanMetadata": {"scanStartedOn": TIME, "scanFinishedOn": TIME},
    }),
    "vulns02": ("vulns.v02.Vulns", {
        "scanner": {"uri": "pkg:x", "version": "1", "db": {"uri": "pkg:db", "lastUpdate": TIME},
                    "result": [{"id": "CVE-1", "severity": [{"method": "nvd", "score": "5.2"}]}, {"id": "CVE-2"}]},
        "metadata": {"scanStartedOn": TIME, "scanFinishedOn": TIME},
    }),
    "provenance02": ("provenance.v02.Provenance", {
        "builder": {"id": "https://ci.example.com"}, "buildType": "https://ci.example.com/kind",
        "invocation": {"configSource": {"uri": "git+https://github.com/acme/web", "digest": {"sha1": "01" * 20},
                                        "entryPoint": "Dockerfile"}},
        "metadata": {"buildInvocationId": "7", "buildStartedOn": TIME, "buildFinishedOn": TIME},
        "materials": [{"uri": "pkg:docker/alpine@3.19", "digest": {"sha256": "ab" * 32}}],
    }),
    "provenance1": ("provenance.v1.Provenance", {
        "buildDefinition": {
            "buildType": "https://actions.github.io/buildtypes/workflow/v1",
            "externalParameters": {"workflow": {"ref": "refs/heads/main", "repository": "https://github.com/acme/web",
                                                "path": ".github/workflows/release.yml"}},
            "resolvedDependencies": [{"uri": "git+https://github.com/acme/web@refs/heads/main",
                                      "digest": {"gitCommit": "01" * 20}}],
        },
        "runDetails": {"builder": {"id": "https://ci.example.com"},
                       "metadata": {"invocationId": "7", "startedOn": TIME, "finishedOn": TIME}},
    }),
}


def message(schemas, kind):
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    pool = descriptor_pool.DescriptorPool()
    with open(schemas, "rb") as file:
        for one in descriptor_pb2.FileDescriptorSet.FromString(file.read()).file:
            pool.Add(one)
    name = "in_toto_attestation.predicates." + KINDS[kind][0]
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))()


def predicate(schemas, kind):
    from google.protobuf import json_format

    print(json_format.MessageToJson(json_format.ParseDict(KINDS[kind][1], message(schemas, kind))))


def read(schemas, kind):
    from google.protobuf import json_format

    said = json.load(sys.stdin)
    if kind == "svr":
        said["verifier"].pop("policy", None)
    print(json.dumps(json_format.MessageToDict(json_format.ParseDict(said, message(schemas, kind)))))


{"openvex": openvex, "read-openvex": read_openvex, "predicate": predicate, "read": read}[sys.argv[1]](*sys.argv[2:])
