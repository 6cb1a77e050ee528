"""`ringfence burst` against a service with one account, right or wrong as the test wants it."""

import asyncio
import json
import socket
from collections.abc import Callable

import pytest
from tiny_service import TinyService, answer, closes_without_an_answer, is_overloaded, read_request

from server.cli import main


class Bank:
    """A service with one account, right or wrong in ways that a test chooses."""

    def __init__(self, forgets_entries: int = 0, page_entries: int = 1000) -> None:
        self.balance = 0
        self.entries: list[int] = []
        self.forgets_entries = forgets_entries
        self.page_entries = page_entries

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target, body = await read_request(reader)
        writer.write(answer(*self._answer(target, json.loads(body or b"null"))))

    def _answer(self, target: str, body: dict[str, int] | None) -> tuple[int, object]:
        if target == "POST /users" and body:
            self.balance = body["balance"]
            self.entries = [self.balance]
            return 201, {"id": 7, "balance": self.balance}
        if target == "POST /withdraw" and body:
            assert body["userId"] == 7
            if body["amount"] > self.balance:
                return 409, {"code": "insufficient_funds"}
            self.balance -= body["amount"]
            self.entries.append(-body["amount"])
            return 200, {"balance": self.balance}
        if target == "GET /users/7":
            return 200, {"id": 7, "balance": self.balance}
        assert target.startswith("GET /users/7/entries?limit=1000")
        start = int(target.partition("&cursor=")[2] or 0)
        kept = self.entries[: len(self.entries) - self.forgets_entries]
        page = [{"id": start + n, "amount": a} for n, a in enumerate(kept[start : start + self.page_entries])]
        end = start + len(page)
        return 200, {"entries": page, "next": str(end) if end < len(kept) else None}


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[object, str, str]]:
    """`ringfence burst …` in this process: exit code, standard output, standard error."""
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: str) -> tuple[object, str, str]:
        monkeypatch.setattr("sys.argv", ["ringfence", "burst", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        written = capsys.readouterr()
        return end.value.code or 0, written.out, written.err

    return run


def test_an_exact_burst_exits_with_zero_and_prints_every_number(
    command: Callable[..., tuple[object, str, str]],
) -> None:
    with TinyService(Bank(page_entries=100).serve) as service:
        code, output, notes = command("--url", service.url, "--requests", "500", "--balance", "501")
    assert code == 0, output + notes
    rows = [line.replace("│", " ").split() for line in output.splitlines()]
    assert ["succeeded", "250", "250"] in rows
    assert ["refused", "for", "insufficient", "funds", "250", "250"] in rows
    assert ["anything", "else", "0", "0"] in rows
    assert ["final", "balance", "1", "1"] in rows
    assert ["sum", "of", "entries", "1", "1"] in rows
    assert "answers: 500 of 500" in notes


def test_a_ledger_that_disagrees_exits_with_one_and_says_where(
    command: Callable[..., tuple[object, str, str]],
) -> None:
    with TinyService(Bank(forgets_entries=1).serve) as service:
        code, output, _ = command("--url", service.url, "--requests", "20", "--balance", "20", "--json")
    verdict = json.loads(output)
    assert code == 1
    assert (verdict["succeeded"], verdict["refused"], verdict["balance"]) == (10, 10, 0)
    assert verdict["differences"] == ["sum of entries: 2 instead of 0"]


def test_lost_answers_exit_with_one_and_name_what_was_lost(
    command: Callable[..., tuple[object, str, str]],
) -> None:
    bank = Bank()
    with TinyService(bank.serve, [bank.serve, closes_without_an_answer]) as service:
        code, output, _ = command("--url", service.url, "--requests", "20", "--balance", "20")
    assert code == 1
    assert "network: closed without an answer: 1 instead of none" in output


def test_without_a_service_the_command_says_how_to_start_one(
    command: Callable[..., tuple[object, str, str]],
) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        code, output, notes = command("--url", f"http://127.0.0.1:{holder.getsockname()[1]}")
    assert code == 1
    assert output == ""
    assert "Nothing listens at http://127.0.0.1" in notes
    assert "make run" in notes


def test_a_service_that_refuses_the_account_is_quoted(
    command: Callable[..., tuple[object, str, str]],
) -> None:
    with TinyService(is_overloaded) as service:
        code, _, notes = command("--url", service.url)
    assert code == 1
    assert "/users answered 503" in notes
