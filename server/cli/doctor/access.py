"""The check of who may ask: whether requests need a token here, and whether there is one."""

from collections.abc import Iterator

from server import exposure
from server.access import administration
from server.access.administration import TokenError
from server.cli.doctor.finding import Finding, fault, ok, warning
from server.errors import DatabaseUnavailableError
from server.postgres.urls import application_url
from server.settings import Settings


def check_access(settings: Settings) -> Iterator[Finding]:
    """Whether the service would start, and whether anybody could use it then."""
    if not exposure.are_tokens_required(settings):
        yield ok("tokens", f"{settings.http.host} is reached from this host alone, so nobody needs one")
        return
    try:
        states = [one.state for one in administration.listed(application_url(settings))]
    except (DatabaseUnavailableError, TokenError):
        return  # the check of the database says so, and what mends it
    in_force = states.count("valid")
    if in_force:
        yield ok("tokens", f"requests need one, and {in_force} can be used")
    elif "expired" in states:
        yield warning("tokens", "requests need one, and all have expired", exposure.HOW_TO_MAKE_ONE)
    else:
        yield fault("tokens", "requests need one, and there is none", exposure.HOW_TO_MAKE_ONE)
