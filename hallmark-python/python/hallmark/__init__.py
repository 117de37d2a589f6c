"""Verify a container image before it runs.

    report = hallmark.verify(
        "registry.example.com/acme/web:1.4",
        repo="https://trust.example.com",
        root="root.json",  # as its owner gave it to you
    )
    print("pull", report["pinned"])

Only a trusted image has a report that is returned. What is refused raises Refused, and what could not be told raises
Unknown, so that code which forgets to look at a verdict doesn't run what it should not.
"""

import datetime as _datetime
import json as _json
import os as _os

from . import _hallmark
from ._hallmark import __version__

__all__ = [
    "BadCall",
    "HallmarkError",
    "NotTrusted",
    "Refused",
    "Report",
    "Unknown",
    "Verifier",
    "__version__",
    "verify",
    "verify_bytes",
]

Report = dict

# The largest root file that is read (tuf-core/src/limits.rs), and one byte more, so that a larger one is refused.
_ROOT_BYTES = 512 * 1024 + 1

# The exit codes of `verify image`.
_TRUSTED, _REFUSED, _BAD_CALL, _UNKNOWN = range(4)


class HallmarkError(Exception):
    """What every error of this package is."""


class BadCall(HallmarkError, ValueError):
    """The call is wrong, and nothing was verified: `error` says what was expected, `hint` what to do."""

    def __init__(self, report):
        self.error = report["error"]
        self.hint = report.get("hint")
        super().__init__(self.error)


class NotTrusted(HallmarkError):
    """The image is not trusted: `report` says which link of the chain broke, what was expected and what came."""

    def __init__(self, report):
        self.report = report
        super().__init__(report.get("broken", {}).get("detail") or report.get("error") or "not trusted")


class Refused(NotTrusted):
    """A link of the chain is broken. Don't run the image, and tell somebody."""


class Unknown(NotTrusted):
    """It could not be told: unreachable, or something is missing. Nothing is known against the image; don't run it."""


class Verifier:
    """A trust repository, set up. It keeps connections, and what it accepted can't be taken back while it lives.

    Share it between threads: what is verified at once shares one update of the metadata, and other threads of Python
    run meanwhile.

    repo        the trust repository: a folder, an http(s) address, oci://HOST/NAME[:TAG] or oci:DIR[:TAG]
    root        its root file, as its owner gave it to you: bytes, or the path of a file
    platform    the platform of an index to verify, such as "linux/arm64", or "all"; else this machine's
    layers      "hash": every layer is read and hashed now; "defer": they are left to whoever reads them
    at          the time to verify as of; else now
    state       a folder in which accepted metadata is kept for the next process; else memory
    authfile    a file of logins for registries, as docker and podman write it; else none
    ca_file     PEM certificates to trust beside the system's
    allow_http  whether plain http may be used with other machines
    """

    def __init__(
        self,
        *,
        repo,
        root,
        platform=None,
        layers="defer",
        at=None,
        state=None,
        authfile=None,
        ca_file=None,
        allow_http=False,
    ):
        options = _options(
            repo=_os.fspath(repo),
            platform=platform,
            layers=layers,
            at=_time(at),
            state=_path(state),
            authfile=_path(authfile),
            ca_file=_path(ca_file),
            allow_http=allow_http,
        )
        try:
            self._session = _hallmark.Session(options, _root(root))
        except ValueError as error:
            raise BadCall(_json.loads(str(error))) from None

    def verify(self, reference):
        """Verifies what a registry has under a name, such as "registry.example.com/acme/web:1.4".

        Returns the report of a trusted image: its "pinned" is what to pull. Raises Refused, Unknown or BadCall.
        """
        return _report(*self._session.verify(reference))


def verify(reference, **setup):
    """Verifies one image: as Verifier(**setup).verify(reference)."""
    return Verifier(**setup).verify(reference)


def verify_bytes(reference, manifest, documents, *, root, at=None, media_type=None, state=None):
    """Verifies that the bytes of a manifest or index are what a name means, and asks nobody.

    documents are the files of the trust repository that are at hand, by name: {"timestamp.json": b"…", …}. One that is
    missing makes it Unknown. Without a state folder nothing is remembered: whoever chooses the documents may choose
    yesterday's, as long as they haven't expired.
    """
    if at is None:
        at = _datetime.datetime.now(_datetime.timezone.utc)
    options = _options(at=_time(at), media_type=media_type, state=_path(state))
    files = list(documents.items())
    return _report(*_hallmark.verify_bytes(reference, options, _root(root), manifest, files))


def _report(outcome, text):
    report = _json.loads(text)
    # Trusted is what says so in both ways; whatever else there may ever be is not.
    if outcome == _TRUSTED and report.get("verdict") == "trusted":
        return report
    if outcome == _REFUSED:
        raise Refused(report)
    if outcome == _BAD_CALL:
        raise BadCall(report)
    raise Unknown(report)


def _options(**options):
    return _json.dumps({name: value for name, value in options.items() if value is not None})


def _path(path):
    return None if path is None else _os.fspath(path)


def _time(time):
    if not isinstance(time, _datetime.datetime):
        return time
    if time.tzinfo is None:
        raise BadCall({"error": f"at: expected a time with its zone, got {time.isoformat()}"})
    return time.isoformat()


def _root(root):
    if isinstance(root, bytes):
        return root
    with open(root, "rb") as file:
        return file.read(_ROOT_BYTES)
