"""The UI against a real Kafka, Elasticsearch, consumer and browser."""

import json
import ssl
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import cv2
import httpx
import numpy as np
import pytest

from apps.access.document import Role
from apps.messages import (
    STILL,
    Detection,
    Frame,
    Result,
    Skipped,
    first_sequence,
    format_timestamp,
    hour_of,
    result_to_json,
)
from apps.scenes import render, truth
from apps.service.certificate import Certificate
from apps.service.peer import TLS_VERSION
from apps.ui.accounts import CHECK_SECONDS
from components.pipeline.elasticsearch import index_template
from tests.accounts import BEARER, PASSWORD, user, write_access
from tests.certificates import certificate, lasting, of_pods
from tests.e2e.browser import browser
from tests.e2e.page import Login
from tests.integration.processes import App, app
from tests.integration.services import free_port, wait_for
from tests.integration.topics import Topics, create_topics, make_frame, make_result, producer, send_frame, send_result

CAMERAS = [f"street-{number:02d}" for number in range(1, 13)]
FEED_SECONDS = 1.0
GROUP = CAMERAS[:3]
OWN: dict[Role, list[str]] = {"viewer": CAMERAS[:2], "operator": CAMERAS[3:6], "admin": CAMERAS[6:7]}
"""The cameras of a user of each role."""
USERS = {
    **{f"own-{role}": user(role, *cameras) for role, cameras in OWN.items()},
    "admin": user("admin", "*"),
    "anna": user("viewer", *GROUP),
    "otto": user("operator", "yard"),
    "vera": user("viewer", "yard"),
}


@dataclass(frozen=True)
class Site:
    """One test's apps and sent frames."""

    ui: App
    topics: Topics
    elasticsearch: str
    sent: list[Frame]
    access: Path
    """The folder with the page's users."""


def login(site: Site, name: str) -> Login:
    return Login(url=site.ui.url, name=name, password=PASSWORD, authority=None)


def picture(camera: str, sequence: int) -> tuple[bytes, list[Detection]]:
    ok, jpeg = cv2.imencode(".jpg", render(camera, sequence), [cv2.IMWRITE_JPEG_QUALITY, 80])
    assert ok
    found = [
        Detection(label=seen.label, score=0.5 + seen.visible / 2.1, box=seen.box) for seen in truth(camera, sequence)
    ]
    return jpeg.tobytes(), found


def send_pictures(
    site_topics: Topics, url: str, pictures: list[tuple[str, int, bytes, list[Detection]]]
) -> list[Frame]:
    """Send one frame per camera with both models' results, and index the results as Filebeat would."""
    to = producer(site_topics.bootstrap)
    sent, results = [], []
    objects, motion = site_topics.models
    for camera, sequence, jpeg, found in pictures:
        frame = make_frame(camera, sequence, datetime.now(UTC), jpeg)
        sent.append(frame)
        send_frame(to, site_topics, frame)
        for model, detections in (
            (objects, found),
            (motion, [Detection(label="motion", score=0.7, box=f.box) for f in found]),
        ):
            result = make_result(frame, model, detections)
            send_result(to, site_topics, result, 0)
            results.append(result)
    assert to.flush(30) == 0
    index(url, results)
    return sent


def index(url: str, results: list[Result]) -> None:
    lines = []
    for result in results:
        day = f"{result.captured_at:%Y.%m.%d}"
        lines.append(json.dumps({"index": {"_index": f"results-{result.model}-{day}", "_id": result.id}}))
        lines.append(result_to_json(result).decode())
    answer = httpx.post(
        f"{url}/_bulk?refresh=true",
        content="\n".join(lines) + "\n",
        headers={"content-type": "application/x-ndjson"},
        timeout=30,
    )
    assert not answer.json()["errors"], answer.text[:500]


def search(site: Site, **parameters: str) -> dict[str, Any]:
    """The page's answer to a search. Fails for any answer but 200."""
    return dict(site.ui.get(f"/api/search?{httpx.QueryParams(parameters)}").raise_for_status().json())


def stored_path(frame: Frame) -> str:
    return f"/api/frames/{frame.camera}/{hour_of(frame.captured_at)}/{frame.sequence}.jpg"


def install_template(url: str) -> None:
    httpx.put(f"{url}/_index_template/results", json=index_template(0), timeout=30).raise_for_status()


