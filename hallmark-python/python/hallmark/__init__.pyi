import datetime
import os
from collections.abc import Mapping
from typing import Any, Literal

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

__version__: str

Report = dict[str, Any]
"""A report of `docs/schema/verify-image.json`."""

_Path = str | os.PathLike[str]
_Time = str | datetime.datetime

class HallmarkError(Exception): ...

class BadCall(HallmarkError, ValueError):
    error: str
    hint: str | None
    def __init__(self, report: dict[str, Any]) -> None: ...

class NotTrusted(HallmarkError):
    report: Report
    def __init__(self, report: Report) -> None: ...

class Refused(NotTrusted): ...
class Unknown(NotTrusted): ...

class Verifier:
    def __init__(
        self,
        *,
        repo: _Path,
        root: bytes | _Path,
        platform: str | None = None,
        layers: Literal["defer", "hash"] = "defer",
        at: _Time | None = None,
        state: _Path | None = None,
        authfile: _Path | None = None,
        ca_file: _Path | None = None,
        allow_http: bool = False,
    ) -> None: ...
    def verify(self, reference: str) -> Report: ...

def verify(
    reference: str,
    *,
    repo: _Path,
    root: bytes | _Path,
    platform: str | None = None,
    layers: Literal["defer", "hash"] = "defer",
    at: _Time | None = None,
    state: _Path | None = None,
    authfile: _Path | None = None,
    ca_file: _Path | None = None,
    allow_http: bool = False,
) -> Report: ...
def verify_bytes(
    reference: str,
    manifest: bytes,
    documents: Mapping[str, bytes],
    *,
    root: bytes | _Path,
    at: _Time | None = None,
    media_type: str | None = None,
    state: _Path | None = None,
) -> Report: ...
