"""Becomes another program: one that ends with its parent, and is not root where that is forbidden.

Run as a file by a bare interpreter (`python -I -S launch.py …`), so that it
starts in a few hundredths of a second and never imports the product. It
replaces itself, so the pid that the caller sees is the program's own.

PostgreSQL refuses to run as root. Here root enters a user namespace in which it
is an ordinary user: inside it has an ordinary uid, outside the files that it
writes still belong to root. This needs no second account and changes no
permission; what it costs is root's right to enter other users' folders.
"""

import argparse
import ctypes
import os
import pwd
import signal
import sys
from pathlib import Path

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1
# initdb looks up the name of its uid, so it must be one that has a name here:
# daemon, the first person, bin. The last, nobody, is also what the kernel shows
# for every owner that the namespace does not know.
INNER_IDS = (1, 1000, 2, 65534)
EXIT_NO_NAMESPACE = 77
EXIT_NOT_EXECUTABLE = 78


def enter_user_namespace() -> None:
    """Gives up root for an ordinary uid of a new user namespace. Raises OSError where that is forbidden.

    By ctypes, since os.unshare comes with Python 3.12 only. The caller must
    have one thread, which the kernel asks for.
    """
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    inner = next((number for number in INNER_IDS if _has_name(number)), 1000)
    _check(_libc().unshare(CLONE_NEWUSER))
    # Without this the kernel lets no process write its own group map: dropping
    # a group by setgroups could open what the group was excluded from.
    _write("setgroups", "deny")
    _write("uid_map", f"{inner} {outer_uid} 1")
    _write("gid_map", f"{inner} {outer_gid} 1")


def die_with_parent(death_signal: int, parent: int) -> None:
    """Asks the kernel for a signal when the parent ends. A change of credentials clears it: call it last.

    parent: the pid that the caller had as its parent at the start; if it has
    gone since, the signal would never come, so it is sent at once.
    """
    _check(_libc().prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0))
    if os.getppid() != parent:
        os.kill(os.getpid(), death_signal)


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _write(name: str, text: str) -> None:
    Path("/proc/self", name).write_text(text, encoding="ascii")


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--namespace", action="store_true", help="run in a user namespace of its own")
    parser.add_argument("--death-signal", type=int, default=0, help="sent when the parent ends")
    parser.add_argument("--parent", type=int, default=os.getppid(), help="the parent that is meant")
    parser.add_argument("program", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    argv = given.program[1:] if given.program[:1] == ["--"] else given.program

    if given.namespace:
        try:
            enter_user_namespace()
        except OSError as error:
            print(f"no user namespace: {error.strerror}", file=sys.stderr)
            raise SystemExit(EXIT_NO_NAMESPACE) from None
    if given.death_signal:
        die_with_parent(given.death_signal, given.parent)
    # Whoever started us may ignore SIGINT (a background job of a shell does);
    # the program is stopped by it, and an ignored signal survives exec.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        os.execv(argv[0], argv)  # noqa: S606 the caller built the list
    except OSError as error:
        print(f"{argv[0]}: {error.strerror}", file=sys.stderr)
        raise SystemExit(EXIT_NOT_EXECUTABLE) from None


if __name__ == "__main__":
    _main()
