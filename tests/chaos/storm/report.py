"""The report of a storm: for people on a terminal, as JSON, and as the figures of docs/chaos.md.

The JSON is the whole of it; the other two are made from it, so that a page can be
filled long after the storm. Pure, but for reading and writing the named files.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from storm.checker import Judgement, judge
from storm.evidence import Evidence
from storm.verdict import summary, targets

BEGIN, END = "<!-- figures: storm -->", "<!-- end of figures -->"
FINDINGS_MAX = 10
MARKS = {True: "reached", False: "MISSED", None: "not measured"}


def compile_report(acts: Sequence[Evidence], about: dict[str, Any]) -> dict[str, Any]:
    """Everything that is to be told, as JSON. about: seed, day, machine, and the runs wanted."""
    judgements: list[Judgement] = [judge(act) for act in acts]
    wanted = targets(acts, judgements, about["runs_wanted"])
    return {
        "about": about,
        "acts": [
            {
                "name": act.act,
                "nodes": act.nodes,
                "ttl_seconds": act.ttl_seconds,
                "margin_seconds": act.margin_seconds,
                "proof_of_death": act.proof_of_death,
                "partitions": act.partitions,
                "seconds": round(act.closed_at - act.opened_at, 1),
                "runs": len({line.run for line in act.lines}),
            }
            for act in acts
        ],
        "counts": summary(acts, judgements),
        "invariants": {
            name: [found for judgement in judgements for found in judgement.findings[name]]
            for name in judgements[0].findings
        },
        "targets": [asdict(target) for target in wanted],
        "is_clean": all(judgement.is_clean for judgement in judgements),
        "all_reached": not any(target.reached is False for target in wanted),
    }


def as_text(report: dict[str, Any]) -> str:
    """For a terminal."""
    lines = [f"Storm with seed {report['about']['seed']}"]
    lines += [f"  {_act(act)}" for act in report["acts"]]
    lines.append("")
    for name, value in report["counts"].items():
        if isinstance(value, dict):
            lines.append(f"  {name}:")
            lines += [f"      {count:>6}  {key}" for key, count in value.items()]
        else:
            lines.append(f"  {name}: {value}")
    lines.append("")
    for name, found in report["invariants"].items():
        lines.append(f"  {'BROKEN' if found else 'held  '}  {name}")
        lines += [f"            {one}" for one in found[:FINDINGS_MAX]]
        if len(found) > FINDINGS_MAX:
            lines.append(f"            and {len(found) - FINDINGS_MAX} more")
    lines.append("")
    for target in report["targets"]:
        lines.append(f"  {MARKS[target['reached']]:<12}  {target['what']}")
        lines.append(f"                {_measured(target)} (wanted: {target['wanted']})")
        if target["left_out"]:
            lines.append(f"                {target['left_out']}")
    return "\n".join(lines)


def as_markdown(reports: Sequence[dict[str, Any]]) -> str:
    """For docs/chaos.md: one column a storm."""
    seeds = [f"seed {report['about']['seed']}" for report in reports]
    lines = []
    for report in reports:
        about = report["about"]
        lines.append(f"Seed {about['seed']}, {about['day']}, {about['machine']}:")
        lines += ["", *(f"- {_act(act)}" for act in report["acts"]), ""]
    lines += _table(["to reach", "wanted", *seeds], _target_rows(reports))
    lines += ["", *_table(["invariant", *seeds], _invariant_rows(reports))]
    lines += ["", *_table(["counted", *seeds], _count_rows(reports))]
    return "\n".join(lines)


def _target_rows(reports: Sequence[dict[str, Any]]) -> list[list[str]]:
    rows = []
    for targets_of_one in zip(*(report["targets"] for report in reports), strict=True):
        cells = [
            f"{_measured(one)}: {MARKS[one['reached']]}{one['left_out'] and '; ' + one['left_out']}"
            for one in targets_of_one
        ]
        rows.append([targets_of_one[0]["what"], targets_of_one[0]["wanted"], *cells])
    return rows


def _invariant_rows(reports: Sequence[dict[str, Any]]) -> list[list[str]]:
    return [
        [
            name,
            *(
                f"broken {len(one['invariants'][name])} times" if one["invariants"][name] else "held"
                for one in reports
            ),
        ]
        for name in reports[0]["invariants"]
    ]


def _count_rows(reports: Sequence[dict[str, Any]]) -> list[list[str]]:
    flat = [_flat(report["counts"]) for report in reports]
    names = list(dict.fromkeys(name for counts in flat for name in counts))
    return [[name, *(str(counts.get(name, 0)) for counts in flat)] for name in names]


def _flat(counts: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in counts.items():
        found |= (
            {f"{name}: {key}": one for key, one in value.items()}
            if isinstance(value, dict)
            else {name: value}
        )
    return found


def _act(act: dict[str, Any]) -> str:
    proof = "proof of death on" if act["proof_of_death"] else "proof of death off"
    return (
        f"{act['name']}: {act['nodes']} nodes, ttl {act['ttl_seconds']:g} s, margin {act['margin_seconds']:g} s, "
        f"{proof}, {act['runs']} runs in {act['seconds']:.0f} s; partitions: {act['partitions']}"
    )


def _measured(target: dict[str, Any]) -> str:
    return f"{target['measured']} ({target['samples']} samples)" if target["samples"] else target["measured"]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def write_figures(document: Path, files: Sequence[Path]) -> None:
    """Puts the figures of saved reports between the markers of a document."""
    reports = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    text = document.read_text(encoding="utf-8")
    head, begun, rest = text.partition(BEGIN)
    _, ended, tail = rest.partition(END)
    assert begun and ended, f"{document} holds {BEGIN} and {END}"
    document.write_text(f"{head}{begun}\n\n{as_markdown(reports)}\n\n{ended}{tail}", encoding="utf-8")