@contextmanager
def producer_double() -> Iterator[str]:
    """A server with a producer's /cameras, where one camera is down."""
    states: list[dict[str, Any]] = [{"name": name, "state": "streaming", "error": None} for name in CAMERAS]
    states.append({"name": "yard", "state": "backoff", "error": "connection refused; next try in 8 s"})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"cameras": states}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    shown = Certificate(of_pods(), TLS_VERSION)
    server.socket = shown.context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()


def _certificates(folder: Path) -> Path:
    """A new folder with a certificate that ends soon, and one that does not."""
    folder.mkdir()
    now, years = datetime.now(UTC), timedelta(days=1095)
    for name, left in (("kafka.filebeat", timedelta(days=40)), ("pods.producer", years / 2)):
        (folder / f"{name}.crt").write_text(lasting(now + left - years, now + left))
    return folder


@pytest.fixture(scope="module")
def site(kafka: str, elasticsearch: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    topics = create_topics(kafka, suffix=uuid.uuid4().hex[:8], models=("objects", "motion"), partitions=4)
    install_template(elasticsearch)
    sequences = range(40, 46)
    with ThreadPoolExecutor(2) as pool:
        drawn = {
            key: value
            for key, value in zip(
                [(camera, sequence) for sequence in sequences for camera in CAMERAS],
                pool.map(lambda key: picture(*key), [(c, s) for s in sequences for c in CAMERAS]),
                strict=True,
            )
        }
    consumer = app(
        "apps.consumer",
        folder / "consumer.log",
        kafka_bootstrap_servers=kafka,
        frames_topic=topics.frames,
        results_topics=",".join(topics.results),
        consumer_group=topics.frames,
        data_dir=str(folder / "data"),
    )
    sent: list[Frame] = []
    ended = threading.Event()

    def feed() -> None:
        first = int(time.time()) << 20
        for turn in range(10_000):
            if ended.wait(FEED_SECONDS):
                return
            shown = sequences[turn % len(sequences)]
            sent.extend(send_pictures(topics, elasticsearch, [(c, first + turn, *drawn[c, shown]) for c in CAMERAS]))

    with producer_double() as producer_url, consumer as stored:
        ui = app(
            "apps.ui",
            folder / "ui.log",
            kafka_bootstrap_servers=kafka,
            frames_topic=topics.frames,
            results_topics=",".join(topics.results),
            elasticsearch_url=elasticsearch,
            consumer_urls=f"{stored.url},https://127.0.0.1:{free_port()}",
            producer_urls=producer_url,
            cameras=",".join(CAMERAS),
            access_dir=str(write_access(folder / "access", USERS)),
            certificates_dir=str(_certificates(folder / "certificates")),
        )
        with ui as served:
            served.headers = BEARER
            feeder = threading.Thread(target=feed)
            feeder.start()
            wait_for("frames", lambda: len(sent) > 3 * len(CAMERAS), seconds=60)
            yield Site(served, topics, elasticsearch, sent, folder / "access")
            ended.set()
            feeder.join()


def test_the_wall_shows_each_cameras_newest_complete_frame(site: Site) -> None:
    def tiles() -> dict[str, dict[str, Any]]:
        return {tile["name"]: tile for tile in site.ui.get("/api/wall").json()["cameras"]}

    def models(tile: dict[str, Any]) -> set[str]:
        return {result["model"] for result in (tile["frame"] or {"results": []})["results"]}

    wait_for("a complete frame", lambda: models(tiles()[CAMERAS[0]]) == set(site.topics.models), seconds=60)
    wall = site.ui.get("/api/wall").json()
    shown = {tile["name"]: tile for tile in wall["cameras"]}
    assert set(shown) == {*CAMERAS, "yard"}
    assert shown["yard"]["state"] == "backoff" and "refused" in shown["yard"]["error"]
    frame = shown[CAMERAS[0]]["frame"]
    image = site.ui.get(frame["image"])
    assert image.status_code == 200 and "immutable" in image.headers["cache-control"]
    assert cv2.imdecode(np.frombuffer(image.content, np.uint8), cv2.IMREAD_COLOR).shape == (360, 640, 3)
    later = site.ui.get(f"/api/wall?since={wall['token']}").json()
    assert len(later["cameras"]) <= len(shown)
    assert wall["statistics"]["latency_seconds"] < 20
    assert site.ui.get("/api/cameras/nobody/frames/1.jpg").status_code == 404


def test_a_search_finds_exactly_the_frames_that_fit(site: Site) -> None:
    count = len(CAMERAS) * 3
    frames = site.sent[:count]
    since, until = frames[0].captured_at, frames[-1].captured_at + timedelta(milliseconds=1)
    query = {
        "model": site.topics.models[0],
        "since": format_timestamp(since),
        "until": format_timestamp(until),
        "size": "7",
    }
    seen: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = search(site, **query, **after)
        seen += [hit["id"] for hit in page["results"]]
        if not page["next"]:
            break
        after = {"after": page["next"]}
    assert sorted(seen) == sorted(make_result(frame, site.topics.models[0]).id for frame in frames)


def test_results_are_found_by_whether_the_model_looked(site: Site) -> None:
    jpeg, found = picture("still-01", 7)
    first = int(time.time()) << 20
    frames = [make_frame("still-01", first + turn, datetime.now(UTC), jpeg) for turn in range(2)]
    looked, still = (make_result(frame, site.topics.models[0], found) for frame in frames)
    still = replace(still, skipped=Skipped(reason=STILL, carried_from=looked.sequence))
    index(site.elasticsearch, [looked, still])

    def hits(**query: str) -> dict[str, Any]:
        return {hit["id"]: hit["inference"] for hit in search(site, camera="still-01", **query)["results"]}

    said = {"skipped": STILL, "carried_from": first, "text": f"as in frame {first}: nothing moved"}
    assert hits() == {looked.id: None, still.id: said}
    assert hits(inferred="true") == {looked.id: None}
    assert hits(inferred="false") == {still.id: said}
    assert hits(inferred="false", label=found[0].label).keys() == {still.id}


def test_label_and_score_must_fit_one_detection(site: Site) -> None:
    hits = search(site, label="person", min_score="0.8", size="100")
    assert hits["results"]
    for hit in hits["results"]:
        assert any(found["label"] == "person" and found["score"] >= 0.8 for found in hit["detections"])
        assert any(found["matches"] for found in hit["detections"])


def test_stored_images_come_from_whichever_consumer_has_them(site: Site) -> None:
    frame = site.sent[0]
    path = stored_path(frame)
    wait_for("the stored image", lambda: site.ui.get(path).status_code == 200)
    assert site.ui.get(path).content == frame.jpeg
    unknown = site.ui.get(f"/api/frames/{frame.camera}/{hour_of(frame.captured_at)}/1.jpg")
    assert unknown.status_code == 503, "one of the two consumers is down, so nobody knows"


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("min_score=2", "min_score"),
        ("min_score=much", "min_score"),
        ("camera=../etc", "camera"),
        ("since=yesterday", "since"),
        ("since=2026-11-23T10:00:00", "since"),
        ("size=0", "size"),
        ("after=nonsense", "after"),
        ("colour=red", "colour"),
        ("since=2026-11-23T10:00:00Z&until=2026-11-23T09:00:00Z", "since must be before until"),
    ],
)
def test_a_bad_parameter_is_named(site: Site, query: str, parameter: str) -> None:
    answer = site.ui.get(f"/api/search?{query}")
    assert answer.status_code == 422
    assert parameter in answer.json()["error"]


