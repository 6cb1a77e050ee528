"""Connection strings, with what every connection of the product needs."""

from psycopg import conninfo

CONNECT_SECONDS_MAX = 3
KEEPALIVE_IDLE_SECONDS = 5
KEEPALIVE_INTERVAL_SECONDS = 2
KEEPALIVES_MAX = 3
UNACKNOWLEDGED_MS_MAX = 10_000
_BY_HOST = ("host", "hostaddr", "port")


def connection_string(url: str, name: str) -> str:
    """A libpq connection string from a URL, with what every connection here needs.

    name: shown as application_name in pg_stat_activity.
    """
    given = conninfo.conninfo_to_dict(url)
    return conninfo.make_conninfo(
        url,
        application_name=name,
        connect_timeout=given.get("connect_timeout", CONNECT_SECONDS_MAX),
        keepalives_idle=KEEPALIVE_IDLE_SECONDS,
        keepalives_interval=KEEPALIVE_INTERVAL_SECONDS,
        keepalives_count=KEEPALIVES_MAX,
        tcp_user_timeout=UNACKNOWLEDGED_MS_MAX,
    )


def hosts_of(url: str) -> list[tuple[str, int]]:
    """The hosts and ports that a URL names, in its order; empty when it names none."""
    given = conninfo.conninfo_to_dict(url)
    hosts = _several(given.get("host")) or _several(given.get("hostaddr"))
    ports = _several(given.get("port")) or ["5432"]
    if len(ports) == 1:
        ports *= len(hosts)
    return [(host, int(port or 5432)) for host, port in zip(hosts, ports, strict=False)]


def beginning_with(text: str, first: int) -> str:
    """The same connection string, whose hosts are tried from the one at that place on, in a circle."""
    given = conninfo.conninfo_to_dict(text)
    turned = {}
    for key in _BY_HOST:
        found = _several(given.get(key))
        if len(found) > 1:
            turned[key] = ",".join([*found[first:], *found[:first]])
    return conninfo.make_conninfo(text, **turned)


def _several(value: object) -> list[str]:
    return str(value).split(",") if value else []
