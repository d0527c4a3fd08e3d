import json
from pathlib import Path

import pytest

from apps.producer.settings import Camera, Settings, read_cameras, read_credentials
from apps.service.settings import SettingsError, read
from tests.environments import variables


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables("apps.producer").items():
        monkeypatch.setenv(name, value)


CAMERA = {"name": "gate", "url": "rtsp://10.0.0.1/gate", "frames_per_second": 1}


def write(folder: Path, content: object) -> Path:
    path = folder / "file.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGUS_KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")
    monkeypatch.setenv("ARGUS_MAX_FRAME_BYTES", "1000")
    settings = read(Settings)
    assert (settings.kafka_bootstrap_servers, settings.max_frame_bytes, settings.frames_topic) == (
        "kafka:9092",
        1000,
        "frames",
    )


def test_every_wrong_key_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARGUS_KAFKA_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.setenv("ARGUS_HTTP_PORT", "eighty")
    with pytest.raises(SettingsError) as error:
        read(Settings)
    assert all(name in str(error.value) for name in ("ARGUS_HTTP_PORT", "ARGUS_KAFKA_BOOTSTRAP_SERVERS"))


def test_cameras_are_read_with_their_defaults(tmp_path: Path) -> None:
    (camera,) = read_cameras(write(tmp_path, [CAMERA]))
    assert camera == Camera(name="gate", url="rtsp://10.0.0.1/gate", frames_per_second=1, width=640, jpeg_quality=80)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"url": "ftp://host/x"}, r"0\.url: .*the scheme 'ftp' is not one of"),
        ({"url": "rtsp://me:hush@host/x"}, r"0\.url: .*a login does not belong in the URL"),
        ({"url": "http://host/x?user={username}&pwd=hush"}, r"0\.url: .*pwd= in the URL may be a login"),
        ({"frames_per_second": 0}, r"0\.frames_per_second"),
        ({"jpeg_quality": 101}, r"0\.jpeg_quality"),
        ({"masks": [[0.5, 0, 0.4, 1]]}, r"0\.masks: .*x1 < x2"),
        ({"masks": [[0, 0, 2, 1]]}, r"0\.masks\.0\.2"),
        ({"name": "Gate One"}, r"0\.name"),
        ({"colour": True}, r"0\.colour: Extra"),
    ],
)
def test_a_wrong_camera_says_which_key(tmp_path: Path, change: dict[str, object], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason) as raised:
        read_cameras(write(tmp_path, [{**CAMERA, **change}]))
    assert "hush" not in str(raised.value)


def test_a_name_is_used_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="more than one camera is called gate"):
        read_cameras(write(tmp_path, [CAMERA, CAMERA]))


@pytest.mark.parametrize(("content", "reason"), [("{", "not JSON"), ({"gate": {"username": "me"}}, "gate.password")])
def test_wrong_credentials_say_where(tmp_path: Path, content: object, reason: str) -> None:
    with pytest.raises(SettingsError, match=f"ARGUS_CREDENTIALS_FILE: .*{reason}"):
        read_credentials(write(tmp_path, content))


def test_a_missing_file(tmp_path: Path) -> None:
    assert read_credentials(tmp_path / "none") == {}
    with pytest.raises(SettingsError, match="ARGUS_CAMERAS_FILE: cannot read"):
        read_cameras(tmp_path / "none")


def test_a_password_does_not_show(tmp_path: Path) -> None:
    credentials = read_credentials(write(tmp_path, {"gate": {"username": "me", "password": "secret"}}))
    assert "secret" not in repr(credentials)
    assert credentials["gate"].password.get_secret_value() == "secret"