def test_every_answer_forbids_foreign_content(site: Site) -> None:
    for path in ("/", "/search", "/camera/street-01", "/static/wall.js", "/api/wall", "/nowhere"):
        headers = site.ui.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"], path
        assert headers["x-content-type-options"] == "nosniff"


def test_poison_on_the_topics_does_not_stop_the_wall(site: Site) -> None:
    to = producer(site.topics.bootstrap)
    poisoned = make_result(
        site.sent[-1], site.topics.models[0], [Detection(label="x", score=float("nan"), box=(0, 0, 1, 1))]
    )
    to.produce(site.topics.results[0], value=result_to_json(poisoned))
    to.produce(site.topics.results[0], value=b"[" * 100_000)
    to.produce(site.topics.frames, key=b"\xff", value=b"x")
    assert to.flush(10) == 0
    wait_for("the count", lambda: 'argus_ui_malformed_total{kind="result"} 2' in site.ui.metrics())
    before = site.ui.get("/api/wall").json()
    wait_for("news", lambda: site.ui.get(f"/api/wall?since={before['token']}").json()["cameras"])


def test_without_elasticsearch_the_wall_goes_on_and_the_search_says_so(
    kafka: str, topics: Topics, tmp_path: Path
) -> None:
    ui = app(
        "apps.ui",
        tmp_path / "log",
        kafka_bootstrap_servers=kafka,
        frames_topic=topics.frames,
        elasticsearch_url=f"http://127.0.0.1:{free_port()}",
        access_dir=str(write_access(tmp_path / "access")),
    )
    with ui as served:
        served.headers = BEARER
        answer = served.get("/api/search")
        assert answer.status_code == 503 and "search is not available" in answer.json()["error"]
        assert served.get("/api/wall").status_code == 200
        assert served.stop() == 0


