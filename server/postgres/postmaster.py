"""Who serves a data folder: what postmaster.pid says, checked against /proc.

After a power cut or a SIGKILL the file stays, and its pid may belong to anybody
by now. PostgreSQL only asks whether that pid lives, and then refuses to start;
here a process counts only if it is a postgres that works in that very folder.
"""

from pathlib import Path

LINE_OF_STATUS = 7
# A standby says the second: it answers questions, and takes no writes.
ACCEPTS_CONNECTIONS = frozenset({"ready", "standby"})


def pid_file(data_folder: Path) -> Path:
    """Where the server of a data folder writes its pid and its status."""
    return data_folder / "postmaster.pid"


def running_pid(data_folder: Path) -> int | None:
    """The pid of the server of this folder, while it lives."""
    lines = _lines(data_folder)
    pid = int(lines[0]) if lines and lines[0].strip().isdigit() else 0
    return pid if pid and serves(pid, data_folder) else None


def is_ready(data_folder: Path) -> bool:
    """Whether the server says that it accepts connections (pg_ctl looks at the same line)."""
    lines = _lines(data_folder)
    return len(lines) > LINE_OF_STATUS and lines[LINE_OF_STATUS].strip() in ACCEPTS_CONNECTIONS


def serves(pid: int, data_folder: Path) -> bool:
    """Whether a process is a living postgres whose working folder is the data folder."""
    process = Path("/proc", str(pid))
    try:
        name, state = _name_and_state(process)
        return name == "postgres" and state != "Z" and (process / "cwd").samefile(data_folder)
    except (OSError, ValueError):
        return False  # it ended meanwhile, or is another user's: not ours either way


def _name_and_state(process: Path) -> tuple[str, str]:
    before, _, after = (process / "stat").read_text(errors="replace").rpartition(")")
    return before.partition("(")[2], after.split()[0]


def _lines(data_folder: Path) -> list[str]:
    try:
        return pid_file(data_folder).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
