"""Every setting, with its type, its default and what it means; docs/configuration.md is made of this.

config.yaml holds the same keys and defaults, which a test compares.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from server.connection_strings import Url
from server.settings.http import Http
from server.settings.kinds import Seconds, SecondsOrNone, Section, TaskName
from server.settings.tasks import TaskSettings


class Database(Section):
    """Which PostgreSQL to use: none named means the embedded one."""

    url: Url | None = Field(
        None,
        description="The PostgreSQL (15 or later) to use, as `postgresql://user:password@host:5432/name`. "
        "`null`: an embedded one below `var`, started and stopped with the service. A primary and its "
        "replicas: `postgresql://user:password@host1,host2/name?target_session_attrs=read-write`; "
        "connections then end at whichever takes writes ([high-availability.md](high-availability.md)).",
    )
    owner_url: Url | None = Field(
        None,
        description="The role that owns the tables, for migrations alone; `null`: the same as `url`. With "
        "two roles the service itself can't change a table behind the functions' back.",
    )
    listen_url: Url | None = Field(
        None,
        description="Where nodes listen for news, as the role of `url`; `null`: the same as `url`. Behind a "
        "pooler in transaction mode, such as PgBouncer, name PostgreSQL itself here: notifications don't "
        "come through one, and nodes would ask the database for news once a second instead "
        "([pgbouncer.md](pgbouncer.md)).",
    )
    one_role: bool = Field(
        False,
        description="`true`: no second role can be made on that database, so the service owns its tables and "
        "nothing but the constraints protects them from it. The log says so at each start.",
    )
    connections: Annotated[int, Field(ge=1, le=100)] = Field(
        1,
        description="Connections of each node for the scheduler and for what is read over HTTP. Besides them "
        "a node has three: one for money, one for its heartbeat, one that listens.",
    )
    migrate: bool = Field(
        True,
        description="Whether `ringfence up` brings the schema up to date; with `false` a schema that is too "
        "old ends the start with a message.",
    )

    @model_validator(mode="after")
    def _no_pooler_before_the_embedded(self) -> "Database":
        if self.listen_url is not None and self.url is None:
            raise ValueError("listen_url is for an external database.url; the embedded one has no pooler")
        return self

    @model_validator(mode="after")
    def _one_role_or_two(self) -> "Database":
        if self.one_role and (self.url is None or self.owner_url is not None):
            raise ValueError(
                "one_role is for an external database.url without an owner_url; the embedded database has two"
            )
        return self


class Cluster(Section):
    """The nodes, their leases and how they stop."""

    instances: Annotated[int, Field(ge=1, le=500)] = Field(
        6, description="Nodes that `ringfence up` starts on this host."
    )
    heartbeat_seconds: Seconds = Field(
        1.0,
        alias="heartbeat",
        description="Time between two heartbeats of a node. Longer: less work for the database, and a lost "
        "notification or a cancel is noticed later.",
    )
    ttl_seconds: Seconds = Field(
        15.0,
        alias="ttl",
        description="How long a node's lease is valid without a heartbeat: at least two heartbeats, the "
        "margin and a second. Shorter: the runs of a lost host start elsewhere sooner. Longer: a longer "
        "absence of the database costs no run.",
    )
    margin_seconds: Seconds = Field(
        2.0,
        alias="margin",
        description="How long before the end of the lease everything of a node is killed. It must exceed "
        "what clocks of two hosts drift apart within one ttl.",
    )
    settle_seconds: Seconds = Field(
        2.0,
        alias="settle",
        description="How long the membership must have been quiet before a new node starts runs, so that "
        "nodes that start together share from the first run on. Under supervisord it also waits until all "
        "`instances` are there, unless others have been there for long.",
    )
    settle_seconds_max: Seconds = Field(
        10.0, alias="settle_max", description="The longest that a new node waits for that quiet."
    )
    drain_seconds: SecondsOrNone = Field(
        20.0,
        description="How long running runs may go on after SIGTERM; the rest is interrupted and starts "
        "elsewhere. Longer than the longest run means that a deploy interrupts nothing.",
    )
    retire_seconds: Seconds = Field(
        600.0,
        alias="retire_after",
        description="How long no living node may have named a task before it is retired: it starts no more, "
        "its history stays, and it is back when a configuration names it again. Longer than a node is away "
        "in a deploy.",
    )
    proof_of_death: bool = Field(
        True,
        description="Whether a node on the same host may prove by a file lock that another is dead, and take "
        "its runs within 2 s and not only after the ttl. Set `false` where `var` lies on a file system whose "
        "locks can't be trusted, such as NFS.",
    )

    @model_validator(mode="after")
    def _lease_outlasts_its_guards(self) -> "Cluster":
        least = 2 * self.heartbeat_seconds + self.margin_seconds + 1
        if self.ttl_seconds < least:
            raise ValueError(
                f"ttl must be at least two heartbeats, the margin and a second: {least:g} s, "
                f"got {self.ttl_seconds:g} s"
            )
        return self


class Money(Section):
    """The money path."""

    deadline_seconds: Seconds = Field(
        10.0,
        alias="deadline",
        description="The longest that a movement may take; then the answer is 503, `outcome_unknown`.",
    )


class Security(Section):
    """Who may ask."""

    tokens: Literal["auto", "required"] = Field(
        "auto",
        description="`auto`: requests need a token ([security.md](security.md)) where this host listens on "
        "any other address than a loopback one, or names `http.trusted_proxies`. `required`: they always "
        "do; say so where a proxy on this host hands on what comes from elsewhere. Where they do, nothing "
        "starts before there is a token: `ringfence token create --scope admin`.",
    )


class Logging(Section):
    """What the nodes write to their logs."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least that is written."
    )
    format: Literal["console", "json"] = Field(
        "console",
        description="`console`: lines for people. `json`: one object a line, for a log collector.",
    )


class Telemetry(Section):
    """Traces for OpenTelemetry; figures for Prometheus need no setting."""

    otlp_endpoint: Annotated[str, Field(pattern=r"^https?://[^\s/]+(/\S*)?$")] | None = Field(
        None,
        description="The collector that gets traces over OTLP/HTTP, such as `http://127.0.0.1:4318`; needs "
        "`pip install 'ringfence[otel]'`. `null`: what the variable `OTEL_EXPORTER_OTLP_ENDPOINT` names, or "
        "else no traces ([operations.md](operations.md)).",
    )


class Settings(Section):
    """The installation as a whole."""

    home: Path
    source: str
    revision: Annotated[int, Field(ge=0)] = Field(
        1,
        description="Counts the versions of the tasks. While nodes run different files, the one with the "
        "higher revision defines a task: raise it with each change of a task, so that an old node that "
        "starts late does not bring the old definition back.",
    )
    var: Path = Field(
        Path("var"),
        description="The folder for everything that is written: the embedded database, logs, sockets, "
        "snapshots. Another folder is another, empty installation; nothing is moved.",
    )
    http: Http = Http()
    database: Database = Database()
    cluster: Cluster = Cluster()
    money: Money = Money()
    security: Security = Security()
    logging: Logging = Logging()
    telemetry: Telemetry = Telemetry()
    tasks: dict[TaskName, TaskSettings] = Field(default_factory=dict)

    @property
    def var_folder(self) -> Path:
        """Where everything is kept that this installation writes; absolute."""
        return (self.home / self.var).resolve()

    def node_port(self, number: int) -> int:
        """The port of node `number`, counted from 1."""
        return self.http.port + number