def test_a_browser_sees_tiles_move_and_finds_frames(site: Site) -> None:
    with browser() as page:
        login(site, "admin").in_browser(page)
        page.wait_for(f"document.querySelectorAll('.tile[data-sequence]').length === {len(CAMERAS)}")
        first = page.evaluate("document.querySelector('.tile').dataset.sequence")
        page.wait_for(f"document.querySelector('.tile').dataset.sequence !== '{first}'")
        page.wait_for("document.querySelector('.tile img').naturalWidth === 640")
        page.wait_for("document.querySelectorAll('.box').length > 5")
        page.wait_for("document.querySelectorAll('.box.motion').length > 5", seconds=60)
        time.sleep(2)
        page.screenshot("wall")
        page.open(f"{site.ui.url}/camera/{CAMERAS[2]}")
        page.wait_for("document.querySelector('.tile[data-sequence] img')?.naturalWidth === 640")
        page.screenshot("camera")
        # Only frames that are already stored: a missing image would be an error of the page.
        shown = site.sent[: 4 * len(CAMERAS)]
        wait_for("the stored images", lambda: all(site.ui.get(stored_path(f)).status_code == 200 for f in shown))
        until = format_timestamp(shown[-1].captured_at)
        page.open(f"{site.ui.url}/search?model={site.topics.models[0]}&label=car&min_score=0.7&until={until}")
        page.wait_for("document.querySelectorAll('.result img[src]').length > 5")
        page.wait_for("[...document.querySelectorAll('.result img')].every((image) => image.naturalWidth === 640)")
        page.screenshot("search")
        assert page.complaints == []


def test_a_tile_goes_on_after_a_frame_of_a_clock_that_was_ahead(site: Site) -> None:
    jpeg, _ = picture("clock-01", 7)
    now = datetime.now(UTC)
    ahead = make_frame("clock-01", first_sequence(now + timedelta(days=400)), now + timedelta(days=400), jpeg)
    right = make_frame("clock-01", first_sequence(now), now, jpeg)

    def shown() -> dict[str, Any]:
        tiles = site.ui.get("/api/wall").json()["cameras"]
        return next((tile["frame"] for tile in tiles if tile["name"] == "clock-01"), None) or {}

    to = producer(site.topics.bootstrap)
    for frame in (ahead, right):
        send_frame(to, site.topics, frame)
        assert to.flush(30) == 0
        wait_for("the frame", lambda frame=frame: shown().get("sequence") == frame.sequence)
        assert abs(datetime.fromisoformat(shown()["captured_at"]) - now) < timedelta(hours=1)
    statistics = site.ui.get("/api/wall").json()["statistics"]
    assert statistics["not_shown"] == {"records": 0, "camera": None}


def test_an_image_stored_after_its_result_was_found_appears(site: Site) -> None:
    jpeg, found = picture("late-01", 7)
    frame = make_frame("late-01", int(time.time()) << 20, datetime.now(UTC), jpeg)
    index(site.elasticsearch, [make_result(frame, site.topics.models[0], found)])
    with browser() as page:
        login(site, "admin").in_browser(page, "/search?camera=late-01")
        page.wait_for("document.querySelector('.result .empty')?.textContent === 'image not available'")
        to = producer(site.topics.bootstrap)
        send_frame(to, site.topics, frame)
        assert to.flush(30) == 0
        page.wait_for("document.querySelector('.result img').naturalWidth === 640", seconds=60)


