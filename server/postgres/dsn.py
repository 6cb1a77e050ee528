"""Connection strings, with what every connection of the product needs."""

from psycopg import conninfo

CONNECT_SECONDS_MAX = 3


def connection_string(url: str, name: str, **settings: str) -> str:
    """A libpq connection string from a URL, with what every connection here needs.

    name: shown as application_name in pg_stat_activity.
    settings: server settings of the session, such as statement_timeout="2s".
    """
    given = conninfo.conninfo_to_dict(url)
    session = {
        "timezone": "UTC",
        "default_transaction_isolation": "read\\ committed",
        "client_connection_check_interval": "1s",
    } | settings
    options = " ".join(f"-c {key}={value}" for key, value in session.items())
    return conninfo.make_conninfo(
        url,
        application_name=name,
        connect_timeout=given.get("connect_timeout", CONNECT_SECONDS_MAX),
        keepalives_idle=5,
        keepalives_interval=2,
        keepalives_count=3,
        tcp_user_timeout=10_000,
        options=f"{given.get('options', '')} {options}".strip(),
    )
