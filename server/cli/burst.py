"""`ringfence burst`: many withdrawals from one fresh account at one moment, and what came of them.

The verdict follows from arithmetic alone: n withdrawals of a from balance b
succeed min(n, b // a) times, in whatever order they arrive.
"""

import json
import resource
from collections import Counter
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from server import settings
from server.cli.account import Account, Service, ServiceError
from server.cli.crowd import Crowd, Progress
from server.cli.options import CaFile, TokenFile
from server.cli.tally import Tally, expect, latencies
from server.cli.verdict import Course, Verdict
from server.errors import RingfenceError

DEADLINE_SECONDS = 60.0
CONNECT_SECONDS_MAX = 30.0
SPARE_DESCRIPTORS = 64
PORTS_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")


class BurstError(RingfenceError):
    """The burst can't be made as asked; nothing was sent."""

    code = "burst_impossible"


def burst(
    url: Annotated[str, typer.Option(help="The service.", show_default="from the settings")] = "",
    requests: Annotated[int, typer.Option(min=1, help="Withdrawals, a connection each.")] = 10_000,
    amount: Annotated[int, typer.Option(min=1, help="Minor units a withdrawal.")] = 2,
    balance: Annotated[int, typer.Option(min=0, help="Opening balance of the account.")] = 10_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Withdraw from one fresh account many times at one moment, and check the arithmetic.

    Over https each connection has made its handshake before anything is sent. The token
    needs the scopes money and read.

    Exits with 0 only if exactly as many withdrawals succeed as the balance
    allows, every other one is refused for insufficient funds, and the ledger
    agrees with the balance.
    """
    notes = Console(stderr=True, highlight=False)
    ensure_open_files(requests)
    ensure_local_ports(requests)
    service = Service(url or default_url())
    account = service.open_account(balance)
    with Stages(notes) as stages:
        course = run(account, requests, amount, stages)
    tally = audit(account, course, requests + 1, notes)
    verdict = Verdict(account.service.url, account.user_id, course, tally, expect(requests, amount, balance))
    if as_json:
        typer.echo(json.dumps(verdict.as_object(), indent=2))
    else:
        verdict.show(Console(highlight=False))
    raise typer.Exit(1 if verdict.differences else 0)


def default_url() -> str:
    """Where the settings put the service; an address for listening everywhere is asked at loopback."""
    http = settings.load().http
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(http.host, http.host)  # noqa: S104 not bound
    return f"{http.scheme}://[{host}]:{http.port}" if ":" in host else f"{http.scheme}://{host}:{http.port}"


def ensure_open_files(requests: int) -> None:
    """Raises this process's limit of open files as far as it may. Raises BurstError if that is too low."""
    needed = requests + SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise BurstError(
            f"{requests:,} connections need {needed:,} open files, and the hard limit here is {hard:,}.\n"
            f"Raise it for this shell, then run again:  sudo prlimit --pid $$ --nofile={needed}:{needed}\n"
            f"or ask for fewer:  ringfence burst --requests {max(1, hard - SPARE_DESCRIPTORS)}"
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed if hard == resource.RLIM_INFINITY else hard, hard))


def ensure_local_ports(requests: int) -> None:
    """Raises BurstError if the kernel has fewer local ports than connections are asked for."""
    try:
        lowest, highest = map(int, PORTS_FILE.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return  # no such file in some sandboxes; too few ports then show as connects that fail
    if requests > highest - lowest + 1:
        raise BurstError(
            f"{requests:,} connections need as many local ports; here are {highest - lowest + 1:,}.\n"
            'Raise it, then run again:  sudo sysctl -w net.ipv4.ip_local_port_range="1024 65535"'
        )


def run(account: Account, requests: int, amount: int, stages: "Stages") -> Course:
    """Opens, sends and collects; always ends within DEADLINE_SECONDS."""
    started = perf_counter()
    service = account.service
    with Crowd(service.family, service.address, requests, service.tls()) as crowd:
        crowd.open(started + CONNECT_SECONDS_MAX, stages.begin("connections", requests))
        connected = perf_counter()
        progress = stages.begin("answers", requests)
        first = crowd.send(account.withdrawal(amount))
        sent = perf_counter()
        last = crowd.collect(started + DEADLINE_SECONDS, progress)
        replies = list(crowd.replies())
    answered = [reply.seconds for reply in replies if reply.answer]
    return Course(
        kinds=Counter(reply.kind for reply in replies),
        answered=len(answered),
        connect_seconds=connected - started,
        send_seconds=sent - first,
        seconds=last - first,
        latencies=latencies(answered),
    )


def audit(account: Account, course: Course, entries_max: int, notes: Console) -> Tally:
    """What the account says afterwards; a service that can't say it leaves that unknown."""
    final_balance = entries_sum = None
    try:
        final_balance = account.balance()
        entries_sum = account.entries_sum(entries_max)
    except ServiceError as error:
        notes.print(str(error), style="red", markup=False, soft_wrap=True)
    return Tally(course.kinds, final_balance, entries_sum)


class Stages:
    """Progress: bars on a terminal, a line for each quarter elsewhere. Written to stderr."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Bars(
            TextColumn("{task.description:<12}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
            refresh_per_second=5,
        )

    def __enter__(self) -> "Stages":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def begin(self, name: str, total: int) -> Progress:
        """A function that takes how many are done."""
        if not self._console.is_terminal:
            return self._lines(name, total)
        bar = self._bars.add_task(name, total=total)
        return lambda done: self._bars.update(bar, completed=done)

    def _lines(self, name: str, total: int) -> Progress:
        quarter_shown = 0

        def progress(done: int) -> None:
            nonlocal quarter_shown
            if done * 4 // total > quarter_shown:
                quarter_shown = done * 4 // total
                self._console.print(f"{name}: {done:,} of {total:,}")

        return progress
