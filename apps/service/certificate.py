"""A server's certificate, which is read again when it is renewed, so that a renewal restarts nothing."""

import logging
import ssl
from pathlib import Path

from apps.service.settings import SettingsError

logger = logging.getLogger(__name__)


class Certificate:
    """A folder with tls.crt and tls.key, as Kubernetes mounts a Secret of the type kubernetes.io/tls."""

    def __init__(self, folder: Path, oldest: ssl.TLSVersion, kind: type[ssl.SSLContext] = ssl.SSLContext) -> None:
        """`oldest` is the first version of TLS that a client may speak; `context` is of this kind.

        Raises SettingsError if the files are missing or do not fit each other.
        """
        self._folder, self._oldest, self._kind = folder, oldest, kind
        files = self._files()
        self.context = self._new_context()
        try:
            self.context.load_cert_chain(*files)
        except OSError as unusable:  # ssl.SSLError is one
            raise SettingsError(f"{folder}: tls.crt and tls.key cannot be used: {unusable}") from unusable
        self._marks = _marks(files)

    def look(self) -> None:
        """Take a renewed certificate for every connection from now on. One that cannot be used changes nothing."""
        try:
            files = self._files()
            marks = _marks(files)
            if marks == self._marks:
                return
            # Tried apart first: a key that does not fit would leave the context with half of each.
            self._new_context().load_cert_chain(*files)
            self.context.load_cert_chain(*files)
        except OSError as unusable:
            logger.error("the certificate stays as it was: %s", unusable)
            return
        self._marks = marks
        logger.info("the certificate was renewed")

    def _files(self) -> tuple[Path, Path]:
        """Both files of one version: Kubernetes replaces the folder behind the links while it is read."""
        folder = (self._folder / "tls.crt").resolve().parent
        return folder / "tls.crt", folder / "tls.key"

    def _new_context(self) -> ssl.SSLContext:
        context = self._kind(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = self._oldest
        context.set_alpn_protocols(["http/1.1"])
        return context


def _marks(files: tuple[Path, Path]) -> list[tuple[str, int, int]]:
    return [(str(each), found.st_mtime_ns, found.st_size) for each in files for found in [each.stat()]]
