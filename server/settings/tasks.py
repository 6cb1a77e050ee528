"""The settings of one background task, with what each means."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from server.settings.kinds import MemoryBytes, OneSecondOrMore, Seconds, SecondsOrNone, Section


class TaskSettings(Section):
    """One background task: its function, its schedule and its limits."""

    # Left out of a definition at their defaults, so that nodes of the release that did
    # not know them go on with such tasks.
    ADDED: ClassVar = frozenset(
        {
            "isolation",
            "memory_bytes_max",
            "missed_grace_seconds",
            "missed_ticks_max",
            "retry_after_seconds",
        }
    )

    function: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")] = Field(
        description="`module:function`; `async def f(context, **params)` or a plain function "
        "([jobs.md](jobs.md)).",
    )
    every: Seconds | None = Field(
        None,
        description="The interval, counted from the scheduled time and not from the end. Exactly one of "
        "`every` and `cron` is needed.",
    )
    cron: str | None = Field(None, description="A cron expression of five fields, in `timezone`.")
    timezone: str = Field(
        "UTC",
        description="An IANA name for `cron`. Where daylight saving time begins or ends, a daily task still "
        "runs once that day.",
    )
    first: Literal["now", "scheduled"] = Field(
        "now", description="`now`: a new task is due at once. `scheduled`: at its first time."
    )
    jitter_seconds: SecondsOrNone = Field(
        0.0,
        alias="jitter",
        description="Moves the times of this task by up to this long, always the same for one name, so that "
        "many tasks don't start in one second.",
    )
    missed: Literal["once", "skip", "all"] = Field(
        "once",
        description="What happens after an outage: `once` one run for all times that passed, `skip` none, "
        "`all` one for each.",
    )
    missed_ticks_max: Annotated[int, Field(ge=1, le=1000)] = Field(
        100, alias="missed_max", description="With `missed: all`, the most that run, the newest."
    )
    missed_grace_seconds: OneSecondOrMore = Field(
        60.0,
        alias="missed_grace",
        description="With `missed: skip`, how late a run may still start. Of a shorter interval, that "
        "interval.",
    )
    timeout_seconds: Seconds = Field(
        3600.0, alias="timeout", description="The run is ended after this long, as `timed_out`."
    )
    retries: Annotated[int, Field(ge=0, le=100)] = Field(
        0, description="How often a failed or timed-out run is tried again."
    )
    retry_after_seconds: Seconds = Field(
        5.0,
        alias="retry_after",
        description="The pause before the first retry. It doubles with each further one, up to 10m, and up "
        "to half of it is taken off by chance, so that what failed together does not come back together.",
    )
    isolation: Literal["process", "loop"] = Field(
        "process",
        description="`process`: the run has a process of its own, which can be killed. `loop`: a light "
        "coroutine runs in the node's event loop, without threads; one that does not stop within a second "
        "when it is asked to, or blocks the loop past its timeout, ends its node.",
    )
    memory_bytes_max: MemoryBytes = Field(
        None,
        alias="memory_max",
        description="What each process of a run may allocate; beyond it the job gets a MemoryError. `null`: "
        "what the machine has.",
    )
    paused: bool = Field(
        False,
        description="Whether a new task waits to be resumed. Later an operator's pause and resume count, and "
        "this key does not.",
    )
    params: dict[str, Any] = Field(default_factory=dict, description="The function's own arguments.")

    @model_validator(mode="after")
    def _one_schedule(self) -> "TaskSettings":
        if (self.every is None) == (self.cron is None):
            raise ValueError("exactly one of every: and cron: says when the task runs")
        return self

    @model_validator(mode="after")
    def _memory_of_a_process(self) -> "TaskSettings":
        if self.isolation == "loop" and self.memory_bytes_max is not None:
            raise ValueError(
                "memory_max is for isolation: process; a job in the loop shares its node's memory"
            )
        return self

    def definition(self) -> dict[str, Any]:
        """The JSON form that the database keeps, and that this class reads again."""
        left_out = {key for key in self.ADDED if getattr(self, key) == type(self).model_fields[key].default}
        return self.model_dump(mode="json", exclude=left_out)