def tasks(frame: Frame) -> list[Detection]:
    """One detection of each task."""
    corners = ((60.0, 20.0), (100.0, 60.0), (60.0, 100.0), (20.0, 60.0))
    points = ((300.0, 60.0, 0.9), (310.0, 90.0, 0.2))
    return [
        Detection(label="ship", score=0.9, box=(20, 20, 100, 100), polygon=corners, angle=0.7854),
        Detection(label="člověk", score=0.8, box=(280, 40, 330, 200), keypoints=points),
        Detection(label="pes", score=0.7, box=(400, 40, 500, 200)),
        Detection(label="harbour", score=0.6, box=(0, 0, frame.width, frame.height)),
    ]


def test_what_each_task_gives_is_found_and_drawn(site: Site) -> None:
    frame = make_frame("tasks", int(time.time()) << 20, datetime.now(UTC), picture("tasks", 7)[0])
    given = make_result(frame, site.topics.models[0], tasks(frame))
    index(site.elasticsearch, [replace(given, model_version="tasks 1")])
    no_result = {"@timestamp": format_timestamp(frame.captured_at), "camera": {"name": "tasks"}}
    httpx.post(
        f"{site.elasticsearch}/results-{given.model}-odd/_doc?refresh=true", json=no_result, timeout=30
    ).raise_for_status()

    first = search(site, camera="tasks")
    assert [hit["id"] for hit in first["results"]] == [given.id] and first["unreadable"] == 1
    [hit] = search(site, camera="tasks", version="tasks 1")["results"]
    assert hit["model_version"] == "tasks 1"
    assert hit["detections"] == [{**one.document, "matches": True} for one in given.detections]
    assert search(site, camera="tasks", version="tasks 2")["results"] == []
    seen, after = [], search(site, camera="tasks", size="1")
    while after["next"]:
        seen += [*after["results"], *[None] * after["unreadable"]]
        after = search(site, camera="tasks", size="1", after=after["next"])
    assert len(seen) == 2, "one page each, the last of them too"

    to = producer(site.topics.bootstrap)
    send_frame(to, site.topics, frame)
    assert to.flush(30) == 0
    wait_for("the stored image", lambda: site.ui.get(stored_path(frame)).status_code == 200)
    with browser() as page:
        login(site, "admin").in_browser(page, "/search?camera=tasks&version=tasks+1")
        page.wait_for("document.querySelector('.result img')?.naturalWidth === 640")
        assert page.evaluate("document.querySelectorAll('.boxes polygon').length") == 1
        assert page.evaluate("document.querySelectorAll('.boxes .point').length") == 2
        assert page.evaluate("document.querySelectorAll('.boxes .point.faint').length") == 1
        assert page.evaluate("document.querySelector('.classes').textContent") == "harbour 60"
        assert page.evaluate("document.querySelectorAll('.box:not(.bare)').length") == 2
        page.screenshot("tasks")
        assert page.complaints == []


def test_a_viewer_s_browser_shows_its_cameras_alone_until_it_logs_out(site: Site) -> None:
    names = "[...document.querySelectorAll('.tile')].map(tile => tile.dataset.camera)"
    with browser() as page:
        page.open(f"{site.ui.url}/search?camera={GROUP[0]}")
        page.wait_for("document.querySelector('#form button') !== null")
        page.screenshot("login")
        login(site, "anna").in_browser(page)
        page.wait_for(f"document.querySelectorAll('.tile[data-sequence]').length === {len(GROUP)}")
        assert page.evaluate(names) == GROUP
        assert page.wait_for("document.querySelector('.who')?.textContent") == "anna"
        page.screenshot("wall-of-a-viewer")
        assert page.complaints == []
        page.open(f"{site.ui.url}/search")
        # The wall's filter offers the cameras that the search finds.
        cameras = "[...document.querySelector('[name=camera]').options].map(option => option.value)"
        page.wait_for(f"{cameras}.length > 1")
        assert set(page.evaluate(cameras)) == {"", *GROUP}
        page.open(f"{site.ui.url}/camera/{CAMERAS[-1]}")
        assert "none of your groups" in page.evaluate("document.body.textContent")
        page.open(f"{site.ui.url}/")
        page.wait_for("document.querySelector('.account button') !== null")
        page.evaluate("document.querySelector('.account button').click()")
        page.wait_for("location.pathname === '/login'")
        page.open(f"{site.ui.url}/")
        page.wait_for("location.pathname === '/login'")


