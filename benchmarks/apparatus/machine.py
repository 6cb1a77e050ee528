"""What the numbers were measured on, and with."""

import datetime
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

import tornado

from benchmarks.apparatus import h2load, packages
from benchmarks.apparatus.books import STATEMENTS, Books
from benchmarks.apparatus.postgres import Database

ROOT = Path(__file__).parents[2]


def describe(books: Books) -> dict[str, str]:
    """Words for each fact about what burst.py runs on; taken before the first measurement."""
    return {
        **basics(books.database),
        "Tornado": tornado.version,
        "Node": _output("node", "--version") if not packages.missing_node() else "missing",
        "load client": h2load.version(),
        "net.core.somaxconn": Path("/proc/sys/net/core/somaxconn").read_text().strip(),
    }


def basics(database: Database) -> dict[str, str]:
    """Words for the facts that matter to every measurement."""
    with database.connect() as connection:
        row: Any = connection.execute(STATEMENTS["server_version"]).fetchone()
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return {
        "measured": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "release": _output("git", "-C", str(ROOT), "describe", "--always", "--dirty"),
        "processor": f"{_field('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores",
        "memory": f"{int(_field('/proc/meminfo', 'MemTotal').split()[0]) / 1024 / 1024:.1f} GiB",
        "system": f"Linux {platform.release()}, {platform.machine()}",
        "Python": platform.python_version(),
        "PostgreSQL": str(row[0]),
        "load average at the start": load,
    }


def is_busy() -> bool:
    """Whether more than a quarter of the cores was in use over the last minute."""
    return os.getloadavg()[0] > (os.cpu_count() or 1) / 4


def line(facts: dict[str, str]) -> str:
    """The facts as one sentence."""
    return "; ".join(f"{name} {value}" for name, value in facts.items()) + "."


def _field(file: str, name: str) -> str:
    found = re.search(rf"^{name}\s*:\s*(.+)$", Path(file).read_text(), re.MULTILINE)
    return found[1].strip() if found else "unknown"


def _output(*argv: str) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"
