from collections.abc import Sequence

__version__: str

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
