"""One attempt to connect: which hosts in which order, for how long, and what it came to.

Several hosts
    Whoever answered last is asked first, and after an attempt that came to nothing the next
    one: a first host that is silent can't use up the time of every attempt. The same holds
    for a name of several addresses, which are then asked in an order that chance decides.
"""

import psycopg
from psycopg import conninfo

from server.postgres.dsn import CONNECT_SECONDS_MAX, beginning_with, connection_string, hosts_of
from server.postgres.faults import ConnectFailedError
from server.postgres.profile import Profile

_first_hosts: dict[str, int] = {}
"""By URL, which of its hosts is asked first: the one that answered last, or the one after it."""
_failing: set[str] = set()
"""The URLs to which the last try came to nothing."""


class Attempt:
    """See above. seconds: the longest that it may take, with all hosts and the lookup of their names."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._hosts = hosts_of(profile.url)
        self._first = _first_hosts.get(profile.url, 0) % max(1, len(self._hosts))
        made = connection_string(profile.url, profile.name)
        self.seconds = profile.open_seconds_max or _seconds_of(made)
        self.conninfo = beginning_with(made, self._first)
        if len(self._hosts) == 1 and profile.url in _failing:
            # Its name may have several addresses, of which the first is silent.
            self.conninfo = conninfo.make_conninfo(self.conninfo, load_balance_hosts="random")

    def succeeded(self, info: psycopg.ConnectionInfo) -> None:
        """The host that answered is asked first next time."""
        _failing.discard(self._profile.url)
        if (info.host, info.port) in self._hosts:
            _first_hosts[self._profile.url] = self._hosts.index((info.host, info.port))

    def failed(self, error: psycopg.Error | None) -> ConnectFailedError:
        """What to raise. error: None if the time was over."""
        _failing.add(self._profile.url)
        _first_hosts[self._profile.url] = self._first + 1
        found = ConnectFailedError(
            f"no connection within {self.seconds:g} s" if error is None else str(error)
        )
        if self._profile.part is not None:
            self._profile.pulse.failed(self._profile.part, found)
        return found


def _seconds_of(text: str) -> float:
    """What a connection string says about connecting; 0 or less is libpq's word for as long as it takes."""
    seconds = float(conninfo.conninfo_to_dict(text).get("connect_timeout") or 0)
    return seconds if seconds > 0 else float(CONNECT_SECONDS_MAX)
