"""What the package promises, checked against a world of the test that calls this: NAME REPO NOW PLATFORM FOLDER."""

import datetime
import pathlib
import socket
import sys
import threading
import time

import hallmark

NAME, REPO, NOW, PLATFORM, FOLDER = sys.argv[1:]
FOLDER = pathlib.Path(FOLDER)
ROOT = (FOLDER / "root.json").read_bytes()
AT = datetime.datetime.fromisoformat(NOW)


def raised(error, call, *args, **named):
    try:
        call(*args, **named)
    except error as caught:
        assert type(caught) is error, caught
        return caught
    raise AssertionError(f"expected {error.__name__}, got no error")


def verifiers_are_shared_by_threads():
    verifier = hallmark.Verifier(
        repo=REPO, root=ROOT, platform=PLATFORM, at=AT, authfile=FOLDER / "auth.json", state=FOLDER / "state"
    )
    reports = []
    threads = [threading.Thread(target=lambda: reports.append(verifier.verify(NAME))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [report["verdict"] for report in reports] == ["trusted"] * 8, reports
    assert (FOLDER / "state" / "metadata").is_dir()
    refused = raised(hallmark.Refused, verifier.verify, NAME.replace(":1.4", ":9.9"))
    assert refused.report["verdict"] == "refused" and refused.report["broken"]["stage"] == "target"
    assert isinstance(refused, hallmark.NotTrusted) and str(refused).startswith("no role")
    bad = raised(hallmark.BadCall, verifier.verify, "no name")
    assert isinstance(bad, ValueError) and "registry.example.com/acme/web:1.4" in bad.hint, bad.hint


def wrong_calls_are_named():
    bad = raised(hallmark.BadCall, hallmark.verify, NAME, repo=REPO, root=ROOT, platform="arm")
    assert str(bad).startswith("platform: expected a platform as in linux/amd64"), bad
    bad = raised(hallmark.BadCall, hallmark.verify, NAME, repo=REPO, root=ROOT, at=datetime.datetime(2030, 1, 1))
    assert str(bad).startswith("at: expected a time with its zone"), bad
    raised(TypeError, hallmark.verify, NAME, repo=REPO, root=ROOT, plattform="all")
    raised(TypeError, hallmark.verify, NAME, repo=REPO)
    raised(hallmark.Refused, hallmark.verify, NAME, repo=REPO, root=b"{}")


def bytes_are_verified_without_a_server():
    documents = {path.name: path.read_bytes() for path in (FOLDER / "metadata").iterdir()}
    good, unsigned = ((FOLDER / name).read_bytes() for name in ("good.json", "unsigned.json"))
    report = hallmark.verify_bytes(NAME, good, documents, root=ROOT, at=AT)
    assert report["verdict"] == "trusted" and report["pinned"].endswith(report["digest"]), report
    refused = raised(hallmark.Refused, hallmark.verify_bytes, NAME, unsigned, documents, root=ROOT, at=AT)
    assert refused.report["broken"]["expected"] == report["digest"]
    late = AT + datetime.timedelta(days=4000)
    refused = raised(hallmark.Refused, hallmark.verify_bytes, NAME, good, documents, root=ROOT, at=late)
    assert "expired" in str(refused)
    del documents["timestamp.json"]
    raised(hallmark.Unknown, hallmark.verify_bytes, NAME, good, documents, root=ROOT, at=AT)


def python_goes_on_meanwhile():
    """A server that says nothing until another thread of Python, half a second later, hangs up."""
    server = socket.create_server(("127.0.0.1", 0))
    hung_up = threading.Event()

    def hang_up():
        for _ in range(50):
            time.sleep(0.01)
        hung_up.set()
        server.close()

    repo = f"http://127.0.0.1:{server.getsockname()[1]}/"
    threading.Thread(target=hang_up).start()
    raised(hallmark.Unknown, hallmark.verify, NAME, repo=repo, root=ROOT, at=AT)
    # Were Python's lock held meanwhile, the other thread would only begin now.
    assert hung_up.is_set()


verifiers_are_shared_by_threads()
wrong_calls_are_named()
bytes_are_verified_without_a_server()
python_goes_on_meanwhile()
print("checked")
