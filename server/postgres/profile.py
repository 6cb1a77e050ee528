"""What a connection is for."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from server.postgres.pulse import Pulse, pulse_of

CALL_SECONDS_MAX = 10.0


@dataclass(frozen=True)
class Profile:
    """What a connection is for, and so how long it may take.

    name: its application_name. part: what the pulse calls it; None for one whose faults
        are its caller's affair alone, such as a command's or a job's.
    call_seconds_max: the longest that one call may take, unless it is changed on the
        connection; open_seconds_max: the longest that connecting may.
    settings: server settings of the session, such as {"statement_timeout": "2s"}.
    """

    url: str = field(repr=False)
    name: str
    part: str | None = None
    call_seconds_max: float = CALL_SECONDS_MAX
    open_seconds_max: float | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def pulse(self) -> Pulse:
        """Who is told what the calls came to."""
        return pulse_of(self.url)
