"""Why a task is where it is: the quota, the order of the hash, and who knows the task.

Everything is computed from rows that were read just now by the very functions that
place tasks, so any node explains what all of them do.
"""

from msgspec import Struct

from server.cluster.ring import preference, ranks
from server.cluster.roster import able_nodes, owners, read_roster
from server.postgres.connections import Database
from server.postgres.sessions import Row


class Candidate(Struct, frozen=True, rename="camel"):
    """A node, as a place for one task.

    knows: its configuration names the task. owns: how many tasks it owns. rank: how high
    it ranks this task, 1 the highest; null where its list ends before, or where it can't
    own any. turn: when it may start the task if the owner does not, 1 the first.
    """

    node: str
    state: str
    knows: bool
    owns: int
    rank: int | None
    turn: int | None


class Placement(Struct, frozen=True, rename="camel"):
    """Why a task has the owner that it has.

    tasks, nodes: how many are shared out, and among how many. least, most: how many each
    of these nodes owns. reason: all of it in a sentence.
    """

    task: str
    owner: str | None
    tasks: int
    nodes: int
    least: int
    most: int
    candidates: list[Candidate]
    reason: str


async def read_placement(database: Database, task: str) -> Placement:
    """The explanation for a task that exists. Raises DatabaseUnavailableError."""
    names, rows = await read_roster(database)
    return explain(task, names, rows)


def explain(task: str, names: list[str], rows: list[Row]) -> Placement:
    """Pure. names: of all tasks in service. rows: of the nodes, as for owners()."""
    able = able_nodes(rows)
    placed = owners(names, rows)
    loads = {row.name: 0 for row in rows}
    for node in placed.values():
        loads[node] += 1
    ranked = ranks(task, names, able)
    order = preference(task, [node for node, known in able.items() if task in known])
    candidates = [
        Candidate(
            node=row.name,
            state=row.state,
            knows=task in row.tasks,
            owns=loads[row.name],
            rank=ranked.get(row.name),
            turn=order.index(row.name) + 1 if row.name in order else None,
        )
        for row in rows
    ]
    shares = [loads[node] for node in able] or [0]
    owner = placed.get(task)
    return Placement(
        task=task,
        owner=owner,
        tasks=len(placed),
        nodes=len(able),
        least=min(shares),
        most=max(shares),
        candidates=sorted(candidates, key=lambda one: (one.rank is None, one.rank or 0, one.node)),
        reason=_reason(owner, ranked, candidates, is_in_service=task in names),
    )


def _reason(
    owner: str | None, ranked: dict[str, int], candidates: list[Candidate], *, is_in_service: bool
) -> str:
    if not is_in_service:
        return "It is retired: no configuration names it, so nobody owns it."
    if owner is None:
        knowing = [one.node for one in candidates if one.knows]
        if not knowing:
            return "No node that is known here has it in its configuration."
        return f"No living node knows it; it waits for one of {', '.join(knowing)}."
    others = [one for one in candidates if one.node != owner]
    strangers = sum(not one.knows for one in others if one.state == "live")
    unaware = f" {strangers} live node{'s' * (strangers != 1)} can't run it." if strangers else ""
    rank = ranked.get(owner)
    if rank is None:
        return f"{owner} is the next node on the ring that had room; nearer ones have their share.{unaware}"
    higher = sorted(node for node, other in ranked.items() if other < rank)
    if not higher:
        return f"No node ranks it higher by hash than {owner}.{unaware}"
    rest = f" and {len(higher) - 3} more" if len(higher) > 3 else ""
    verb = "ranks" if len(higher) == 1 else "rank"
    have = "has its share" if len(higher) == 1 else "have their share"
    return (
        f"{', '.join(higher[:3])}{rest} {verb} it higher by hash, but {have} of tasks ranked higher "
        f"still; {owner} is the next.{unaware}"
    )
