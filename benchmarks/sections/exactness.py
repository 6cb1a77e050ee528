"""Section `exact`: many bursts on Ringfence alone, and whether each came out exactly."""

from benchmarks.report.figures import Spread, count, span
from benchmarks.report.section import Section, Table, Target
from benchmarks.sections.stage import Stage, note


def measure(stage: Stage) -> Section:
    """The section. It ends early at nothing: a wrong burst is counted, told, and the next one follows."""
    sizes, wrong, rates = stage.sizes, list[str](), list[float]()
    exact = 0
    ringfence = stage.ringfence()
    with ringfence.up() as address:
        for number in range(1, sizes.bursts + 1):
            if number % 10 == 1:
                note(f"exactness, burst {number} of {sizes.bursts}")
            checked = stage.burst(ringfence, address, stage.shape(sizes.connections))
            exact += not checked.wrong
            wrong += checked.wrong
            rates.append(checked.burst.rate)
    differing = stage.books.differing()
    if differing:
        wrong.append(f"{differing:,} accounts differ from the sum of their entries")
    spread = Spread.of(rates)
    half = sizes.requests // 2
    table = Table(
        f"Bursts of {sizes.requests:,} withdrawals, {sizes.connections:,} connections, one after another",
        ("bursts", f"exactly {half:,} and {half:,}", "answers a second, median", "lowest–highest"),
        [(str(sizes.bursts), str(exact), count(spread.median), span(spread))],
    )
    target = Target("exact bursts, of all", 1.0, exact / sizes.bursts)
    return Section("exact", [table], [target], wrong=wrong, data={"exact": exact, "rates": rates})
