"""Reads config.yaml and the environment, and says where each value, and each mistake, came from."""

import os
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from server.connection_strings import without_password
from server.errors import ConfigurationError
from server.settings.sections import Settings
from server.shipped import shipped

PREFIX = "RINGFENCE_"
CONFIG_VARIABLE = "RINGFENCE_CONFIG"
# The token with which commands call the service of another machine; no setting of a node.
TOKEN_VARIABLE = "RINGFENCE_TOKEN"  # noqa: S105 the name of a variable
CA_VARIABLE = "RINGFENCE_CA_FILE"
# How many instances run beside a node, as `ringfence up` and `scale` tell it. Two underscores: no setting.
INSTANCES_VARIABLE = "RINGFENCE__INSTANCES"

Key = tuple[str, ...]
"""A setting's place, as it is written: ("http", "port")."""


@dataclass(frozen=True)
class Origins:
    """Where values came from. lines: of the file, counted from 1; variables: of the environment."""

    file: Path
    lines: Mapping[Key, int]
    variables: Mapping[Key, str]


@dataclass(frozen=True)
class Loaded:
    """The settings, and where each of them came from."""

    settings: Settings
    origins: Origins


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
    return load_with_origins(named, environ).settings


def load_with_origins(named: str | None = None, environ: Mapping[str, str] | None = None) -> Loaded:
    """The same, with where each value came from."""
    environ = os.environ if environ is None else environ
    path, home = find_config(named, environ)
    values, lines = _read_file(path)
    origins = Origins(path, lines, _overlay_environment(values, environ))
    try:
        settings = Settings.model_validate(values | {"home": home, "source": str(path)})
    except ValidationError as error:
        raise ConfigurationError(_describe(error, origins)) from None
    return Loaded(settings, origins)


def _read_file(path: Path) -> tuple[dict[str, Any], dict[Key, int]]:
    """What the file says, and the line of each of its keys."""
    try:
        loader = _UniqueKeyLoader(path.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        values = None if node is None else loader.construct_document(node)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from None
    except yaml.MarkedYAMLError as error:
        place = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigurationError(f"{path}{place}: not valid YAML: {error.problem}") from None
    if values is None:
        return {}, {}
    if not isinstance(values, dict):
        raise ConfigurationError(f"{path}: expected keys and values, found {type(values).__name__}")
    for reserved in ("home", "source"):
        if reserved in values:
            raise ConfigurationError(f"{path}: {reserved}: unknown key")
    return values, dict(_lines(node, ()))


def _lines(node: yaml.Node | None, above: Key) -> Iterator[tuple[Key, int]]:
    if not isinstance(node, yaml.MappingNode):
        return
    for key_node, value_node in node.value:
        key = (*above, str(key_node.value))
        yield key, key_node.start_mark.line + 1
        yield from _lines(value_node, key)


def _overlay_environment(values: dict[str, Any], environ: Mapping[str, str]) -> dict[Key, str]:
    """Writes RINGFENCE_SECTION__KEY over the file's values; returns who set what."""
    origins: dict[Key, str] = {}
    for name in sorted(environ):
        if (
            not name.startswith(PREFIX)
            or name in {CONFIG_VARIABLE, TOKEN_VARIABLE, CA_VARIABLE}
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


def _describe(error: ValidationError, origins: Origins) -> str:
    return "\n".join(_describe_one(fault, origins) for fault in error.errors())


def _describe_one(fault: Any, origins: Origins) -> str:
    location = tuple(str(part) for part in fault["loc"])
    variable = next((name for keys, name in origins.variables.items() if location[: len(keys)] == keys), None)
    place = f"environment variable {variable}" if variable else str(origins.file)
    line = None if variable else origins.lines.get(location)
    reason = {"extra_forbidden": "unknown key", "missing": "is missing"}.get(
        fault["type"], fault["msg"].removeprefix("Value error, ")
    )
    shown = (
        ""
        if fault["type"] in {"missing", "extra_forbidden"} or isinstance(fault["input"], dict)
        else f" (got {_shorten(without_password(repr(fault['input'])))})"
    )
    where = f", in line {line}" if line else ""
    return f"{place}: {'.'.join(location) or 'the whole'}: {reason}{shown}{where}"


def _shorten(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
