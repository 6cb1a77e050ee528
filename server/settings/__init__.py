"""Settings: config.yaml and the environment become one frozen, validated object.

Order of precedence: environment variables `RINGFENCE_SECTION__KEY`, then the
file, then the defaults. All mistakes are reported together, each with the place
it came from, the key, the value and what was expected.

    sections.py, tasks.py   every setting, its default and what it means
    kinds.py                what a value may be: durations, sizes, ports
    loading.py              the file, the environment, and where each value came from
    document.py             docs/configuration.md
"""

from server.settings.http import Http
from server.settings.loading import (
    CA_VARIABLE,
    CONFIG_VARIABLE,
    INSTANCES_VARIABLE,
    PREFIX,
    TOKEN_VARIABLE,
    find_config,
    load,
)
from server.settings.sections import Cluster, Database, Logging, Money, Security, Settings, Telemetry
from server.settings.tasks import TaskSettings

__all__ = [
    "CA_VARIABLE",
    "CONFIG_VARIABLE",
    "INSTANCES_VARIABLE",
    "PREFIX",
    "TOKEN_VARIABLE",
    "Cluster",
    "Database",
    "Http",
    "Logging",
    "Money",
    "Security",
    "Settings",
    "TaskSettings",
    "Telemetry",
    "find_config",
    "load",
]
