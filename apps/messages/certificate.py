"""Why the page has no newer certificate of its ACME server, in the Secret from which the page reads the certificate."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Self

FAILURE_FILE = "failure.json"


@dataclass(frozen=True)
class Failure:
    """The last try failed, as all have since `since` (with its time zone)."""

    since: datetime
    reason: str

    def to_json(self) -> bytes:
        """As it is in the Secret."""
        return json.dumps({"since": self.since.isoformat(timespec="seconds"), "reason": self.reason}).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """Raises ValueError for anything else."""
        read = json.loads(content)
        if not isinstance(read, dict) or not {"since", "reason"} <= read.keys():
            raise ValueError(f"no failure: {content[:100]!r}")
        return cls(datetime.fromisoformat(str(read["since"])), str(read["reason"]))
