"""The last try to have the certificate renewed, in the state's Secret, and when the next one may be."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from apps.acme.settings import Settings

TRY: Final = "try.json"


@dataclass(frozen=True)
class Try:
    """A try of a pod, and how many have failed one after the other with this one; one counts as failed until it has
    ended well."""

    pod: str
    at: datetime
    failures: int

    def to_json(self) -> bytes:
        """As it is in the Secret."""
        return json.dumps({"pod": self.pod, "at": self.at.isoformat(), "failures": self.failures}).encode()

    @classmethod
    def found(cls, content: Mapping[str, bytes], pod: str) -> Self | None:
        """This pod's last try: a new pod, as after other settings, tries at once. None for what cannot be read."""
        try:
            read = json.loads(content[TRY])
            found = cls(str(read["pod"]), datetime.fromisoformat(read["at"]).astimezone(UTC), int(read["failures"]))
        except (ValueError, KeyError, TypeError):
            return None
        return found if found.pod == pod else None

    def early(self, settings: Settings) -> float:
        """Seconds that are left until the next try may be; 0 where a clock was set back."""
        since = (datetime.now(UTC) - self.at).total_seconds()
        return max(0.0, pause(settings, max(1, self.failures)) - since) if since >= 0 else 0.0


def pause(settings: Settings, failures: int) -> float:
    """Seconds until the next look, after so many failures one after the other."""
    if not failures:
        return settings.look_seconds
    return min(settings.look_seconds, settings.retry_seconds * 2.0 ** min(failures - 1, 16))
