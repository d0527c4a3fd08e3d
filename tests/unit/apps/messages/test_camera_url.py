import pytest

from apps.messages import camera_url

LOGINS = (
    "rtsp://admin:GEHEIM@198.51.100.31:554/stream",
    "rtsp://admin:P@ss-GEHEIM@198.51.100.31/stream",
    "rtsp://admin:a/b-GEHEIM@198.51.100.31/stream",
    "rtsp://admin:a#b-GEHEIM@198.51.100.31/stream",
    "rtsp://admin:a?b-GEHEIM@198.51.100.31/stream",
    "rtsp://admin:a b-GEHEIM@198.51.100.31/stream",
    "rtsp://admin:a:b-GEHEIM@198.51.100.31/stream",
    "rtsp://admin:a\\b-GEHEIM@198.51.100.31/stream",
    "rtsp://admin:[x]GEHEIM@198.51.100.31/stream",
    "rtsp://admin:[xGEHEIM@198.51.100.31/stream",
    "rtsp://admin:\u2100GEHEIM@198.51.100.31/stream",
    "rtsp://admin:GEHEIM\uff20198.51.100.31/stream",
    "rtsp://admin:GEHEIM%40198.51.100.31/stream",
    "rtsp://admin:554/GEHEIM@198.51.100.31/stream",
    "rtsp://GEHEIM@198.51.100.31/stream",
    "rtsp:/admin:GEHEIM@198.51.100.31/stream",
    "rtsp:\\\\admin:GEHEIM@198.51.100.31",
    "admin:GEHEIM@198.51.100.31",
    "admin:GEHEIM",
    "GEHEIM:admin",
    "http://198.51.100.31/video.cgi?user=admin&pwd=GEHEIM",
    "http://198.51.100.31/video.cgi?channel=1;PASSWORD=GEHEIM",
    "http://198.51.100.31/video.cgi?%70assword=GEHEIM",
    "http://198.51.100.31/video.cgi?loginuse=GEHEIM&loginpas=GEHEIM",
    "http://198.51.100.31/video.cgi?u=GEHEIM",
    "http://198.51.100.31/video.cgi?auth=R0VIRUlN-GEHEIM==",
    "http://198.51.100.31/video.cgi#access_token=GEHEIM",
    "http://198.51.100.31/video.cgi?api-key=GEHEIM",
    "http://198.51.100.31/video.cgi?user={username}&pwd=GEHEIM",
    "rtsp://198.51.100.31/user=GEHEIM_password=GEHEIM_channel=1_stream=0.sdp",
    "rtsp://198.51.100.31/user={username}_password=GEHEIM_channel=1_stream=0.sdp",
    "rtsp://198.51.100.31/user=GEHEIM&password=&channel=1.sdp?real_stream",
)


@pytest.mark.parametrize("url", LOGINS)
def test_a_login_in_a_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ValueError) as raised:
        camera_url.check(url)
    shown = str(raised.value)
    assert "GEHEIM" not in shown and "admin" not in shown
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://198.51.100.31:554/Streaming/Channels/101?transportmode=unicast&profile=Profile_1",
        "rtsp://[2001:db8::1]:554/cam/realmonitor?channel=1&subtype=0",
        "rtsps://camera-1.example.com/live/ch00_0",
        "http://198.51.100.31/axis-cgi/mjpg/video.cgi?resolution=640x480&compression=30&fps=5",
        "http://198.51.100.31/video.cgi?user={username}&pwd={password}",
        "rtsp://198.51.100.31/user={username}_password={password}_channel=1_stream=0.sdp?real_stream",
        "rtsp://198.51.100.31/{password}",
        "http://198.51.100.31/a%40b.mjpg?password=&channel=1",
        "file:///clips/street_1.mp4",
        "synthetic://street",
    ],
)
def test_urls_of_cameras_are_taken(url: str) -> None:
    assert camera_url.check(url) == url


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://camera/1", "the scheme 'ftp' is not one of rtsp://"),
        ("rtsp://camera:99999/1", "no number from 1 to 65535"),
        ("rtsp://camera:0/1", "no number from 1 to 65535"),
        ("rtsp:///1", "names no host"),
        ("synthetic://", "synthetic://<scene>"),
        ("file://clip.mp4", "absolute path"),
        ("file:///{password}", "over the network"),
        ("rtsp://camera/live stream", "%20"),
        ("rtsp://camera/live\n", "%20"),
        ("rtsp://[::1/x", "no URL"),
        ("rtsp://cam{password}/x", "belongs a host"),
    ],
)
def test_other_mistakes_have_their_remedy(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        camera_url.check(url)


def test_a_login_goes_where_the_url_has_a_place_for_it() -> None:
    url = "http://camera/video.cgi?user={username}&pwd={password}"
    assert camera_url.takes_login(url) and not camera_url.takes_login("http://camera/video.cgi")
    assert camera_url.with_login(url, "a&b", "p@ss w/ö") == "http://camera/video.cgi?user=a%26b&pwd=p%40ss%20w%2F%C3%B6"


def test_ffmpeg_keeps_so_many_bytes_of_a_login() -> None:
    assert camera_url.userinfo("a:b", "p@ss/#? %+!\u00e9") == "a%3Ab:p%40ss%2F%23%3F%20%25+!\u00e9"
    for password, too_long in (("x" * 121, False), ("x" * 122, True), ("#" * 40, False), ("#" * 41, True)):
        assert camera_url.too_long_for_rtsp("rtsp://camera/1", "admin", password) == too_long
        assert not camera_url.too_long_for_rtsp("http://camera/1", "admin", password)
        assert not camera_url.too_long_for_rtsp("rtsp://camera/{password}", "admin", password)
