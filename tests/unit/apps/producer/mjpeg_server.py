"""A small MJPEG camera on loopback, with the quirks of real ones."""

import base64
import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class MjpegCamera:
    """Serves `parts` in a loop at /stream and records the requests' `paths` and `authorizations`."""

    def __init__(self, parts: list[bytes]) -> None:
        self.parts = parts
        self.interval = 0.02
        self.with_length = True
        self.rounds: int | None = None
        self.login: tuple[str, str] | None = None
        self.connections = 0
        self.paths: list[str] = []
        self.authorizations: list[str | None] = []
        self.gate = threading.Event()
        self.gate.set()
        self.url = ""

    def allowed(self, header: str | None) -> bool:
        if self.login is None:
            return True
        expected = base64.b64encode(":".join(self.login).encode()).decode()
        return header == f"Basic {expected}"


@contextlib.contextmanager
def mjpeg_camera(parts: list[bytes]) -> Iterator[MjpegCamera]:
    camera = MjpegCamera(parts)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            camera.connections += 1
            camera.paths.append(self.path)
            camera.authorizations.append(self.headers.get("Authorization"))
            if not camera.allowed(self.headers.get("Authorization")):
                self.send_error(401)
                return
            if self.path == "/page":
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("Content-Type", 'multipart/x-mixed-replace; boundary="frame"')
            self.end_headers()
            with contextlib.suppress(OSError):
                self._stream()

        def _stream(self) -> None:
            done = 0
            while camera.rounds is None or done < camera.rounds:
                done += 1
                for part in camera.parts:
                    camera.gate.wait(20)
                    self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\n")
                    if camera.with_length:
                        self.wfile.write(b"Content-Length: %d\r\n" % len(part))
                    self.wfile.write(b"\r\n" + part + b"\r\n")
                    time.sleep(camera.interval)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    camera.url = f"http://127.0.0.1:{server.server_address[1]}/stream"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield camera
    finally:
        camera.gate.set()
        server.shutdown()
        server.server_close()
