"""The tables as SQLAlchemy sees them, for the queries that read.

The truth is in the migrations; `alembic check` compares the two in the tests.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

metadata = MetaData()


def _moment(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


users = Table(
    "users",
    metadata,
    Column("id", BigInteger, Identity(always=True)),
    Column("balance", BigInteger, nullable=False),
    PrimaryKeyConstraint("id", name="users_pkey"),
    CheckConstraint("balance >= 0", name="balance_not_negative"),
    CheckConstraint("balance <= 9007199254740991", name="balance_within_json_integers"),
    comment="Accounts. Change balances with withdraw() and deposit() only.",
)

entries = Table(
    "entries",
    metadata,
    Column("id", BigInteger, Identity(always=True)),
    Column("user_id", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("balance_after", BigInteger, nullable=False),
    Column("request_id", UUID(as_uuid=True), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    PrimaryKeyConstraint("id", name="entries_pkey"),
    UniqueConstraint("request_id", name="one_entry_per_request"),
    CheckConstraint("balance_after >= 0", name="entry_balance_not_negative"),
    Index("entries_by_user", "user_id", "id"),
    comment="Append-only ledger: signed amounts; their sum is the balance.",
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("client", Text(collation="C"), nullable=False),
    Column("key", Text(collation="C"), nullable=False),
    Column("operation", Text, nullable=False),
    Column("user_id", BigInteger),
    Column("amount", BigInteger),
    Column("request_id", UUID(as_uuid=True), nullable=False),
    Column("outcome", Text),
    Column("balance", BigInteger),
    Column("entry_id", BigInteger),
    Column("outcomes", ARRAY(Text)),
    Column("balances", ARRAY(BigInteger)),
    Column("entry_ids", ARRAY(BigInteger)),
    _moment("created_at"),
    PrimaryKeyConstraint("client", "key", name="one_outcome_per_key"),
    CheckConstraint("length(client) <= 255", name="idempotency_client_short"),
    CheckConstraint("length(key) between 1 and 255", name="idempotency_key_short"),
    Index("idempotency_keys_by_age", "created_at"),
    comment="First outcomes of requests with an Idempotency-Key.",
)

money_pulse = Table(
    "money_pulse",
    metadata,
    _moment("second"),
    Column("node", Text, nullable=False),
    *(
        Column(name, BigInteger, nullable=False)
        for name in ("withdrawals", "deposits", "refused", "batches", "movements", "largest")
    ),
    PrimaryKeyConstraint("second", "node", name="money_pulse_pkey"),
    CheckConstraint("length(node) between 1 and 100", name="money_pulse_node_short"),
    comment="What the money path did lately, second by second; lost in a crash.",
    prefixes=["UNLOGGED"],
)

nodes = Table(
    "nodes",
    metadata,
    Column("name", Text, nullable=False),
    Column("incarnation", BigInteger, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("url", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("tasks", ARRAY(Text), nullable=False),
    Column("ttl", Interval, nullable=False),
    Column("boot_id", Text, nullable=False),
    Column("lock_path", Text, nullable=False),
    Column("lock_dev", BigInteger, nullable=False),
    Column("lock_ino", BigInteger, nullable=False),
    _moment("started_at"),
    _moment("heartbeat_at"),
    _moment("lease_expires_at"),
    PrimaryKeyConstraint("name", name="nodes_pkey"),
    CheckConstraint("length(name) between 1 and 100", name="node_name_short"),
    CheckConstraint("state in ('live', 'draining', 'dead')", name="node_state_known"),
    CheckConstraint("ttl > interval '0'", name="node_ttl_positive"),
    comment="Members of the cluster; a node may run tasks until lease_expires_at.",
)

tasks = Table(
    "tasks",
    metadata,
    Column("name", Text, nullable=False),
    Column("function", Text, nullable=False),
    Column("schedule", Text, nullable=False),
    Column("definition", JSONB, nullable=False),
    Column("definition_hash", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("paused", Boolean, nullable=False, server_default=text("false")),
    _moment("next_run_at"),
    _moment("due_at", nullable=True),
    Column("due_trigger", Text),
    Column("due_run_id", BigInteger),
    Column("due_attempt", Integer, nullable=False, server_default=text("1")),
    Column("losses", Integer, nullable=False, server_default=text("0")),
    _moment("skipped_at", nullable=True),
    Column("skipped_reason", Text),
    _moment("retired_at", nullable=True),
    Column("skipped_ticks", BigInteger, nullable=False, server_default=text("0")),
    Column("due_trace", Text),
    PrimaryKeyConstraint("name", name="tasks_pkey"),
    CheckConstraint("length(name) between 1 and 100", name="task_name_short"),
    CheckConstraint(
        "due_trigger in ('manual', 'retry', 'lost', 'interrupted')", name="task_due_trigger_known"
    ),
    CheckConstraint("(due_at is null) = (due_trigger is null)", name="task_due_has_a_trigger"),
    CheckConstraint("retired_at is null or due_at is null", name="task_retired_is_not_due"),
    CheckConstraint("length(due_trace) <= 100", name="task_due_trace_short"),
    comment="Configured background jobs and the time at which each is due.",
)

runs = Table(
    "runs",
    metadata,
    Column("id", BigInteger, Identity(always=True)),
    Column("task_name", Text, nullable=False),
    Column("node_name", Text, nullable=False),
    Column("incarnation", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("trigger", Text, nullable=False),
    _moment("scheduled_for"),
    _moment("started_at"),
    _moment("finished_at", nullable=True),
    Column("attempt", Integer, nullable=False),
    Column("predecessor_id", BigInteger),
    _moment("cancel_requested_at", nullable=True),
    Column("progress", JSONB),
    Column("result", JSONB),
    Column("output", Text),
    Column("error", Text),
    PrimaryKeyConstraint("id", name="runs_pkey"),
    CheckConstraint(
        "status in ('running', 'succeeded', 'failed', 'cancelled', 'timed_out', 'interrupted', 'lost')",
        name="run_status_known",
    ),
    CheckConstraint(
        "trigger in ('schedule', 'manual', 'retry', 'lost', 'interrupted')", name="run_trigger_known"
    ),
    CheckConstraint("(status = 'running') = (finished_at is null)", name="run_is_finished_unless_running"),
    CheckConstraint("octet_length(output) <= 262144", name="run_output_limited"),
    CheckConstraint("octet_length(error) <= 65536", name="run_error_limited"),
    Index("one_running_run_per_task", "task_name", unique=True, postgresql_where=text("status = 'running'")),
    Index("running_runs_by_node", "node_name", "incarnation", postgresql_where=text("status = 'running'")),
    Index("runs_by_task", "task_name", "id"),
    Index("runs_by_predecessor", "predecessor_id", postgresql_where=text("predecessor_id is not null")),
    Index("runs_by_finish", "finished_at", postgresql_where=text("finished_at is not null")),
    Index("runs_by_start", "started_at", "id"),
    Index("runs_by_task_and_start", "task_name", "started_at", "id"),
    Index("runs_by_node_and_start", "node_name", "started_at", "id"),
    Index("runs_by_status_and_start", "status", "started_at", "id"),
    Index(
        "runs_by_task_that_did_not_succeed",
        "task_name",
        "status",
        "started_at",
        "id",
        postgresql_where=text("status <> 'succeeded'"),
    ),
    Index(
        "runs_by_node_that_did_not_succeed",
        "node_name",
        "status",
        "started_at",
        "id",
        postgresql_where=text("status <> 'succeeded'"),
    ),
    comment="Executions of tasks; status running is now, all others are history.",
)

events = Table(
    "events",
    metadata,
    Column("id", BigInteger, Identity(always=True)),
    _moment("at"),
    Column("channel", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("task", Text),
    Column("run_id", BigInteger),
    Column("node", Text),
    Column("detail", Text),
    PrimaryKeyConstraint("id", name="events_pkey"),
    CheckConstraint("channel in ('task_events', 'node_events')", name="event_channel_known"),
    CheckConstraint("length(detail) <= 1000", name="event_detail_short"),
    Index("events_of_nodes", "id", postgresql_where=text("channel = 'node_events'")),
    comment="What happened to tasks and nodes, in commit order.",
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text(collation="C"), nullable=False),
    Column("name", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("user_id", BigInteger),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    _moment("expires_at", nullable=True),
    _moment("revoked_at", nullable=True),
    _moment("last_used_at", nullable=True),
    PrimaryKeyConstraint("id", name="tokens_pkey"),
    CheckConstraint("id ~ '^[0-9a-f]{12}$'", name="token_id_form"),
    CheckConstraint("length(name) <= 100", name="token_name_short"),
    CheckConstraint("octet_length(digest) = 32", name="token_digest_is_sha256"),
    CheckConstraint(
        "cardinality(scopes) between 1 and 4 and scopes <@ array['money', 'read', 'operate', 'admin']",
        name="token_scopes_known",
    ),
    CheckConstraint(
        "user_id is null or scopes <@ array['money', 'read']", name="token_of_one_account_is_limited"
    ),
    comment="Who may ask for what; digests alone. Use create_token() and revoke_token().",
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, Identity(always=True)),
    Column("at", DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    *(
        Column(name, Text, nullable=False)
        for name in ("actor_kind", "actor", "actor_name", "action", "target", "outcome", "peer", "node")
    ),
    PrimaryKeyConstraint("id", name="audit_pkey"),
    CheckConstraint("actor_kind in ('token', 'anonymous', 'role', 'user')", name="audit_actor_kind_known"),
    CheckConstraint(
        "length(actor) <= 100 and length(actor_name) <= 100 and length(action) <= 100 "
        "and length(target) <= 100 and length(outcome) <= 100 and length(peer) <= 100 "
        "and length(node) <= 100",
        name="audit_texts_short",
    ),
    Index("audit_by_time", "at"),
    comment="Append-only: who did what, when, from where, and what came of it.",
)
