"""What tests of several files of the page need."""

import time
from types import SimpleNamespace

import pytest

from apps.ui import login, openid_login


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time passes between tries to log in, however long each takes here."""
    for module in (login, openid_login):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: 1000.0, time=time.time))
