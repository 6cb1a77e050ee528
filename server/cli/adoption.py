"""What supervisord lacks: to change the number of processes of a group that runs.

Its own update stops a changed group as a whole and starts it anew, which would close
the public port. This is loaded into supervisord as a plugin (see configuration.py), and
takes the difference over into the living group: the group, its socket and every process
that stays are left alone.

Called in supervisord's only thread, between two rounds of its loop, so nothing else
looks at the group meanwhile.
"""

from typing import Any

from supervisor.states import STOPPED_STATES
from supervisor.xmlrpc import Faults, RPCError


class Adoption:
    """The XML-RPC methods below `ringfence.`."""

    def __init__(self, supervisord: Any) -> None:
        self._supervisord = supervisord

    def adopt(self, group_name: str) -> list[str]:
        """Makes a group what the configuration says that was read last.

        New processes are started by supervisord's next round, as at its own start. Those
        that the configuration names no more are dropped if they have stopped; the names
        of the others are the answer, and they stay. Those that stay keep running, and
        have their new configuration from their next start on.
        """
        group = self._supervisord.process_groups.get(group_name)
        wanted = next(
            (one for one in self._supervisord.options.process_group_configs if one.name == group_name), None
        )
        if group is None or wanted is None:
            raise RPCError(Faults.BAD_NAME, group_name)
        names = {config.name for config in wanted.process_configs}
        surplus = {name: process for name, process in group.processes.items() if name not in names}
        kept = sorted(name for name, process in surplus.items() if process.get_state() not in STOPPED_STATES)
        for name in surplus.keys() - set(kept):
            del group.processes[name]
        for config in wanted.process_configs:
            if config.name in group.processes:
                group.processes[config.name].config = config
            else:
                config.create_autochildlogs()
                group.processes[config.name] = config.make_process(group)
        # What `supervisorctl update` compares with, so that it sees no difference and stops nothing.
        group.config = wanted
        return kept


def make_interface(supervisord: Any, **_config: str) -> Adoption:
    """What supervisord calls at its start."""
    return Adoption(supervisord)
