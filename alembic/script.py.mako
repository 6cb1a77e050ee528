"""${message}.

Why
    …one line: which user or invariant needs this.

Previous release
    …does the release before this one still work on the new schema, and why?

Revision: ${up_revision}, follows ${down_revision | comma,n}
"""

from server.postgres.migrations import execute_files

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None

# The oldest code that goes on working on this schema, by the newest migration that it has:
# the same as in the migration before, unless this one takes something away (CONTRIBUTING.md).
compatible_from = None


def upgrade() -> None:
    ${upgrades if upgrades else "execute_files()"}


def downgrade() -> None:
    ${downgrades if downgrades else "raise NotImplementedError"}
