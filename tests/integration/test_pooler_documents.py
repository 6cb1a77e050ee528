"""The configuration of PgBouncer that docs/pgbouncer.md shows, as it stands there."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from fleet import free_ports, wait_until
from psycopg import conninfo

OWN_WAY = {"listen_addr": "127.0.0.1", "unix_socket_dir": ""}


def shown(page: Path, **changes: str) -> str:
    """The block of the page, with what a test has to have elsewhere."""
    (block,) = re.findall(r"```ini\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    kept = [line for line in block.splitlines() if line.partition(" = ")[0] not in changes]
    return "\n".join([*kept, *(f"{key} = {value}" for key, value in changes.items())]) + "\n"


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that another account can read, which those of the tests' own root are not."""
    with TemporaryDirectory(prefix="ringfence-pgbouncer.", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_pgbouncer_starts_with_it_and_lets_a_client_in_by_its_secret(database, project, folder):
    host = conninfo.conninfo_to_dict(database.direct_url)["host"]
    port = free_ports(1)
    (folder / "userlist.txt").write_text('"ringfence" "service-secret"\n')
    configuration = folder / "pgbouncer.ini"
    text = shown(
        project / "docs" / "pgbouncer.md",
        **OWN_WAY,
        listen_port=str(port),
        auth_file=str(folder / "userlist.txt"),
    )
    server = f"{database.name} = host={host} port=5432"
    configuration.write_text(text.replace("ringfence = host=database port=5432", server))
    program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
    argv = [program, "-q", str(configuration)]
    if os.geteuid() == 0:  # which it refuses
        argv = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *argv]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pooler:

        def answer() -> tuple[int] | None:
            assert pooler.poll() is None, pooler.communicate()[0]
            try:
                with psycopg.connect(
                    f"host=127.0.0.1 port={port} dbname={database.name} user=ringfence password=service-secret"
                ) as connection:
                    return connection.execute("select balance from users where id = 1").fetchone()
            except psycopg.OperationalError:
                return None

        try:
            assert wait_until(answer, why="an answer through it") == (10_000,)
        finally:
            pooler.send_signal(signal.SIGINT)
