"""Settings: config.yaml and the environment become one frozen, validated object.

Order of precedence: environment variables `RINGFENCE_SECTION__KEY`, then the
file, then the defaults below. All mistakes are reported together, each with
the place it came from, the key, the value and what was expected.
"""

import os
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from server.connection_strings import Url, without_password
from server.durations import parse_duration
from server.errors import ConfigurationError
from server.shipped import shipped
from server.sizes import parse_size

PREFIX = "RINGFENCE_"
CONFIG_VARIABLE = "RINGFENCE_CONFIG"
# The token with which commands call the service of another machine; no setting of a node.
TOKEN_VARIABLE = "RINGFENCE_TOKEN"  # noqa: S105 the name of a variable
# How many instances run beside a node, as `ringfence up` and `scale` tell it. Two underscores: no setting.
INSTANCES_VARIABLE = "RINGFENCE__INSTANCES"

Seconds = Annotated[float, BeforeValidator(parse_duration)]
SecondsOrNone = Annotated[float, BeforeValidator(lambda value: parse_duration(value, minimum=0))]
OneSecondOrMore = Annotated[float, BeforeValidator(lambda value: parse_duration(value, minimum=1))]
# Python itself takes some 20 MiB, and a job that can't begin tells nothing.
MEMORY_BYTES_MIN = 64 << 20
MemoryBytes = Annotated[
    int | None,
    BeforeValidator(lambda value: None if value is None else parse_size(value, minimum=MEMORY_BYTES_MIN)),
]
Port = Annotated[int, Field(ge=1, le=65535)]
TaskName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,100}$")]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Http(_Section):
    """Where the service listens. Each node listens on `port` + its number, too."""

    host: str = "127.0.0.1"
    port: Port = 8000
    backlog: Annotated[int, Field(ge=1, le=65535)] = 16384


class Database(_Section):
    """Which PostgreSQL to use: none named means the embedded one."""

    url: Url | None = None
    owner_url: Url | None = None
    one_role: bool = False
    connections: Annotated[int, Field(ge=1, le=100)] = 1
    migrate: bool = True

    @model_validator(mode="after")
    def _one_role_or_two(self) -> "Database":
        if self.one_role and (self.url is None or self.owner_url is not None):
            raise ValueError(
                "one_role is for an external database.url without an owner_url; the embedded database has two"
            )
        return self


class Cluster(_Section):
    """The lease and membership; the rule between them is checked below."""

    instances: Annotated[int, Field(ge=1, le=500)] = 6
    heartbeat_seconds: Seconds = Field(1.0, alias="heartbeat")
    ttl_seconds: Seconds = Field(15.0, alias="ttl")
    margin_seconds: Seconds = Field(2.0, alias="margin")
    settle_seconds: Seconds = Field(2.0, alias="settle")
    settle_seconds_max: Seconds = Field(10.0, alias="settle_max")
    drain_seconds: SecondsOrNone = 20.0
    retire_seconds: Seconds = Field(600.0, alias="retire_after")
    proof_of_death: bool = True

    @model_validator(mode="after")
    def _lease_outlasts_its_guards(self) -> "Cluster":
        least = 2 * self.heartbeat_seconds + self.margin_seconds + 1
        if self.ttl_seconds < least:
            raise ValueError(
                f"ttl must be at least two heartbeats, the margin and a second: {least:g} s, "
                f"got {self.ttl_seconds:g} s"
            )
        return self


class Money(_Section):
    """The money path."""

    deadline_seconds: Seconds = Field(10.0, alias="deadline")


class Security(_Section):
    """Who may ask."""

    tokens: Literal["auto", "required"] = "auto"


