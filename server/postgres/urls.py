"""Which database the settings mean: an external one, or the embedded one."""

from server.postgres.embedded import EmbeddedServer
from server.settings import Settings


def application_url(settings: Settings) -> str:
    """The URL for everything but migrations."""
    return settings.database.url or EmbeddedServer(settings.var_folder).application_url


def owner_url(settings: Settings) -> str:
    """The URL for migrations: the role that owns the objects."""
    if settings.database.url:
        return settings.database.owner_url or settings.database.url
    return EmbeddedServer(settings.var_folder).owner_url


def listen_url(settings: Settings) -> str:
    """The URL for LISTEN, past a pooler if there is one between."""
    return settings.database.listen_url or application_url(settings)


def has_two_roles(settings: Settings) -> bool:
    """Whether the application connects with fewer rights than the owner."""
    return not settings.database.url or settings.database.owner_url is not None
