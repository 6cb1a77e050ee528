"""GET and PUT /log-level."""

import pytest
from http_service import until

from server import logs


@pytest.fixture(autouse=True)
def as_before():
    before = logs.level()
    logs.set_level("info")
    yield
    logs.set_level(before)


@pytest.mark.gen_test
async def test_a_level_counts_for_its_seconds_and_then_the_configured_one_again(service):
    answer = await service.call("PUT", "/log-level", {"level": "error", "seconds": 1})
    assert answer.status == 200
    assert answer.json["level"] == logs.level() == "error"
    assert 0 < answer.json["seconds"] <= 1
    await until(lambda: logs.level() == "info")
    assert (await service.get("/log-level")) == {
        "node": "node-1",
        "level": "info",
        "configured": "info",
        "seconds": None,
    }


@pytest.mark.gen_test
async def test_a_later_change_takes_the_place_of_an_earlier_one_and_its_end(service):
    await service.call("PUT", "/log-level", {"level": "error", "seconds": 1})
    await service.call("PUT", "/log-level", {"level": "debug"})
    assert (await service.get("/log-level"))["seconds"] is None
    assert logs.level() == "debug"


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "body",
    [{}, {"level": "loud"}, {"level": ["debug"]}, {"level": "debug", "seconds": 0}]
    + [{"level": "debug", "seconds": value} for value in (86_401, 1.5, True, "60")],
)
async def test_a_level_that_is_none_changes_nothing(service, body):
    answer = await service.call("PUT", "/log-level", body)
    assert answer.is_problem(422, "invalid_request")
    assert logs.level() == "info"
