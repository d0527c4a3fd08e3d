"""A token by which pods know who asks, which is read again when its file changes."""

import hmac
import threading
import time
from collections.abc import Callable
from pathlib import Path

from apps.service.settings import SettingsError

HEADER = "X-Argus-Token"
"""Not `Authorization`, which the API server's proxy to pods takes for itself."""

SHOW_OLD_SECONDS = 300.0
"""How long a changed token is not shown yet: by then every pod has the new file, which takes a minute or two."""

ADMIT_OLD_SECONDS = 900.0
"""How long the token before is admitted: by then every pod shows the new one."""

ADMIT_OLD_SCRAPERS_SECONDS = 3600.0
"""The same of the token for metrics, which somebody may have to carry to a Prometheus by hand once an update ends."""


class Token:
    """The token in a file. Thread-safe.

    Another content of the file takes over without a refusal: pods get it at different moments, so for a while the
    content before is still shown and admitted. A pod that starts meanwhile knows only the new one.
    """

    def __init__(
        self,
        file: Path,
        clock: Callable[[], float] = time.monotonic,
        *,
        variable: str = "ARGUS_TOKEN_FILE",
        admit_old_seconds: float = ADMIT_OLD_SECONDS,
    ) -> None:
        """Raises SettingsError, which names the variable, if the file cannot be read or is empty."""
        self._file, self._clock, self._admit_old_seconds = file, clock, admit_old_seconds
        self._lock = threading.Lock()
        self._before: str | None = None
        self._changed = 0.0
        try:
            self._now = self._read()
        except OSError as unreadable:
            raise SettingsError(f"{variable}: cannot read {file}: {unreadable.strerror}") from None
        if not self._now:
            raise SettingsError(f"{variable}: {file} is empty")

    @property
    def headers(self) -> dict[str, str]:
        """What a request to another pod shows."""
        now, before, age = self.look()
        return {HEADER: before if before is not None and age < SHOW_OLD_SECONDS else now}

    def admits(self, shown: str) -> bool:
        """Whether a request that shows this is another pod's. Takes as long for any content of the same length."""
        now, before, age = self.look()
        admitted = hmac.compare_digest(shown.encode(), now.encode())
        if before is not None and age < self._admit_old_seconds:
            admitted |= hmac.compare_digest(shown.encode(), before.encode())
        return admitted

    def look(self) -> tuple[str, str | None, float]:
        """The token, the one before, and the seconds since it was seen to change. An unreadable file changes nothing.

        To be called now and then, also while nobody asks: the time in which the one before is good begins then."""
        try:
            found = self._read()
        except OSError:
            found = ""
        with self._lock:
            if found and found != self._now:
                self._before, self._now, self._changed = self._now, found, self._clock()
            return self._now, self._before, self._clock() - self._changed

    def _read(self) -> str:
        return self._file.read_text().strip()
