"""What HTTP asks of every route alike: methods, kinds of bodies and answers, sizes, conditions."""

from uuid import uuid4

import pytest
from http_service import JSON, Service
from raw_http import exchange, raw

from server.web.handlers import JsonHandler

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW")
CHANGING = {
    "/events",
    "/metrics",
    "/ledger/check",
    "/tasks",
    "/nodes",
    "/runs",
    "/tasks/backup",
    "/money/pulse",
}
"""Figures and times change with each look."""
LARGE = 4 * 1024 * 1024
"""More than any route takes."""


@pytest.fixture
def found(service, cluster, io_loop) -> dict[str, type[JsonHandler]]:
    """Every route's path with places that exist, and its handler."""
    run_id, request_id = cluster.start("backup", "node-1"), uuid4()
    body = {"userId": 1, "amount": 1, "requestId": str(request_id)}
    io_loop.run_sync(lambda: service.call("POST", "/withdraw", body))
    places = {"userId": 1, "name": "backup", "runId": run_id, "requestId": request_id}
    places |= {"version": "0", "file": "main.js"}
    return {path.format_map(places): handler for path, handler in service.handlers().items()}


@pytest.mark.gen_test(timeout=60)
async def test_options_says_what_each_route_takes_and_every_other_method_is_a_405_that_says_it(
    service, found
):
    for path, handler in found.items():
        answer = await service.call("OPTIONS", path)
        allowed = answer.headers["Allow"].split(", ")
        assert (answer.status, answer.body, allowed) == (204, b"", handler.allowed), path
        assert allowed[-1] == "OPTIONS" and len(set(allowed)) == len(allowed) >= 2
        for method in METHODS:
            if method not in allowed:
                refused = await service.call(method, path)
                assert refused.status == 405, (method, path)
                assert method == "HEAD" or refused.is_problem(405, "method_not_allowed"), (method, path)
                assert refused.headers["Allow"].split(", ") == allowed, (method, path)


@pytest.mark.gen_test(timeout=60)
async def test_head_gives_the_head_that_get_gives(service, found):
    for path, handler in found.items():
        if "GET" not in handler.allowed:
            continue
        ends = f"{path}?follow=false" if path == "/events" else path
        got, asked = await service.call("GET", ends), await service.call("HEAD", ends)
        assert (asked.status, asked.body) == (got.status, b"") == (200, b""), path
        assert asked.headers["Content-Type"] == got.headers["Content-Type"]
        assert asked.headers["Cache-Control"] == got.headers["Cache-Control"]


@pytest.mark.gen_test(timeout=60)
async def test_what_has_not_changed_is_a_304_on_every_route_that_is_read(service, found):
    asked = []
    for path, handler in found.items():
        if "GET" not in handler.allowed or path in CHANGING:
            continue
        if path.startswith("/runs/"):
            continue  # it runs; see below
        first = await service.call("GET", path)
        conditional = {"If-None-Match": first.headers["ETag"]}
        for method in ("GET", "HEAD"):
            again = await service.call(method, path, headers=conditional)
            assert (again.status, again.body) == (304, b""), path
            assert again.headers["ETag"] == first.headers["ETag"]
        other = {"If-None-Match": '"other"'}
        assert (await service.call("GET", path, headers=other)).body == first.body
        asked.append(path)
    assert {"/openapi.json", "/docs", "/docs/swagger-ui-bundle.js", "/users/1", "/"} <= set(asked)


@pytest.mark.gen_test
async def test_a_finished_run_is_a_304_for_who_has_it_and_a_running_one_is_not(service, cluster):
    run_id = cluster.start("backup", "node-1")
    running = await service.call("GET", f"/runs/{run_id}")
    conditional = {"If-None-Match": running.headers["ETag"]}
    cluster.finish(run_id, "node-1")
    finished = await service.call("GET", f"/runs/{run_id}", headers=conditional)
    assert (finished.status, finished.json["status"]) == (200, "succeeded")
    conditional = {"If-None-Match": finished.headers["ETag"]}
    assert (await service.call("GET", f"/runs/{run_id}", headers=conditional)).status == 304


@pytest.mark.gen_test(timeout=60)
async def test_answers_and_bodies_of_other_kinds_are_406_and_415_on_every_route(service, found):
    for path, handler in found.items():
        method = handler.allowed[0]
        body = b"{}" if method == "POST" else None
        answer = await service.call(method, path, body, {**(JSON if body else {}), "Accept": "video/mp4"})
        assert answer.is_problem(406, "not_acceptable"), path
        for kind in ({"Content-Type": "text/plain"}, {**JSON, "Content-Encoding": "gzip"}):
            answer = await service.call(method, path, b"{}", kind)
            assert answer.is_problem(415, "unsupported_media_type"), path


@pytest.mark.gen_test(timeout=60)
async def test_bodies_and_heads_that_are_too_large_are_413_and_431_on_every_route(service, found):
    for path, handler in found.items():
        start = f"{handler.allowed[0]} {path} HTTP/1.1"
        plain = ["Host: localhost", "Content-Type: application/json"]
        (answer,) = (await exchange(service.port, raw(start, *plain, f"Content-Length: {LARGE}"))).answers
        assert " 413 " in answer.start and b'"body_too_large"' in answer.body, path
        (answer,) = (await exchange(service.port, raw(start, *plain, "X: " + "x" * 40_000))).answers
        assert " 431 " in answer.start and b'"head_too_large"' in answer.body, path


@pytest.mark.gen_test
async def test_options_of_the_whole_server_is_answered(service):
    for method, status in (("OPTIONS", " 204 "), ("GET", " 404 ")):
        (answer,) = (await exchange(service.port, raw(f"{method} * HTTP/1.1", "Host: localhost"))).answers
        assert status in answer.start
        assert method != "OPTIONS" or answer.header("Allow") == "GET, HEAD, POST, OPTIONS"


@pytest.mark.gen_test
async def test_files_are_served_by_their_names_alone(service: Service):
    for path in (
        "/docs/", "/docs/..", "/docs/../application.py", "/docs/..%2fapplication.py", "/docs/%2e%2e/handlers.py",
        "/docs/swagger-ui/swagger-ui.css", "/docs/page.html", "/docs//start.js", "/docs/start.js/",
        "/docs/start.js%00", "/docs/....//start.js", "/docs/%2fetc%2fpasswd", "/docs/..\\..\\setup.py",
    ):  # fmt: skip
        assert (await service.call("GET", path)).is_problem(404, "not_found"), path
