"""The certificate and its key: loaded at the start, and again when their files change.

A renewal writes two files one after the other, and for a moment they don't belong together.
So each pair is tried in a context of its own: what can't be used is told to the log and
changes nothing, and connections that are open keep what they began with.
"""

import ssl
from pathlib import Path

import structlog

from server.errors import ConfigurationError
from server.settings import Settings

LOOK_SECONDS = 2.0
_Mark = tuple[tuple[int, int, int], ...]
log = structlog.get_logger(__name__)


class Certificate:
    """What new handshakes show. Raises ConfigurationError for files that can't be used at the start."""

    def __init__(self, certificate: Path, key: Path | None) -> None:
        self._certificate = certificate
        self._key = key
        self._mark = self._look()
        try:
            self.context = self._load()
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"http.tls_certificate, {certificate}, and http.tls_key, {key}, can't be used: {error}"
            ) from error

    def refresh(self) -> bool:
        """Loads the files again if they have changed; whether there is another context now."""
        mark = self._look()
        if mark == self._mark:
            return False
        self._mark = mark
        try:
            self.context = self._load()
        except (OSError, ValueError) as error:
            log.warning("the new certificate can't be used; the old one stays", error=str(error))
            return False
        log.info("the certificate was loaded anew", file=str(self._certificate))
        return True

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        # A password can't be asked for here: without one OpenSSL would ask on the terminal.
        context.load_cert_chain(self._certificate, self._key, password="")
        return context

    def _look(self) -> _Mark:
        """What tells one state of the files from another; a missing one counts as a state, too."""
        found = []
        for path in filter(None, (self._certificate, self._key)):
            try:
                stat = path.stat()
                found.append((stat.st_mtime_ns, stat.st_ino, stat.st_size))
            except OSError:
                found.append((0, 0, 0))
        return tuple(found)


def certificate_of(settings: Settings) -> Certificate | None:
    """The one that the settings name; None for plain HTTP. Raises ConfigurationError."""
    http = settings.http
    if http.tls_certificate is None:
        return None
    key = None if http.tls_key is None else settings.home / http.tls_key
    return Certificate(settings.home / http.tls_certificate, key)
