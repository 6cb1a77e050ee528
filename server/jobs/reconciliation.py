"""Compares every balance with the sum of its entries (invariant M2).

A page of accounts is read with each one's newest entry, in one snapshot. Entries
never change, and an account's ids grow in the order of its movements, so the sum up
to that newest entry is what the balance was in the snapshot: it may be added up in
any number of short statements, while money moves on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from server.jobs.pace import MINIMUM_SECONDS, AsyncPace, Passes
from server.jobs.session import Session
from server.postgres.statements import load

if TYPE_CHECKING:
    from server.cron.context import AsyncContext

ACCOUNTS_PER_PAGE_MAX = 500
ENTRIES_PER_ACCOUNT_MAX = 2_000
DIFFERENCES_MAX = 100

SQL = load("server.jobs", "ledger.sql")


@dataclass
class Account:
    """One account as a snapshot showed it, and what its entries come to so far; minor units."""

    user_id: int
    balance: int
    newest_id: int
    summed: int = 0
    summed_to_id: int = 0


@dataclass
class Findings:
    """What was compared, and the first accounts that differed."""

    compared: int = 0
    entries: int = 0
    differing: int = 0
    differences: dict[int, dict[str, int]] = field(default_factory=dict)

    def judge(self, accounts: Iterable[Account]) -> None:
        """Compares accounts whose entries are summed."""
        for account in accounts:
            self.compared += 1
            if account.summed == account.balance:
                continue
            self.differing += 1
            if len(self.differences) < DIFFERENCES_MAX and account.user_id not in self.differences:
                found = {"userId": account.user_id, "balance": account.balance, "entriesSum": account.summed}
                self.differences[account.user_id] = found
                print(f"account {account.user_id}: balance {account.balance}, entries {account.summed}")


async def reconcile_ledger(context: AsyncContext, minimum_seconds: float = MINIMUM_SECONDS) -> dict[str, Any]:
    """The whole ledger once, or a small one many times, page by page.

    Accounts opened after the beginning wait for the next run. A difference is a
    result and no failure: whoever reads it needs the names of the accounts.
    """
    pace = AsyncPace(context, minimum_seconds)
    findings = Findings()
    async with Session(context) as session:
        known = await session.row(SQL["count_accounts"])
        plan = Passes.over(known.accounts, ACCOUNTS_PER_PAGE_MAX)
        total = known.accounts * plan.count
        for passed in range(plan.count):
            after_id = 0
            while accounts := await _page(session, after_id, known.last_id, plan.page_items):
                findings.entries += await _sum_entries(session, pace, accounts)
                findings.judge(accounts)
                after_id = accounts[-1].user_id
                message = f"pass {passed + 1} of {plan.count}, {findings.differing} differ"
                await pace.reached(findings.compared, total, message)
    await pace.reached(total, total, f"{findings.differing} differ")
    return {
        "accounts": known.accounts,
        "passes": plan.count,
        "compared": findings.compared,
        "entriesSummed": findings.entries,
        "differing": findings.differing,
        "differences": list(findings.differences.values()),
    }


async def _page(session: Session, after_id: int, last_id: int, accounts_max: int) -> list[Account]:
    params = {"after_id": after_id, "last_id": last_id, "accounts_max": accounts_max}
    rows = await session.rows(SQL["balances_in_range"], params)
    return [Account(row.user_id, row.balance, row.newest_id) for row in rows]


async def _sum_entries(session: Session, pace: AsyncPace, accounts: list[Account]) -> int:
    """Adds up the entries of all accounts, a limited number of each in one statement."""
    entries = 0
    unfinished = {account.user_id: account for account in accounts}
    while unfinished:
        params = {
            "user_ids": list(unfinished),
            "after_ids": [account.summed_to_id for account in unfinished.values()],
            "newest_ids": [account.newest_id for account in unfinished.values()],
            "entries_max": ENTRIES_PER_ACCOUNT_MAX,
        }
        for row in await session.rows(SQL["sums_in_range"], params):
            entries += row.entries
            account = unfinished[row.user_id]
            account.summed += int(row.amount)
            if row.entries < ENTRIES_PER_ACCOUNT_MAX:
                del unfinished[row.user_id]
            else:
                account.summed_to_id = row.newest_id
        if unfinished:
            await pace.breathe()
    return entries
