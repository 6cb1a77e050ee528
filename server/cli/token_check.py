"""Before anything listens where others reach it: is there a token that somebody could use?"""

from server import exposure
from server.access import administration
from server.errors import ConfigurationError, DatabaseUnavailableError
from server.postgres.urls import application_url
from server.settings import Settings


def refuse_without_token(settings: Settings) -> None:
    """Raises ConfigurationError, with how to make one, if a token is needed and there is none.

    A database that can't be asked now is no reason to refuse: the node asks again, and lets
    nobody in before it knows.
    """
    if not exposure.are_tokens_required(settings):
        return
    try:
        found = administration.exist(application_url(settings))
    except DatabaseUnavailableError:
        return
    if not found:
        raise ConfigurationError(exposure.why_refused(settings))
