"""The settings that count, one by one, each with where it came from and without its secrets. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from server.connection_strings import without_password
from server.settings.description import TASK_PLACE, all_settings, written
from server.settings.loading import Key, Loaded, Origins

MASK = "…"
_SECRET_NAME = re.compile(r"passw|secret|token|api_?key|private|credential", re.IGNORECASE)


@dataclass(frozen=True)
class Origin:
    """Where a value came from. kind: environment, file or default. line: of the file."""

    kind: str
    name: str = ""
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.name}:{self.line}" if self.line else self.name or self.kind

    def as_object(self) -> dict[str, Any]:
        """The form for programs."""
        named = {"file": "file", "environment": "variable"}.get(self.kind)
        return (
            {"kind": self.kind}
            | ({named: self.name} if named else {})
            | ({"line": self.line} if self.line else {})
        )


@dataclass(frozen=True)
class Shown:
    """One setting. value: without what is secret in it; durations in seconds."""

    key: Key
    value: Any
    text: str
    origin: Origin


def shown(loaded: Loaded) -> Iterator[Shown]:
    """Every setting of the installation; of a task, those that were given.

    A task's name may have a dot in it, so a key is a tuple.
    """
    values = loaded.settings.model_dump(mode="json", by_alias=True)
    durations = {setting.key for setting in all_settings() if setting.is_duration}
    for setting in all_settings():
        if TASK_PLACE not in setting.key:
            yield _one(setting.key, values, loaded.origins, is_duration=setting.key in durations)
    for name, task in values["tasks"].items():
        for inner in task:
            key = ("tasks", name, inner)
            if origin_of(key, loaded.origins).kind != "default":
                yield _one(key, values, loaded.origins, is_duration=("tasks", TASK_PLACE, inner) in durations)


def _one(key: Key, values: dict[str, Any], origins: Origins, *, is_duration: bool) -> Shown:
    value: Any = values
    for part in key:
        value = value[part]
    value = masked(value)
    return Shown(key, value, written(value, is_duration=is_duration), origin_of(key, origins))


def origin_of(key: Key, origins: Origins) -> Origin:
    """Who set a key, itself or with the whole group around it."""
    for length in range(len(key), 0, -1):
        if key[:length] in origins.variables:
            return Origin("environment", origins.variables[key[:length]])
    # A variable may have set a part of it, such as one of a task's params.
    for variable, name in origins.variables.items():
        if variable[: len(key)] == key:
            return Origin("environment", name)
    if key in origins.lines:
        return Origin("file", str(origins.file), origins.lines[key])
    return Origin("default")


def masked(value: Any, name: str = "") -> Any:
    """The value without passwords: of connection strings, and of what is called one."""
    if isinstance(value, dict):
        return {key: masked(one, str(key)) for key, one in value.items()}
    if isinstance(value, list):
        return [masked(one, name) for one in value]
    if name and value is not None and _SECRET_NAME.search(name):
        return MASK
    return without_password(value) if isinstance(value, str) else value