@pytest.mark.parametrize("role", OWN)
def test_the_browser_of_each_role_shows_its_cameras_alone_and_is_out_when_its_session_ends(
    site: Site, role: Role
) -> None:
    names = "[...document.querySelectorAll('.tile')].map(tile => tile.dataset.camera)"
    with browser() as page:
        login(site, f"own-{role}").in_browser(page)
        page.wait_for(f"document.querySelectorAll('.tile[data-sequence]').length === {len(OWN[role])}")
        assert page.evaluate(names) == OWN[role]
        page.screenshot(f"wall-of-own-{role}")
        assert page.complaints == []
        page.open(f"{site.ui.url}/camera/{CAMERAS[-1]}")
        assert "none of your groups" in page.evaluate("document.body.textContent")
        page.open(f"{site.ui.url}/")
        page.wait_for("document.querySelectorAll('.tile[data-sequence]').length > 0")
        try:
            write_access(site.access, USERS, absolute_seconds=1)
            page.wait_for("location.pathname === '/login'", seconds=30)
        finally:
            write_access(site.access, USERS)
            # For the tests that follow: the page looks only so often.
            time.sleep(CHECK_SECONDS)


def test_a_wall_whose_session_is_over_leads_to_the_login(site: Site) -> None:
    with browser() as page:
        login(site, "admin").in_browser(page)
        page.wait_for("document.querySelectorAll('.tile[data-sequence]').length > 0")
        page.forget_cookies()
        page.wait_for("location.pathname === '/login' && location.search === '?next=%2F'")


def test_a_viewer_gets_no_other_camera_by_direct_requests(site: Site) -> None:
    mine, other = (next(frame for frame in site.sent if frame.camera == camera) for camera in (GROUP[0], CAMERAS[-1]))
    with login(site, "anna").client() as anna:
        wait_for("the stored image", lambda: site.ui.get(stored_path(other)).status_code == 200)
        wait_for("the stored image", lambda: anna.get(stored_path(mine)).status_code == 200)
        assert anna.get(stored_path(other)).status_code == 403
        shown = {tile["name"]: tile["frame"] for tile in site.ui.get("/api/wall").json()["cameras"]}
        assert anna.get(shown[GROUP[0]]["image"]).status_code == 200
        assert anna.get(shown[CAMERAS[-1]]["image"]).status_code == 403
        assert [tile["name"] for tile in anna.get("/api/wall").json()["cameras"]] == GROUP
        until = format_timestamp(site.sent[len(CAMERAS) * 3 - 1].captured_at)
        found = anna.get(f"/api/search?size=200&until={until}").json()
        assert {hit["camera"] for hit in found["results"]} == set(GROUP)
        everything = search(site, size="200", until=until)
        mine_of_all = [hit["id"] for hit in everything["results"] if hit["camera"] in GROUP]
        assert found["total"] == len(found["results"]) == len(mine_of_all)
        assert set(anna.get("/api/choices").json()["cameras"]) == set(GROUP)
        assert anna.get(f"/api/search?camera={CAMERAS[-1]}").status_code == 403


def test_without_a_login_there_is_nothing_to_see(site: Site) -> None:
    frame = site.sent[0]
    paths = ["/api/wall", "/api/search", "/api/choices", "/api/cameras", stored_path(frame), "/metrics", "/healthz"]
    answers = {path: httpx.get(f"{site.ui.url}{path}", timeout=15, trust_env=False) for path in paths}
    assert {path: answer.status_code for path, answer in answers.items()} == {
        path: 401 if path.startswith("/api/") else 303 for path in paths
    }


@pytest.mark.parametrize(("name", "told"), [("otto", True), ("vera", False)])
def test_only_an_operator_is_told_why_a_camera_cannot_be_read(site: Site, name: str, told: bool) -> None:
    with login(site, name).client() as client:
        assert client.get("/api/access").status_code == 403
        [camera] = client.get("/api/cameras").json()["cameras"]
        assert (camera["name"], camera["state"]) == ("yard", "backoff")
        assert ("refused" in (camera["error"] or "")) is told
    with browser() as page:
        login(site, name).in_browser(page)
        page.wait_for("document.querySelector('[data-camera=yard]')?.dataset.state === 'backoff'")
        assert ("refused" in page.evaluate("document.querySelector('.trouble').textContent")) is told
        page.screenshot(f"wall-of-{name}")
        assert page.complaints == []


