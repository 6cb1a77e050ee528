"""What is searched: the model as it is, and without each of its rules."""

from dataclasses import dataclass

DEPTH_DEFAULT = 2
"""Faults in one behaviour, of any kind, that are searched to the end everywhere."""


@dataclass(frozen=True)
class Search:
    """One run of the model checker.

    name: the switch that takes a rule out, or that of a search of the whole model.
    kinds: what may go wrong, one of the names of lease.pml or several; all if empty.
    breaks: the invariant that must be found broken; None if all must hold.
    """

    name: str
    what: str
    faults_max: int = 2
    kinds: tuple[str, ...] = ()
    breaks: str | None = None
    switches: tuple[str, ...] = ()
    shortest: bool = True

    @property
    def flags(self) -> list[str]:
        """What spin is told."""
        flags = [f"-DFAULTS_MAX={self.faults_max}", *(f"-D{switch}" for switch in self.switches)]
        if self.kinds:
            flags.append(f"-DFAULTS={'+'.join(self.kinds)}")
        # Names are kept where a counterexample is to be read; what is reached is counted elsewhere.
        return [*flags, *((f"-D{self.name}", "-DPLAIN") if self.breaks else ("-DCOUNT",))]


WHOLE = [
    Search("MODEL", "every kind of fault, two of them"),
    Search("FREEZE_STEP", "freezes and clock steps, three", 3, ("FROZEN", "CLOCK_STEPS")),
    Search("CUT_FREEZE", "freezes, cuts and lost answers, three", 3, ("FROZEN", "CUT_OFF", "UNANSWERED")),
    Search(
        "SMALL_STEP",
        "freezes, late clocks and small steps, four",
        4,
        ("FROZEN", "CLOCK_LAGS", "CLOCK_STEPS"),
        switches=("SMALL_STEPS",),
    ),
]
WITHOUT = [
    Search("NO_MARGIN", "the margin", breaks="S1"),
    Search("NO_WATCH", "the watch", breaks="S1"),
    Search("NO_ARM", "arming before start_run", breaks="S1"),
    Search("NO_KEY_SHARE", "the key-share lock", breaks="S3"),
    Search("NO_TOKEN", "the token check", breaks="S5"),
    Search("NO_GHOST", "the ghost rule", breaks="S3"),
    Search("NO_GHOST_GUARD", "the ghost rule's exception", breaks="S1"),
    Search("NO_OTHERS", "starts by others than the owner", breaks="S2"),
    Search("NO_SENT", "counting from the sending", breaks="S1"),
    Search("NO_COUNTER_STOP", "killing a frozen guardian", kinds=("GUARDIAN_FROZEN", "CUT_OFF"), breaks="S1"),
    Search("NO_CLOCK_IN_SWEEP", "the clock's check in sweep()", kinds=("KILLED", "CLOCK_STEPS"), breaks="S1"),
    Search("WATCH_OVER_GAPS", "gaps break the watch", 3, ("FROZEN", "CLOCK_STEPS"), "S1"),
    Search(
        "WATCH_FROM_FIRST",
        "the watch's spread",
        4,
        ("FROZEN", "CLOCK_LAGS", "CLOCK_STEPS"),
        "S1",
        ("SMALL_STEPS",),
        shortest=False,
    ),
]
