"""The settings as rows: key, what it takes, its default, what it means. Pure."""

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Le
from pydantic.fields import FieldInfo

from server.durations import format_duration
from server.settings.kinds import Section, Takes
from server.settings.sections import Settings
from server.settings.tasks import TaskSettings

# Not settings: where the file lies, which load() itself fills in.
_OWN = frozenset({"home", "source"})
TASK_PLACE = "NAME"


@dataclass(frozen=True)
class Setting:
    """One setting. key: its place as it is written. default: as it is written; None if it must be given."""

    key: tuple[str, ...]
    takes: str
    default: str | None
    meaning: str
    is_duration: bool = False

    @property
    def dotted(self) -> str:
        """Such as http.port."""
        return ".".join(self.key)


def sections() -> dict[str, type[Section]]:
    """The groups below the top, in the order of config.yaml; without tasks."""
    kinds = {name: field.annotation for name, field in Settings.model_fields.items()}
    return {
        name: kind for name, kind in kinds.items() if isinstance(kind, type) and issubclass(kind, Section)
    }


def settings_of(section: type[Section], above: tuple[str, ...]) -> Iterator[Setting]:
    """The settings of one group, without the groups in it."""
    for name, field in section.model_fields.items():
        if name in _OWN or _is_section(field.annotation) or field.annotation in _GROUPS_OF_TASKS:
            continue
        key = (*above, field.alias or name)
        yield Setting(key, takes(field), _default(field), field.description or "", is_duration(field))


def all_settings() -> list[Setting]:
    """Every setting: of the top, of each group, and of one task called NAME."""
    found = list(settings_of(Settings, ()))
    for name, section in sections().items():
        found += settings_of(section, (name,))
    return found + list(settings_of(TaskSettings, ("tasks", TASK_PLACE)))


_GROUPS_OF_TASKS = (Settings.model_fields["tasks"].annotation,)


def takes(field: FieldInfo) -> str:
    """What a setting accepts, in words."""
    words = next((one.text for one in field.metadata if isinstance(one, Takes)), None)
    words = words or _words_of(field.annotation)
    least = next((one.ge for one in field.metadata if isinstance(one, Ge)), None)
    most = next((one.le for one in field.metadata if isinstance(one, Le)), None)
    if least is None:
        return words
    return f"{words} from {least} on" if most is None else f"{words} from {least} to {most}"


def _words_of(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *metadata = get_args(annotation)
        return next((one.text for one in metadata if isinstance(one, Takes)), None) or _words_of(inner)
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(annotation))
    if origin in (Union, types.UnionType):
        kinds = [_words_of(one) for one in get_args(annotation) if one is not type(None)]
        return f"{', '.join(kinds)}, or `null`"
    if origin is dict:
        return "keys and values"
    return {bool: "`true` or `false`", int: "a whole number", str: "text"}.get(annotation, "a path")


def _default(field: FieldInfo) -> str | None:
    if field.is_required():
        return None
    value = field.get_default(call_default_factory=True, validated_data={})
    return written(value, is_duration=is_duration(field))


def is_duration(field: FieldInfo) -> bool:
    """Whether a setting is seconds, which people write with units."""
    inner = [one for part in get_args(field.annotation) for one in get_args(part)[1:]]
    return any(isinstance(one, Takes) and one.is_duration for one in [*field.metadata, *inner])


def written(value: object, *, is_duration: bool = False) -> str:
    """A value as config.yaml would have it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if is_duration and isinstance(value, int | float):
        return format_duration(value).replace(" ", "")
    if isinstance(value, tuple):
        return "[" + ", ".join(written(one) for one in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {written(one)}" for key, one in value.items()) + "}"
    return str(value)


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Section)