class Logging(_Section):
    """What the nodes write to their logs."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"


class TaskSettings(_Section):
    """One background task: its function, its schedule and its limits."""

    # Left out of a definition at their defaults, so that nodes of the release that did
    # not know them go on with such tasks.
    ADDED: ClassVar = frozenset(
        {
            "isolation",
            "memory_bytes_max",
            "missed_grace_seconds",
            "missed_ticks_max",
            "retry_after_seconds",
        }
    )

    function: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
    every: Seconds | None = None
    cron: str | None = None
    timezone: str = "UTC"
    first: Literal["now", "scheduled"] = "now"
    jitter_seconds: SecondsOrNone = Field(0.0, alias="jitter")
    missed: Literal["once", "skip", "all"] = "once"
    missed_ticks_max: Annotated[int, Field(ge=1, le=1000)] = Field(100, alias="missed_max")
    missed_grace_seconds: OneSecondOrMore = Field(60.0, alias="missed_grace")
    timeout_seconds: Seconds = Field(3600.0, alias="timeout")
    retries: Annotated[int, Field(ge=0, le=100)] = 0
    retry_after_seconds: Seconds = Field(5.0, alias="retry_after")
    isolation: Literal["process", "loop"] = "process"
    memory_bytes_max: MemoryBytes = Field(None, alias="memory_max")
    paused: bool = False
    params: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_schedule(self) -> "TaskSettings":
        if (self.every is None) == (self.cron is None):
            raise ValueError("exactly one of every: and cron: says when the task runs")
        return self

    @model_validator(mode="after")
    def _memory_of_a_process(self) -> "TaskSettings":
        if self.isolation == "loop" and self.memory_bytes_max is not None:
            raise ValueError(
                "memory_max is for isolation: process; a job in the loop shares its node's memory"
            )
        return self

    def definition(self) -> dict[str, Any]:
        """The JSON form that the database keeps, and that this class reads again."""
        left_out = {key for key in self.ADDED if getattr(self, key) == type(self).model_fields[key].default}
        return self.model_dump(mode="json", exclude=left_out)


class Settings(_Section):
    """Everything that can be set; see config.yaml for what each key means."""

    home: Path
    source: str
    var: Path = Path("var")
    revision: Annotated[int, Field(ge=0)] = 1
    http: Http = Http()
    database: Database = Database()
    cluster: Cluster = Cluster()
    money: Money = Money()
    security: Security = Security()
    logging: Logging = Logging()
    tasks: dict[TaskName, TaskSettings] = Field(default_factory=dict)

    @property
    def var_folder(self) -> Path:
        """Where everything is kept that this installation writes; absolute."""
        return (self.home / self.var).resolve()

    def node_port(self, number: int) -> int:
        """The port of node `number`, counted from 1."""
        return self.http.port + number


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML that refuses a key given twice, of which one would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.MarkedYAMLError(None, None, f"{key!r} is given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def find_config(named: str | None = None, environ: Mapping[str, str] | None = None) -> tuple[Path, Path]:
    """The file to read and the home folder that relative paths start from.

    Named explicitly, by RINGFENCE_CONFIG, or `config.yaml` of the working
    folder; without any, the one that ships with the product, and then the
    working folder is the home.
    """
    environ = os.environ if environ is None else environ
    chosen = named or environ.get(CONFIG_VARIABLE)
    if chosen:
        path = Path(chosen).absolute()
        if not path.is_file():
            raise ConfigurationError(f"{path}: there is no such configuration file")
        return path, path.parent
    here = Path.cwd() / "config.yaml"
    if here.is_file():
        return here, here.parent
    return shipped("config.yaml"), Path.cwd()


def load(named: str | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Reads, merges and checks the settings.

    Raises ConfigurationError with every mistake found.
    """
    environ = os.environ if environ is None else environ
    path, home = find_config(named, environ)
    values = _read_file(path)
    origins = _overlay_environment(values, environ)
    try:
        settings = Settings.model_validate(values | {"home": home, "source": str(path)})
    except ValidationError as error:
        raise ConfigurationError(_describe(error, path, origins)) from None
    return settings


def _read_file(path: Path) -> dict[str, Any]:
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeyLoader)  # noqa: S506 a SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from None
    except yaml.MarkedYAMLError as error:
        place = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigurationError(f"{path}{place}: not valid YAML: {error.problem}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigurationError(f"{path}: expected keys and values, found {type(values).__name__}")
    for reserved in ("home", "source"):
        if reserved in values:
            raise ConfigurationError(f"{path}: {reserved}: unknown key")
    return values


def _overlay_environment(values: dict[str, Any], environ: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    """Writes RINGFENCE_SECTION__KEY over the file's values; returns who set what."""
    origins: dict[tuple[str, ...], str] = {}
    for name in sorted(environ):
        if (
            not name.startswith(PREFIX)
            or name in {CONFIG_VARIABLE, TOKEN_VARIABLE}
            or name.startswith(PREFIX + "_")
        ):
            continue
        keys = tuple(name.removeprefix(PREFIX).lower().split("__"))
        place: dict[str, Any] = values
        for key in keys[:-1]:
            inner = place.get(key)
            place[key] = inner if isinstance(inner, dict) else {}
            place = place[key]
        text = environ[name]
        try:
            # A URL or a name is text as it stands; only scalars and flow values are YAML.
            place[keys[-1]] = text if ": " in text else yaml.safe_load(text)
        except yaml.YAMLError:
            place[keys[-1]] = text
        origins[keys] = name
    return origins


def _describe(error: ValidationError, path: Path, origins: Mapping[tuple[str, ...], str]) -> str:
    lines = []
    for fault in error.errors():
        location = tuple(str(part) for part in fault["loc"])
        variable = next((name for keys, name in origins.items() if location[: len(keys)] == keys), None)
        place = f"environment variable {variable}" if variable else str(path)
        reason = {"extra_forbidden": "unknown key", "missing": "is missing"}.get(
            fault["type"], fault["msg"].removeprefix("Value error, ")
        )
        shown = (
            ""
            if fault["type"] in {"missing", "extra_forbidden"} or isinstance(fault["input"], dict)
            else (f" (got {_shorten(without_password(repr(fault['input'])))})")
        )
        lines.append(f"{place}: {'.'.join(location) or 'the whole'}: {reason}{shown}")
    return "\n".join(lines)


def _shorten(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
