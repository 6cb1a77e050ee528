"""A storm over the cron service: six real nodes, seeded faults, and a witness that shares nothing with it.

plan       which faults, in which order (pure)          faults, harm     carries them out
network    a cable to each node that can be cut          stage            nodes as processes
postgres   a PostgreSQL to break                         jobs             what runs, and the witness
evidence   what was seen, as plain records               gathering        reads it together
checker    S1 to S6 on that evidence (pure)              figures          how fast (pure)
verdict    targets and whether they were reached (pure)  report           for people, as JSON, for docs/chaos.md
"""
