"""A process of light nodes: told by lines what to do, it answers each with a line of JSON.

    begin     they join, some at a time; answered when all have
    count     what follows is counted alone
    report    what was seen since then
    known     of each version of the membership, when the last of them knew it, and how many did
    end       they leave; the process ends

Started by control_plane.py with one argument, a JSON object: url, first, nodes, tasks,
period_seconds, eager.
"""

import asyncio
import json
import sys
from dataclasses import asdict
from typing import Any

from benchmarks.apparatus.light_node import LightNode, Seen, Setting

JOINS_AT_ONCE = 20


async def main(told: dict[str, Any]) -> None:
    """Obeys until it is told to end."""
    tasks = tuple(f"task-{number:04}" for number in range(told["tasks"]))
    setting = Setting(told["url"], tasks, told["period_seconds"], told["eager"])
    seen = Seen()
    nodes = [
        LightNode(f"light-{number:04}", setting, seen)
        for number in range(told["first"], told["first"] + told["nodes"])
    ]
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while order := (await lines.readline()).decode().strip():
        if order == "begin":
            for first in range(0, len(nodes), JOINS_AT_ONCE):
                await asyncio.gather(*(node.join() for node in nodes[first : first + JOINS_AT_ONCE]))
        elif order == "count":
            seen.forget()
        elif order == "end":
            break
        answers = {"report": asdict(seen), "known": seen.known_at}
        print(json.dumps(answers.get(order, {"done": order})), flush=True)
    for end in await asyncio.gather(*(node.leave() for node in nodes), return_exceptions=True):
        if isinstance(end, Exception):
            raise end


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
