"""docs/configuration.md, out of the settings' own descriptions. Pure; written by `make docs`."""

from collections.abc import Iterator

from server.settings.description import TASK_PLACE, Setting, sections, settings_of
from server.settings.loading import PREFIX
from server.settings.sections import Settings
from server.settings.tasks import TaskSettings

HEAD = """\
# Configuration

<!-- Written by `make docs` from server/settings; change it there. -->

`config.yaml` holds every key below with its default. It is read once at the start, from the file that \
`--config` or `RINGFENCE_CONFIG` names, else from the working folder, else from the product itself, and \
checked as a whole: each mistake is named with its key, and its line or variable. A relative path starts \
from that file's folder. A change counts from the next start of the nodes (`ringfence restart`).

An environment variable wins over the file: `RINGFENCE_HTTP__PORT=9000` sets `http.port`. A duration is a \
number of seconds, or text with units: `250ms`, `15s`, `5m`, `1h30m`, `2d`.

```
ringfence config check     # whether it can be used, functions of tasks included; exit code 2 if not
ringfence config show      # what counts, and where each value came from; passwords masked
```
"""


def document() -> str:
    """The whole page."""
    return "\n".join([HEAD, *_groups()])


def _groups() -> Iterator[str]:
    yield from _group("The installation", Settings.__doc__, list(settings_of(Settings, ())))
    for name, section in sections().items():
        yield from _group(f"`{name}`", section.__doc__, list(settings_of(section, (name,))))
    tasks = list(settings_of(TaskSettings, ("tasks", TASK_PLACE)))
    yield from _group(
        f"`tasks.{TASK_PLACE}`",
        "Background jobs. Each name runs at most once at a time in the whole cluster. "
        "[schedules.md](schedules.md) tells of times, [jobs.md](jobs.md) of functions.",
        tasks,
    )


def _group(title: str, what: str | None, found: list[Setting]) -> Iterator[str]:
    yield f"## {title}\n\n{what}\n"
    for setting in found:
        default = "needed" if setting.default is None else f"default `{setting.default}`"
        facts = f"{default} · {setting.takes}{_variable(setting)}"
        yield f"### `{setting.dotted}`\n\n{facts}\n\n{setting.meaning}\n"


def _variable(setting: Setting) -> str:
    if TASK_PLACE in setting.key:
        return ""
    return f" · `{PREFIX}{'__'.join(setting.key).upper()}`"
