"""All checks, one after the other, and their findings on the screen."""

import json
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from server.cli import options
from server.cli.doctor.access import check_access
from server.cli.doctor.database import check_database
from server.cli.doctor.finding import Finding, Level, fault, ok, worst
from server.cli.doctor.machine import check_machine
from server.cli.doctor.service import check_service
from server.errors import ConfigurationError, RingfenceError
from server.settings import Settings

CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    check_database,
    check_access,
    check_service,
    check_machine,
)
_MARKS = {Level.OK: ("ok", "green"), Level.WARNING: ("warning", "yellow"), Level.FAULT: ("FAULT", "bold red")}


def examine(config: str | None) -> list[Finding]:
    """What all checks find. Settings that can't be used are findings themselves, and then the only ones."""
    try:
        settings = options.settings_for(config)
    except ConfigurationError as error:
        lines = str(error).splitlines()
        return [
            fault("settings", line, "correct it; docs/configuration.md says what each key takes")
            for line in lines
        ]
    findings = [ok("settings", f"{settings.source} can be used")]
    for check in CHECKS:
        try:
            findings += check(settings)
        except RingfenceError as error:
            findings.append(fault(check.__name__.removeprefix("check_"), str(error), "see above"))
    return findings


def has_fault(findings: list[Finding]) -> bool:
    """Whether something has to be mended before all is promised."""
    return worst(findings) is Level.FAULT


def show(findings: list[Finding], *, as_json: bool) -> None:
    """A line for each finding, and under it what to mend."""
    if as_json:
        print(
            json.dumps(
                {"worst": worst(findings), "findings": [one.as_object() for one in findings]}, indent=2
            )
        )
        return
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(_table(findings))
    else:
        print("\n".join(_lines(findings)))
    faults, warnings = (sum(one.level is level for one in findings) for level in (Level.FAULT, Level.WARNING))
    print(f"\n{len(findings)} checked: {_count(faults, 'fault')}, {_count(warnings, 'warning')}.")


def _table(findings: list[Finding]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    for one in findings:
        word, style = _MARKS[one.level]
        text = Text(one.text)
        if one.mend:
            text.append(f"\n-> {one.mend}", "cyan")
        table.add_row(Text(word, style), one.subject, text)
    return table


def _lines(findings: list[Finding]) -> list[str]:
    """Unwrapped, so that they can be searched."""
    lines = []
    for one in findings:
        lines.append(f"{_MARKS[one.level][0]:<8} {one.subject:<16} {one.text}")
        lines += [f"{'':<8} -> {one.mend}"] if one.mend else []
    return lines


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"
