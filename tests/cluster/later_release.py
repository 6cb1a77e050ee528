"""A release that comes after the present one: a copy of the product with one migration more."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import indent

from server.postgres.schema import newest_revision

PROJECT = Path(__file__).resolve().parents[2]
REVISION = "9001"

ADDITIVE = """
# A table, a column, and one column more in what every heartbeat of an old node gets.
op.execute("create table weather (at timestamptz primary key, sunny boolean not null)")
op.execute("alter table users add column note text")
heartbeat = "heartbeat(text, bigint)"
(source,) = op.get_bind().exec_driver_sql(f"select pg_get_functiondef('{heartbeat}'::regprocedure)").one()
changed = source.replace("RETURNS TABLE(", "RETURNS TABLE(sunny boolean, ", 1)
assert changed != source
op.execute(f"drop function {heartbeat}")
op.get_bind().exec_driver_sql(changed.replace("%", "%%"))
"""


class LaterRelease:
    """What an operator installs: at first the same as the present release."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for name in ("server", "alembic"):
            shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("config.yaml", "supervisord.conf"):
            shutil.copy2(PROJECT / name, folder / name)

    def add_migration(self, compatible_from: str | None, body: str = "pass") -> None:
        """One migration more, which says which code goes on working on it."""
        said = f"compatible_from = {compatible_from!r}\n" if compatible_from else ""
        (self.folder / f"alembic/versions/{REVISION}_later.py").write_text(
            f'"""What comes later."""\n\nfrom alembic import op\n\n'
            f"revision = {REVISION!r}\ndown_revision = {newest_revision()!r}\n"
            f"branch_labels = None\ndepends_on = None\n{said}\n\n"
            f"def upgrade() -> None:\n{indent(body.strip(), '    ')}\n\n\n"
            f"def downgrade() -> None:\n    pass\n"
        )

    def run(self, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """A command of this release."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RINGFENCE_")}
        return subprocess.run(
            [sys.executable, "-m", "server", *arguments],
            cwd=self.folder,
            env=kept | {"PYTHONPATH": str(self.folder)} | variables,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def variables_for(database) -> dict[str, str]:
    """The settings that name a test's database, with both roles."""
    return {
        "RINGFENCE_DATABASE__URL": database.application_url,
        "RINGFENCE_DATABASE__OWNER_URL": database.owner_url,
    }
