"""Where the sockets of one installation lie: a folder that its user alone can enter.

Whoever can open the socket is trusted, so the folder's mode is the lock on the
door. It is `var/run/sock`, unless that makes a path that no socket can have
(107 bytes on Linux) or one that libpq or supervisord would misread; then it is a folder
in the user's runtime directory or the temporary one, named after the var folder,
and `var/run/socket-folder` says which, since another shell may have another
TMPDIR and must come to the same place.
"""

import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from server.errors import DatabaseUnavailableError

SOCKET_PATH_BYTES_MAX = 107
# supervisord makes its own under a name with its pid, and renames it.
LONGEST_SOCKET_NAME = "supervisor.sock.4194304"
PRIVATE = 0o700
# supervisord takes what follows such a character for a comment, even in a value.
MISREAD = re.compile(r"\s[;#]|\n")


def socket_folder(var_folder: Path) -> Path:
    """The folder of the sockets, whether it exists or not."""
    inside = _run_folder(var_folder) / "sock"
    if _fits(inside):
        return inside
    return _recorded(var_folder) or next(_outside(var_folder))


def make_socket_folder(var_folder: Path) -> Path:
    """Makes the folder, or checks the one that is there, and writes down which one it is.

    Raises DatabaseUnavailableError if it is somebody else's, a link, or open to
    others: it might have been laid there to listen in. Its mode is never changed.
    """
    folder = socket_folder(var_folder)
    run_folder = _run_folder(var_folder)
    run_folder.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir(mode=PRIVATE)
        folder.chmod(PRIVATE)  # we made it: a umask may have taken more than we wanted
    except FileExistsError:
        check_private(folder)
    if folder.parent != run_folder:
        (run_folder / "socket-folder").write_text(f"{folder}\n", encoding="utf-8", errors="surrogateescape")
    return folder


def remove_outside_folder(var_folder: Path) -> None:
    """Removes a folder outside the var folder, once it is empty."""
    folder = socket_folder(var_folder)
    if folder.parent == _run_folder(var_folder):
        return
    try:
        folder.rmdir()
    except OSError:
        return  # gone already, or still in use: the next start finds it by its name
    (_run_folder(var_folder) / "socket-folder").unlink(missing_ok=True)


def check_private(folder: Path) -> None:
    """Raises DatabaseUnavailableError unless the folder is ours alone, and no link."""
    status = folder.lstat()
    if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077:
        return
    raise DatabaseUnavailableError(
        f"{folder}: sockets must lie in a folder that is yours alone (a real folder, uid {os.geteuid()}, "
        f"mode 0700); this one is {stat.filemode(status.st_mode)}, uid {status.st_uid}. Remove it, or move "
        f"the var folder."
    )


def _run_folder(var_folder: Path) -> Path:
    return var_folder / "run"


def _fits(folder: Path) -> bool:
    path = os.fsencode(folder / LONGEST_SOCKET_NAME)
    # libpq takes a comma in its host for the end of the first of several.
    return len(path) <= SOCKET_PATH_BYTES_MAX and "," not in str(folder) and not MISREAD.search(str(folder))


def _recorded(var_folder: Path) -> Path | None:
    record = _run_folder(var_folder) / "socket-folder"
    try:
        folder = Path(record.read_text(encoding="utf-8", errors="surrogateescape").rstrip("\n"))
        check_private(folder)
    except (OSError, DatabaseUnavailableError):
        return None  # never written, or the runtime directory went with its session: choose anew
    # A checkout that was copied brings the record of the first one along.
    return folder if folder.name == _name(var_folder) else None


def _outside(var_folder: Path) -> Iterator[Path]:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    for parent in (runtime, tempfile.gettempdir(), "/tmp"):  # noqa: S108 check_private() guards it
        folder = Path(parent, _name(var_folder))
        if Path(parent).is_absolute() and Path(parent).is_dir() and _fits(folder):
            yield folder
    raise DatabaseUnavailableError(
        f"{var_folder}: its path is too long for a socket ({SOCKET_PATH_BYTES_MAX} bytes at most), and "
        f"neither XDG_RUNTIME_DIR nor the temporary directory gives a shorter one."
    )


def _name(var_folder: Path) -> str:
    digest = hashlib.blake2b(os.fsencode(var_folder), digest_size=8).hexdigest()
    return f"ringfence-{os.geteuid()}-{digest}"
