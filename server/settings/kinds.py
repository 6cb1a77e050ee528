"""What a setting may be: types with their units and limits, in words that docs/configuration.md shows."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from server.durations import parse_duration
from server.sizes import parse_size

# Python itself takes some 20 MiB, and a job that can't begin tells nothing.
MEMORY_BYTES_MIN = 64 << 20


@dataclass(frozen=True)
class Takes:
    """What a setting takes, in words, for people who read the documentation. Checks nothing."""

    text: str
    is_duration: bool = False


Seconds = Annotated[float, BeforeValidator(parse_duration), Takes("a duration", is_duration=True)]
SecondsOrNone = Annotated[
    float,
    BeforeValidator(lambda value: parse_duration(value, minimum=0)),
    Takes("a duration, or 0", is_duration=True),
]
OneSecondOrMore = Annotated[
    float,
    BeforeValidator(lambda value: parse_duration(value, minimum=1)),
    Takes("a duration of a second or more", is_duration=True),
]
MemoryBytes = Annotated[
    int | None,
    BeforeValidator(lambda value: None if value is None else parse_size(value, minimum=MEMORY_BYTES_MIN)),
    Takes("a size such as 512MiB, from 64MiB on; or null"),
]
Port = Annotated[int, Field(ge=1, le=65535)]
TaskName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,100}$")]


class Section(BaseModel):
    """A group of settings: frozen, and strict about keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
