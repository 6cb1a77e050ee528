"""The supervisord.conf of `ringfence up`: the one that ships, with the settings in it."""

import configparser
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import server
from server.cli.processes import MARK
from server.errors import ConfigurationError
from server.postgres import socket_folder
from server.settings import CONFIG_VARIABLE, INSTANCES_VARIABLE, TOKEN_VARIABLE, Settings
from server.shipped import shipped
from server.supervised import stop_seconds

NODES = "fcgi-program:node"
POSTGRES = "program:postgres"
PLUGIN = "rpcinterface:ringfence"


@dataclass(frozen=True)
class Files:
    """Where supervisord's own files lie."""

    configuration: Path
    socket: Path
    pid: Path
    log: Path
    output: Path


def files(settings: Settings) -> Files:
    """The places that belong to one var folder."""
    run, log = settings.var_folder / "run", settings.var_folder / "log"
    return Files(
        configuration=run / "supervisord.conf",
        socket=socket_folder.socket_folder(settings.var_folder) / "supervisor.sock",
        pid=run / "supervisord.pid",
        log=log / "supervisord.log",
        output=run / "supervisord.out",
    )


def write(settings: Settings, *, stop_seconds_min: int = 0) -> Files:
    """Writes the file and makes the folders that it names.

    stop_seconds_min: the least that an instance gets to stop, whatever the settings say now.
    Raises ConfigurationError for a path that supervisord can't read.
    """
    places = files(settings)
    parser = configparser.RawConfigParser(comment_prefixes=(";",), inline_comment_prefixes=None)
    # As its documentation says to keep the case of keys; mypy sees a method there.
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.add_section(PLUGIN)
    parser.read_string(shipped("supervisord.conf").read_text(encoding="utf-8"))
    for section, options in _changes(settings, places, stop_seconds_min).items():
        for key, value in options.items():
            parser.set(section, key, value)
    if settings.database.url is not None:
        parser.remove_section(POSTGRES)
    for folder in (places.log.parent, places.configuration.parent):
        folder.mkdir(parents=True, exist_ok=True)
    with places.configuration.open("w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(f"; Written by `ringfence up` from {_one_line(settings.source)}. Changes here are lost.\n")
        parser.write(file, space_around_delimiters=False)
    return places


def stop_seconds_written(settings: Settings) -> int:
    """How long an instance gets to stop by the file that was written last; 0 if there is none."""
    parser = configparser.RawConfigParser(comment_prefixes=(";",), inline_comment_prefixes=None)
    place = files(settings).configuration
    if place.exists():
        parser.read_string(place.read_text(encoding="utf-8", errors="surrogateescape"))
    return parser.getint(NODES, "stopwaitsecs", fallback=0)


def environment(settings: Settings) -> dict[str, str]:
    """What supervisord and all below it find in their environment."""
    changed = dict(os.environ)
    changed[MARK] = str(settings.var_folder)
    # A person's secret, which no node and no job needs.
    changed.pop(TOKEN_VARIABLE, None)
    root = Path(server.__file__).resolve().parent.parent
    if root.name not in {"site-packages", "dist-packages"}:
        # From a checkout that is not installed, the children must find it as we did.
        changed["PYTHONPATH"] = os.pathsep.join(filter(None, (str(root), changed.get("PYTHONPATH"))))
    return changed


def _changes(settings: Settings, places: Files, stop_seconds_min: int) -> dict[str, dict[str, str]]:
    # supervisord expands the logs of programs twice, and everything else once.
    log = _value(places.log.parent).replace("%", "%%")
    home = _value(settings.home)
    supervisord = {
        "pidfile": _value(places.pid),
        "logfile": _value(places.log),
        # It warns of running as root, unless it is told that this is meant.
        "user": "0" if os.geteuid() == 0 else "",
    }
    return {
        "unix_http_server": {"file": _value(places.socket)},
        "supervisorctl": {"serverurl": f"unix://{_value(places.socket)}"},
        "supervisord": {key: value for key, value in supervisord.items() if value},
        PLUGIN: {"supervisor.rpcinterface_factory": "server.cli.adoption:make_interface"},
        POSTGRES: {
            "command": _command(settings, "db", "foreground"),
            "directory": home,
            "stdout_logfile": f"{log}/postgres.log",
        },
        NODES: {
            "command": _command(settings, "serve", "--node") + " %(process_num)d",
            "directory": home,
            "numprocs": str(settings.cluster.instances),
            "environment": f"{INSTANCES_VARIABLE}={settings.cluster.instances}",
            "socket": f"tcp://{settings.http.host}:{settings.http.port}",
            "socket_backlog": str(settings.http.backlog),
            "stopwaitsecs": str(max(stop_seconds(settings), stop_seconds_min)),
            "stdout_logfile": f"{log}/node-%(process_num)d.log",
        },
    }


def _command(settings: Settings, *arguments: str) -> str:
    # -P: a folder with a server/ of its own as the working folder must not replace ours.
    argv = [sys.executable, "-P", "-m", "server"]
    if Path(settings.source).parent == settings.home or CONFIG_VARIABLE in os.environ:
        argv += ["--config", settings.source]
    return shlex.join([_value(part) for part in [*argv, *arguments]])


def _value(path: Path | str) -> str:
    """A value as supervisord reads it back: it expands what follows a percent sign."""
    text = str(path)
    if socket_folder.MISREAD.search(text):
        raise ConfigurationError(
            f"{text!r}: supervisord takes what follows a blank and a # or ; for a comment, so it can't "
            f"use this path: rename the folder"
        )
    return text.replace("%", "%%")


def _one_line(text: str) -> str:
    return text.replace("\n", " ")
