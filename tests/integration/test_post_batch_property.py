"""However a sequence of movements is cut into batches, it ends as one by one, and as the model says."""

from itertools import count
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_calls import balances_of, history_of, open_accounts, post_alone, post_batch, post_list
from unit.ledger_model import MOST, Ledger, Outcome, Wanted, cut

NOBODY = 10**12
USERS = 3  # and one more place, which is nobody's
EXAMPLES = settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
_numbers = count(1)

amounts = st.one_of(
    st.integers(1, 12), st.sampled_from([100, MOST - 100, MOST - 1, MOST]), st.integers(1, MOST)
).flatmap(lambda amount: st.sampled_from([amount, -amount]))
openings = st.tuples(*[st.sampled_from([0, 1, 10, 1000, MOST - 10, MOST])] * USERS)
places = st.integers(0, USERS)
numbers = st.none() | st.integers(0, 4)  # of a request id or a key; None is a fresh id, or no key
starts = st.sampled_from([False, False, False, True])  # whether a new batch starts here


@pytest.fixture
def connection(database):
    """One for all examples; nothing here is about durability, and a flush costs more than a movement."""
    with database.connect() as found:
        found.execute("set synchronous_commit = off")
        yield found


class Accounts:
    """The model and the database side by side: the same accounts, and the same names for entries."""

    def __init__(self, connection, balances) -> None:
        self.connection = connection
        self.model = Ledger()
        self.users = open_accounts(connection, balances)
        self.entry_ids: dict[int, int] = {}  # the model's number -> the database's id
        for user_id, balance in zip(self.users, balances, strict=True):
            self.model.open(user_id, balance)

    def user(self, place: int) -> int:
        return [*self.users, NOBODY][place]

    def agree(self, expected: Outcome, found: Outcome) -> None:
        """The same outcome; one number of an entry stands for one id, and both grow together."""
        assert found._replace(entry=None) == expected._replace(entry=None)
        assert (found.entry is None) == (expected.entry is None)
        if expected.entry is not None:
            assert self.entry_ids.setdefault(expected.entry, found.entry) == found.entry

    def agree_in_the_end(self) -> None:
        assert balances_of(self.connection, self.users) == self.model.balances
        for user_id in self.users:
            assert history_of(self.connection, user_id) == self.model.history(user_id)
        in_order = [self.entry_ids[number] for number in sorted(self.entry_ids)]
        assert in_order == sorted(set(in_order))


def test_post_batch_equals_withdraw_and_deposit_one_by_one_and_both_equal_the_model(connection):
    @EXAMPLES
    @given(openings, st.lists(st.tuples(places, amounts, numbers, starts), max_size=25))
    def check(balances, sequence):
        batched, alone = Accounts(connection, balances), Accounts(connection, balances)
        outcomes = []
        for accounts in (batched, alone):
            known = [uuid4() for _ in range(5)]
            requests = [
                (Wanted(accounts.user(place), amount, uuid4() if number is None else known[number]), start)
                for place, amount, number, start in sequence
            ]
            expected = [accounts.model.post(wanted) for wanted, _ in requests]
            if accounts is batched:
                found = [one for batch in cut(requests) for one in post_batch(connection, batch)]
            else:
                found = [post_alone(connection, wanted) for wanted, _ in requests]
                expected = [one._replace(replayed=False) for one in expected]
            for one, other in zip(expected, found, strict=True):
                accounts.agree(one, other)
            accounts.agree_in_the_end()
            outcomes.append([(one.outcome, one.balance) for one in found])
        assert outcomes[0] == outcomes[1]

    check()


def test_with_keys_every_sequence_in_batches_ends_as_the_model_says(connection):
    clients = st.sampled_from(["", "", "another"])

    @EXAMPLES
    @given(openings, st.lists(st.tuples(places, amounts, numbers, numbers, clients, starts), max_size=25))
    def check(balances, sequence):
        accounts = Accounts(connection, balances)
        example, known = next(_numbers), [uuid4() for _ in range(5)]
        requests = [
            (
                Wanted(
                    accounts.user(place),
                    amount,
                    uuid4() if number is None else known[number],
                    None if key is None else f"{example}/{key}",
                    client,
                ),
                start,
            )
            for place, amount, number, key, client, start in sequence
        ]
        expected = [accounts.model.post(wanted) for wanted, _ in requests]
        found = [one for batch in cut(requests) for one in post_batch(connection, batch)]
        for one, other in zip(expected, found, strict=True):
            accounts.agree(one, other)
        accounts.agree_in_the_end()
        assert kept_outcomes(connection, example) == {
            place: (first.outcome, first.balance, first.request_id)
            for place, (_, (first,)) in accounts.model.kept.items()
        }

    check()


def test_a_list_equals_the_batch_of_its_movements_and_its_key_replays_it(connection):
    # Each list has its key's number, and another content where the key is seen with another list.
    movement = st.tuples(places, amounts, numbers)
    lists = st.lists(st.tuples(st.lists(movement, min_size=1, max_size=8), numbers), max_size=5)

    @EXAMPLES
    @given(openings, lists, st.lists(st.integers(0, 4), max_size=3))
    def check(balances, drawn, repeated):
        accounts, plain = Accounts(connection, balances), Accounts(connection, balances)
        example, known, other_known = next(_numbers), [uuid4() for _ in range(5)], [uuid4() for _ in range(5)]
        sent = []
        for movements, key in drawn:
            used = distinct(movements)
            request_ids = [known[n] if n is not None else uuid4() for _, _, n in used]
            wanted = [
                Wanted(accounts.user(p), amount, request_id)
                for (p, amount, _), request_id in zip(used, request_ids, strict=True)
            ]
            twins = [
                Wanted(plain.user(p), amount, other_known[n] if n is not None else uuid4())
                for p, amount, n in used
            ]
            sent.append((wanted, None if key is None else f"{example}/{key}", uuid4()))
            is_new = key is None or ("", f"{example}/{key}") not in accounts.model.kept
            found = send_list(accounts, *sent[-1])
            if is_new:
                in_batch = post_batch(connection, twins)
                assert [bare(one) for one in found] == [bare(one) for one in in_batch]
        for place in repeated:
            if place < len(sent):
                send_list(accounts, *sent[place])
        accounts.agree_in_the_end()

    check()


def send_list(accounts: Accounts, wanted, key, fingerprint) -> list[Outcome]:
    expected = accounts.model.post_list(wanted, key, fingerprint)
    found = post_list(accounts.connection, wanted, key, fingerprint)
    for one, other in zip(expected, found, strict=True):
        accounts.agree(one, other)
    return found


def bare(outcome: Outcome) -> tuple[str, int | None, bool]:
    return outcome.outcome, outcome.balance, outcome.replayed


def distinct(movements):
    """Those whose request id is the first of its number: one list never repeats one."""
    seen: set[int] = set()
    return [m for m in movements if m[2] is None or not (m[2] in seen or seen.add(m[2]))]


def kept_outcomes(connection, example: int):
    query = "select client, key, outcome, balance, request_id from idempotency_keys where key like %s"
    rows = connection.execute(query, [f"{example}/%"]).fetchall()
    return {(client, key): tuple(rest) for client, key, *rest in rows}
