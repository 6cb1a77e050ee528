"""A million distinct idempotency keys: what a day's worth of them does to the next request.

They are put into the table as that many requests would have left them. What bounds them:
a key counts for `keep_keys_hours` (24), and the task prune_history deletes what is older.
"""

import asyncio

import pytest
from target import Target, closing, request

pytestmark = pytest.mark.xdist_group("attacks")
KEYS = 1_000_000
FILL = """
    insert into idempotency_keys (client, key, operation, user_id, amount, request_id, outcome, created_at)
    select '', 'attack-' || number, 'withdraw', 77, -1, gen_random_uuid(), 'user_not_found',
           clock_timestamp()
    from generate_series(1, %s) as number
"""


def test_a_million_keys_slow_nothing_down(target: Target) -> None:
    with target.unharmed(), target.database.connect_as_owner() as owner:
        owner.execute(FILL, [KEYS])
        for number in (1, KEYS // 2, KEYS):
            data = request(
                "POST /withdraw", f"Idempotency-Key: attack-{number}", body=b'{"userId":77,"amount":1}'
            )
            # A replay of the refusal, found among a million.
            said = asyncio.run(target.said(closing(data)))
            assert said.startswith(b"HTTP/1.1 404 ") and b"Idempotency-Replayed: true" in said
