from collections.abc import Sequence
from typing import final

__all__ = ["Session", "__version__", "verify_bytes"]

__version__: str

@final
class Session:
    def __new__(cls, options: str, root: bytes) -> Session: ...
    def verify(self, reference: str) -> tuple[int, str]: ...

def verify_bytes(
    reference: str,
    options: str,
    root: bytes,
    manifest: bytes,
    documents: Sequence[tuple[str, bytes]],
) -> tuple[int, str]: ...
