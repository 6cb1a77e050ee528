"""The rules of money, where they live: in PostgreSQL, against a model that shares no code with it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.postgres.faults import balance_of, constraint_of

MOST = 2**53 - 1
NOBODY = 10**12


# The model: what the ledger's rules say, in a few lines of Python.


@dataclass
class Account:
    balance: int
    changes: list[int] = field(default_factory=list)


@dataclass
class Model:
    """accounts by id; moved: request id -> (user, change, balance after, number of the entry)."""

    accounts: dict[int, Account] = field(default_factory=dict)
    moved: dict[UUID, tuple[int, int, int, int]] = field(default_factory=dict)

    def move(self, user_id: int, change: int, request_id: UUID) -> tuple[str, int | None, int | None]:
        """The outcome; with success the balance and the number of the entry, with a refusal the balance."""
        account = self.accounts.get(user_id)
        if account is None:
            return "RF404", None, None
        if request_id in self.moved:
            user, first_change, balance, number = self.moved[request_id]
            return (
                ("ok", balance, number)
                if (user, first_change) == (user_id, change)
                else ("RF422", None, None)
            )
        if account.balance + change < 0:
            return "balance_not_negative", account.balance, None
        if account.balance + change > MOST:
            return "balance_within_json_integers", account.balance, None
        account.balance += change
        account.changes.append(change)
        number = len(self.moved)
        self.moved[request_id] = (user_id, change, account.balance, number)
        return "ok", account.balance, number


class Ledger:
    """The functions as the application calls them."""

    def __init__(self, connection) -> None:
        self.connection = connection

    def one(self, statement: str, *params):
        return self.connection.execute(statement, params).fetchone()

    def open(self, balance: int) -> int:
        return self.one("select open_account(%s)", balance)[0]

    def withdraw(self, user_id, amount, request_id=None) -> tuple[int, int]:
        return self.one("select * from withdraw(%s, %s, %s)", user_id, amount, request_id or uuid4())

    def deposit(self, user_id, amount, request_id=None) -> tuple[int, int]:
        return self.one("select * from deposit(%s, %s, %s)", user_id, amount, request_id or uuid4())

    def balance(self, user_id: int) -> int:
        return self.one("select balance from users where id = %s", user_id)[0]

    def history(self, user_id: int) -> list[tuple[int, int]]:
        """(amount, balance after) of each entry, oldest first."""
        query = "select amount, balance_after from entries where user_id = %s order by id"
        return self.connection.execute(query, [user_id]).fetchall()


@pytest.fixture
def ledger(database):
    with database.connect() as connection:
        yield Ledger(connection)


amounts = st.one_of(
    st.integers(1, 12), st.sampled_from([100, MOST - 100, MOST - 1, MOST]), st.integers(1, MOST)
)
requests = st.lists(
    st.tuples(
        st.sampled_from(["withdraw", "deposit"]),
        st.integers(0, 3),  # which account; 3 is nobody's
        amounts,
        st.none() | st.integers(0, 4),  # which request id; None is a fresh one
    ),
    max_size=25,
)


def test_every_sequence_of_movements_ends_as_the_model_says(ledger):
    @settings(max_examples=150, deadline=None)
    @given(st.tuples(*[st.sampled_from([0, 1, 10, 1000, MOST - 10, MOST])] * 3), requests)
    def check(openings, sequence):
        model, users, request_ids = Model(), [], [uuid4() for _ in range(5)]
        for opening in openings:
            users.append(ledger.open(opening))
            model.accounts[users[-1]] = Account(opening, [opening])
        entry_ids: dict[int, int] = {}
        for operation, place, amount, repeated in sequence:
            user_id = users[place] if place < 3 else NOBODY
            request_id = uuid4() if repeated is None else request_ids[repeated]
            change = -amount if operation == "withdraw" else amount
            expected, balance, number = model.move(user_id, change, request_id)
            found, found_balance, entry_id = attempt(getattr(ledger, operation), user_id, amount, request_id)
            assert (found, found_balance) == (expected, balance)
            if number is not None:
                assert entry_ids.setdefault(number, entry_id) == entry_id
        for user_id, account in model.accounts.items():
            assert ledger.balance(user_id) == account.balance >= 0
            history = ledger.history(user_id)
            assert [amount for amount, _ in history] == account.changes
            assert sum(account.changes) == account.balance
            assert [after for _, after in history] == [
                sum(account.changes[: n + 1]) for n in range(len(account.changes))
            ]

    check()


def attempt(call, user_id, amount, request_id) -> tuple[str, int | None, int | None]:
    try:
        return "ok", *call(user_id, amount, request_id)
    except psycopg.errors.CheckViolation as error:
        return constraint_of(error), balance_of(error), None
    except psycopg.Error as error:
        return error.sqlstate, None, None


# Concurrency


@pytest.mark.parametrize(
    ("balance", "amount", "requests_sent"), [(100, 2, 80), (7, 3, 40), (0, 1, 10), (1000, 1, 60), (5, 5, 30)]
)
def test_of_n_withdrawals_at_once_exactly_as_many_succeed_as_the_balance_holds(
    database, ledger, balance, amount, requests_sent
):
    user_id = ledger.open(balance)

    def withdraw_some(count: int) -> int:
        with database.connect() as connection:
            own = Ledger(connection)
            return sum(attempt(own.withdraw, user_id, amount, uuid4())[0] == "ok" for _ in range(count))

    with ThreadPoolExecutor(8) as threads:
        share = requests_sent // 8
        counts = [share + (n < requests_sent % 8) for n in range(8)]
        succeeded = sum(threads.map(withdraw_some, counts))
    assert succeeded == min(requests_sent, balance // amount)
    assert ledger.balance(user_id) == balance - succeeded * amount
    assert sum(change for change, _ in ledger.history(user_id)) == ledger.balance(user_id)


def test_one_request_id_sent_by_eight_at_once_moves_money_once(database, ledger):
    user_id, request_id = ledger.open(100), uuid4()

    def withdraw(_: int) -> tuple[int, int]:
        with database.connect() as connection:
            return Ledger(connection).withdraw(user_id, 10, request_id)

    with ThreadPoolExecutor(8) as threads:
        answers = set(threads.map(withdraw, range(8)))
    assert len(answers) == 1
    assert ledger.balance(user_id) == 90
    assert len(ledger.history(user_id)) == 2


def test_ids_and_times_of_entries_grow_along_an_account_whoever_writes(database, ledger):
    user_id = ledger.open(1000)

    def withdraw_some(_: int) -> None:
        with database.connect() as connection:
            for _ in range(20):
                Ledger(connection).withdraw(user_id, 1)

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(withdraw_some, range(6)))
    query = "select balance_after, created_at from entries where user_id = %s order by id"
    rows = ledger.connection.execute(query, [user_id]).fetchall()
    assert [after for after, _ in rows] == list(range(1000, 879, -1))
    assert [at for _, at in rows] == sorted(at for _, at in rows)


# What the tables refuse


@pytest.mark.parametrize(
    "statement",
    [
        "update entries set amount = 1",
        "delete from entries",
        "truncate entries",
        "delete from entries where false",
    ],
)
def test_entries_are_append_only_even_for_their_owner(database, statement):
    with database.connect_as_owner() as owner:
        with pytest.raises(psycopg.Error) as caught:
            owner.execute(statement)
        assert caught.value.sqlstate == "RF403"


@pytest.mark.parametrize(
    "statement",
    [
        "update users set balance = balance + 1",
        "insert into users (balance) values (1)",
        "delete from users",
        "insert into entries (user_id, amount, balance_after, request_id) values (1, 1, 1, gen_random_uuid())",
        "update entries set amount = 1",
        "delete from entries",
        "truncate entries",
        "select move_money(1, 1, gen_random_uuid())",
    ],
)
def test_the_application_moves_money_through_the_functions_alone(ledger, statement):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ledger.connection.execute(statement)


@pytest.mark.parametrize(
    ("balance", "constraint"), [(-1, "balance_not_negative"), (MOST + 1, "balance_within_json_integers")]
)
def test_the_table_itself_refuses_a_balance_out_of_range(database, balance, constraint):
    with database.connect_as_owner() as owner:
        with pytest.raises(psycopg.errors.CheckViolation) as caught:
            owner.execute("update users set balance = %s where id = 1", [balance])
        assert constraint_of(caught.value) == constraint


@pytest.mark.parametrize("amount", [0, -1, None, -(2**63)])
@pytest.mark.parametrize("operation", ["withdraw", "deposit"])
def test_an_amount_below_one_is_refused_by_the_function_too(ledger, operation, amount):
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        getattr(ledger, operation)(1, amount)
    assert ledger.balance(1) == 10_000


def test_the_largest_amounts_overflow_nothing(ledger):
    assert attempt(ledger.withdraw, 1, 2**63 - 1, uuid4()) == ("balance_not_negative", 10_000, None)
    assert attempt(ledger.deposit, 1, 2**63 - 1, uuid4())[0] == "22023"
    assert attempt(ledger.deposit, 1, MOST, uuid4()) == ("balance_within_json_integers", 10_000, None)


def test_account_1_starts_with_ten_thousand_and_its_opening_entry(ledger):
    assert ledger.balance(1) == 10_000
    assert ledger.history(1) == [(10_000, 10_000)]


def test_a_refused_movement_leaves_its_request_id_free(ledger):
    user_id, request_id = ledger.open(5), uuid4()
    assert attempt(ledger.withdraw, user_id, 6, request_id)[0] == "balance_not_negative"
    ledger.deposit(user_id, 1)
    assert attempt(ledger.withdraw, user_id, 6, request_id)[:2] == ("ok", 0)
