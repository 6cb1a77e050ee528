"""Who gives a command here, for the record of what operators do: the operating system's word."""

import json
import os
import pwd
import socket
from pathlib import Path

LOGIN_UID = Path("/proc/self/loginuid")
NO_UID = 0xFFFFFFFF
"""What the kernel says of a process that nobody signed in for: a service's, or a container's."""


def local_caller() -> str:
    """The caller as record_operation() and create_token() take it.

    name: who signed in, or called sudo, before becoming the user; empty where that is the same.
    """
    user = name_of(os.getuid())
    before = _signed_in() or os.environ.get("SUDO_USER", "")
    facts = {"user": f"{user}@{socket.gethostname()}", "name": "" if before == user else before}
    return json.dumps(facts)


def name_of(uid: int) -> str:
    """A user's name; the number of one that has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _signed_in() -> str | None:
    """Kept by the kernel from the sign-in on, whatever su and sudo do."""
    try:
        uid = int(LOGIN_UID.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None  # a kernel without it
    return None if uid == NO_UID else name_of(uid)
