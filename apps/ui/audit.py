"""The audit log: who looked at what, a JSON object a line on stdout, with the field names of the Elastic Common Schema.

A page asks for pictures every second, so a look at one thing is written once in a while, not at each request.
"""

import json
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from apps.messages import format_timestamp
from apps.ui.caller import Caller

DATASET = "argus.access"
"""The value of `event.dataset`, by which a log shipper tells these lines from others."""

REPEAT_SECONDS = 300.0
"""A look that goes on is written again after this long."""

MOST_LOOKS = 50_000


class Audit:
    """Writes the lines. Not for several threads."""

    def __init__(self, sink: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._sink, self._clock = sink, clock
        self._seen: OrderedDict[tuple[str, ...], float] = OrderedDict()

    def write(
        self,
        action: str,
        outcome: str,
        *,
        address: str,
        caller: Caller | None = None,
        name: str | None = None,
        session: str | None = None,
        **fields: Any,
    ) -> None:
        """Write one line. `name` is what somebody calls himself where there is no caller yet."""
        line: dict[str, Any] = {
            "@timestamp": format_timestamp(datetime.now(UTC)),
            "event": {"dataset": DATASET, "kind": "event", "action": action, "outcome": outcome},
            "source": {"ip": address},
        }
        if caller is not None:
            line["user"] = {"name": caller.name, "roles": [caller.role], "kind": caller.kind}
            if caller.issuer:
                line["user"] |= {"id": caller.subject, "domain": caller.issuer}
        elif name is not None:
            line["user"] = {"name": name}
        if session is not None:
            line["session"] = {"id": session}
        line.update({key: value for key, value in fields.items() if value is not None})
        print(json.dumps(line), file=self._sink or sys.stdout, flush=True)

    def once(self, key: tuple[str, ...], write: Callable[[], None]) -> None:
        """Call `write` unless this was written within the last REPEAT_SECONDS."""
        now = self._clock()
        if now - self._seen.get(key, float("-inf")) < REPEAT_SECONDS:
            return
        self._seen.pop(key, None)
        self._seen[key] = now
        if len(self._seen) > MOST_LOOKS:
            self._seen.popitem(last=False)
        write()


def described(parameters: Mapping[str, str]) -> dict[str, str]:
    """A request's parameters for a line, shortened."""
    return {name[:40]: value[:200] for name, value in list(parameters.items())[:20]}
