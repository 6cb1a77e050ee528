"""How commands speak TLS: whom they trust, and where they need not."""

import http.client
import ipaddress
import os
import ssl
from contextlib import suppress

from server.errors import ConfigurationError
from server.settings import CA_VARIABLE, load


def connection_to(
    scheme: str, host: str, port: int, seconds_max: float, *, is_verified: bool = True
) -> http.client.HTTPConnection:
    """A connection that is not open yet. Raises OSError for a certificate of the settings that can't be read.

    is_verified: false where nothing is sent that a stranger may not have, and nothing
        believed that matters: whether an instance is ready.
    """
    if scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=seconds_max)
    context = trusting(host) if is_verified else _unverified()
    return http.client.HTTPSConnection(host, port, timeout=seconds_max, context=context)


def trusting(host: str) -> ssl.SSLContext:
    """Trusts what the system trusts (or SSL_CERT_FILE), and this installation's own certificate.

    On this host its name is not compared: a certificate is made for the name that others use.
    Whoever names a file (--ca-file) wants that, and the name compared. Raises ConfigurationError.
    """
    chosen = os.environ.get(CA_VARIABLE)
    if chosen:
        try:
            return ssl.create_default_context(cafile=chosen)
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"the file of certificates, {chosen}, can't be used: {error}") from None
    context = ssl.create_default_context()
    with suppress(ConfigurationError):  # asked from a machine that has none: the system's trust is left
        settings = load()
        if settings.http.tls_certificate is not None:
            context.load_verify_locations(settings.home / settings.http.tls_certificate)
            # The certificate itself is enough, without the one of its issuer.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = not is_here(host)
    return context


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def is_here(host: str) -> bool:
    """Whether a name or an address is this host's own for certain."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
