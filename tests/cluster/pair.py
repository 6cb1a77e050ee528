"""Two real servers, the second a synchronous standby of the first, and a URL that names both."""

import os
import signal
from pathlib import Path

import psycopg
from fleet import wait_until

from server.postgres.binaries import run, server_argv
from server.postgres.embedded import EmbeddedServer


class Pair:
    """What Patroni or a person sets up; here by hand, so that a test decides who is promoted when."""

    def __init__(self, folder: Path) -> None:
        self.primary = EmbeddedServer(folder / "first")
        self.standby = EmbeddedServer(folder / "second")

    def start(self) -> None:
        """Starts both, and waits until each commit waits for the standby."""
        self.primary.start()
        self.standby.data_folder.parent.mkdir(parents=True)
        copied_to = f"--pgdata={self.standby.data_folder}"
        source = f"--dbname={self.primary.superuser_url}"
        run(
            server_argv("pg_basebackup", source, copied_to, "--write-recovery-conf", "--checkpoint=fast"),
            "copying",
        )
        self.standby.start()
        ask(self.primary, "alter system set synchronous_standby_names = '*'")
        ask(self.primary, "select pg_reload_conf()")
        wait_until(
            lambda: ask(self.primary, "select sync_state from pg_stat_replication") == "sync",
            why="a synchronous standby",
        )

    def url(self, role: str) -> str:
        """The standby first, so that whoever does not ask for one that takes writes comes to the wrong one."""
        hosts = [server.application_url.partition("host=")[2].partition("&")[0] for server in self.in_order]
        return (
            f"postgresql://{role}@/ringfence?host={','.join(hosts)}&port=5432,5432"
            "&target_session_attrs=read-write"
        )

    @property
    def owner_url(self) -> str:
        """As `url`, for migrations."""
        return self.url("postgres") + "&options=-c%20role%3Dringfence_owner"

    @property
    def in_order(self) -> tuple[EmbeddedServer, EmbeddedServer]:
        """In the order in which the URL names them."""
        return self.standby, self.primary

    def kill_primary(self) -> None:
        """SIGKILL to its main process; the others see it and end."""
        pid = self.primary.running_pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.primary.running_pid() is None, why="the primary's end")

    def promote_standby(self) -> None:
        """Makes the standby the one that takes writes."""
        assert ask(self.standby, "select pg_promote()") is True

    def stop(self) -> None:
        """Stops whatever runs."""
        for server in self.in_order:
            server.stop()


def ask(server: EmbeddedServer, question: str) -> object:
    """The first value of the first row; None if there is none."""
    with psycopg.connect(server.superuser_url, autocommit=True) as connection:
        cursor = connection.execute(question)
        row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None
