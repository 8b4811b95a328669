"""A record of every API request, in memory and as JSON lines."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

REVIEWS: tuple[str, ...] = (
    "selfsubjectaccessreviews",
    "selfsubjectrulesreviews",
    "subjectaccessreviews",
    "localsubjectaccessreviews",
    "tokenreviews",
    "selfsubjectreviews",
)


@dataclass(frozen=True)
class AuditEntry:
    """``verb`` is the HTTP method, ``path`` has the query, ``time`` is seconds since the epoch at the request's start."""

    seq: int
    time: float
    verb: str
    path: str
    resource: str
    namespace: str
    name: str
    subresource: str
    status: int
    dry_run: bool
    review: bool
    user_agent: str
    duration_ms: float
    bytes: int


class Audit:
    def __init__(self, path: Path | None = None) -> None:
        self.entries: list[AuditEntry] = []
        self._seq = 0
        self._file: TextIO | None = path.open("a", encoding="utf-8") if path else None

    def record(self, **fields: Any) -> AuditEntry:
        self._seq += 1
        entry = AuditEntry(seq=self._seq, **fields)
        self.entries.append(entry)
        if self._file:
            self._file.write(json.dumps(asdict(entry)) + "\n")
            self._file.flush()
        return entry

    def since(self, seq: int) -> list[dict[str, Any]]:
        """Entries with a greater sequence number."""
        return [asdict(entry) for entry in self.entries if entry.seq > seq]

    def close(self) -> None:
        if self._file:
            self._file.close()


def now() -> float:
    return time.time()
