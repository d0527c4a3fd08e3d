"""The UI in a browser: a wall whose tiles change, and a search that returns stored frames."""

import json
from pathlib import Path

from tests.e2e.browser import browser
from tests.e2e.conftest import Stack
from tests.e2e.test_frames import CAMERAS

CAMERA = "cam-01"


def test_the_wall_is_live(stack: Stack, artifacts: Path) -> None:
    with browser() as page:
        stack.login.in_browser(page)
        tile = f"document.querySelector('[data-camera={CAMERA}]')"
        # The wall also shows cameras that an earlier test has removed.
        tiles = "[...document.querySelectorAll('.tile')].map(tile => tile.dataset.camera)"
        page.wait_for(f"{json.dumps(sorted(CAMERAS))}.every(name => {tiles}.includes(name))", seconds=60)
        before = page.wait_for(f"{tile}?.dataset.sequence", seconds=60)
        after = page.wait_for(f"{tile}.dataset.sequence !== '{before}' && {tile}.dataset.sequence", seconds=60)
        assert int(after) > int(before)
        # After a start or a change of all cameras, a model lags by more than the wall waits for boxes.
        page.wait_for("document.querySelectorAll('.tile[data-sequence] .box').length > 0", seconds=180)
        page.screenshot("wall", artifacts)
        assert page.complaints == []


def test_a_search_shows_stored_frames(stack: Stack, artifacts: Path) -> None:
    with browser() as page:
        stack.login.in_browser(page, f"/search?camera={CAMERA}&model=objects")
        page.wait_for("document.querySelectorAll('.result').length > 0", seconds=60)
        found = page.evaluate("[...document.querySelectorAll('.result')].map(card => card.dataset.id)")
        assert all(identity.startswith(f"{CAMERA}/") and identity.endswith("/objects") for identity in found), found
        shown = "[...document.querySelectorAll('.result img')].filter(image => image.naturalWidth > 0).length"
        page.wait_for(f"{shown} > 0", seconds=60)
        page.screenshot("search", artifacts)
        assert page.complaints == []