def test_the_wall_tells_an_operator_which_certificate_ends(site: Site) -> None:
    with login(site, "vera").client() as client:
        assert client.get("/api/wall").json()["certificates"] is None
    with browser() as page:
        login(site, "otto").in_browser(page)
        said = page.wait_for("document.querySelector('#certificates').textContent")
        day = f"{datetime.now(UTC) + timedelta(days=40):%Y-%m}"
        assert said.startswith(f"The certificate for Kafka of filebeat ends on {day}"), said
        assert said.endswith("Run `pulumi up`, which renews them.") and "producer" not in said
        page.screenshot("wall-certificates")
        assert page.complaints == []


def test_a_login_leads_to_no_other_site(site: Site) -> None:
    here = urlsplit(site.ui.url).netloc
    elsewhere = ("//evil.test/", "/.//evil.test/", "/\\evil.test/", "http://evil.test/", f"{site.ui.url}//evil.test/")
    with browser() as page:
        login(site, "anna").in_browser(page)
        for wanted in (*elsewhere, "javascript:alert(1)", "/search?camera=street-01"):
            # Who is logged in already is led on at once, by the same rule.
            page.open(f"{site.ui.url}/login?next={quote(wanted, safe='')}")
            page.wait_for("location.pathname !== '/login'")
            assert page.evaluate("location.host") == here, wanted
        assert page.evaluate("location.pathname + location.search") == "/search?camera=street-01"


def written(site: Site) -> list[dict[str, Any]]:
    """The lines of the audit log."""
    lines = [line for line in site.ui.log.read_text().splitlines() if line.startswith('{"@timestamp"')]
    return [json.loads(line) for line in lines]


def test_an_address_is_the_connection_s_and_not_what_a_request_says(site: Site) -> None:
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Real-IP": "203.0.113.9", "Forwarded": "for=203.0.113.9"}
    answer = httpx.post(
        f"{site.ui.url}/api/login",
        json={"name": "stranger", "password": "x"},
        headers=forged,
        timeout=30,
        trust_env=False,
    )
    assert answer.status_code == 401 and "server" not in answer.headers

    def tries() -> list[str]:
        return [each["source"]["ip"] for each in written(site) if each.get("user") == {"name": "stranger"}]

    wait_for("the line", lambda: bool(tries()))
    assert tries() == ["127.0.0.1"]


def test_who_looked_is_on_standard_output(site: Site) -> None:
    with login(site, "anna").client() as anna:
        assert anna.get("/api/wall").status_code == 200

    def looks() -> list[dict[str, Any]]:
        return [each for each in written(site) if each["event"]["action"] == "look" and each["user"]["name"] == "anna"]

    wait_for("the look", lambda: any(each["look"]["what"] == "wall" for each in looks()))
    assert PASSWORD not in site.ui.log.read_text()


def test_over_tls_the_page_says_so_and_its_cookie_too(kafka: str, topics: Topics, tmp_path: Path) -> None:
    tls = certificate(tmp_path / "tls", "first")
    ui = app(
        "apps.ui",
        tmp_path / "log",
        kafka_bootstrap_servers=kafka,
        frames_topic=topics.frames,
        access_dir=str(write_access(tmp_path / "access", USERS)),
        tls_dir=str(tls),
    )
    with ui as served:
        trusted = ssl.create_default_context(cafile=tls / "tls.crt")
        url = f"https://localhost:{served.port}"
        answer = httpx.post(f"{url}/api/login", json={"name": "anna", "password": PASSWORD}, verify=trusted)
        assert answer.status_code == 200
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-argus-session=") and "Secure" in cookie
        assert httpx.get(f"{url}/api/me", cookies=answer.cookies, verify=trusted).json()["name"] == "anna"
        in_clear = httpx.get(f"{url.replace('https', 'http')}/login?next=/search")
        assert (in_clear.status_code, in_clear.headers["location"]) == (308, f"{url}/login?next=/search")
        # A certificate of another authority, which the first does not know, is shown without a restart.
        renewed = certificate(tmp_path / "renewed", "second")
        for name in ("tls.key", "tls.crt"):
            (renewed / name).replace(tls / name)
        trusted = ssl.create_default_context(cafile=tls / "tls.crt")
        wait_for("the renewed certificate", lambda: httpx.get(f"{url}/login", verify=trusted).status_code == 200)
        assert served.stop() == 0
