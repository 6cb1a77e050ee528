"""The lean path and the handlers give the same answers to every form of a request."""

import pytest
from raw_http import post, raw
from two_ways import GOOD, LIMIT, NAMED, TOO_MUCH, compare, statuses

ROUTES = ("/withdraw", "/deposit")


# Heads


@pytest.mark.gen_test(timeout=60)
async def test_the_form_of_a_head_makes_no_difference(ways):
    length = f"content-length:{len(GOOD)}"
    for lines in (
        ["POST /withdraw HTTP/1.1", "host:x", "content-type:application/json", length],
        ["POST /withdraw HTTP/1.1", "HOST: x", "CONTENT-TYPE: APPLICATION/JSON", length.upper()],
        ["POST /withdraw HTTP/1.1", "Host: x:80", "Content-Type:  application/json ; charset=utf-8 ", length],
        [
            "POST /withdraw HTTP/1.1",
            "Host: [::1]:80",
            "Content-Type: application/json",
            f"{length}, {len(GOOD)}",
        ],
        ["POST /withdraw HTTP/1.1", "Host: x", "Content-Type: application/json", length, length],
        [
            "POST /withdraw HTTP/1.1",
            "Host: x",
            "Content-Type: application/json",
            f"Content-Length: 000{len(GOOD)}",
        ],
        [
            "POST /withdraw HTTP/1.1",
            "Host: x",
            "Content-Type: application/json",
            length,
            "Content-Encoding: identity",
        ],
        [
            "POST /withdraw HTTP/1.1",
            "Host: x",
            "Content-Type: application/json",
            length,
            "Accept-Encoding: gzip",
        ],
    ):
        assert statuses(await compare(ways, raw(*lines, body=GOOD))) == [200], lines


@pytest.mark.gen_test(timeout=60)
async def test_other_methods_paths_and_queries_are_the_same_answers(ways):
    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "BREW", "post"):
        for path in (*ROUTES, "/Withdraw", "/withdraw/", "//withdraw", "/%77ithdraw"):
            status = 405 if path in ROUTES else 404
            assert statuses(await compare(ways, raw(f"{method} {path} HTTP/1.1", "Host: x"))) == [status]
    for path in ROUTES:
        assert statuses(await compare(ways, raw(f"OPTIONS {path} HTTP/1.1", "Host: x"))) == [204]
        put = post(GOOD, path=path).replace(b"POST", b"PUT")
        assert statuses(await compare(ways, put)) == [405]
    for path, status in (
        ("/withdraw?", 200),
        ("/withdraw?x=1", 422),
        ("/withdraw?x=1&x=2", 422),
        ("/withdraw?%ff=1", 400),
        ("/withdraw#x", 404),
    ):
        assert statuses(await compare(ways, post(GOOD, path=path))) == [status], path


@pytest.mark.gen_test(timeout=60)
async def test_other_kinds_of_bodies_are_the_same_refusals(ways):
    length = f"Content-Length: {len(GOOD)}"
    for lines in (
        [length],
        [length, "Content-Type: text/plain"],
        [length, "Content-Type:"],
        [length, "Content-Type: application/json, application/json"],
        [length, "Content-Type: application/json", "Content-Type: application/json"],
        [length, "Content-Type: application/json", "Content-Encoding: gzip"],
        [length, "Content-Type: multipart/form-data; boundary=x"],
    ):
        found = await compare(ways, raw("POST /withdraw HTTP/1.1", "Host: x", *lines, body=GOOD))
        assert (statuses(found), found.is_kept) == ([415], True), lines
    for lines in ([], ["Content-Length: 0"], ["Content-Type: application/json"]):
        found = await compare(ways, raw("POST /withdraw HTTP/1.1", "Host: x", *lines))
        assert (statuses(found), found.is_kept) == ([400], True), lines


@pytest.mark.gen_test(timeout=60)
async def test_hosts_that_http_forbids_are_refused_on_both_ways(ways):
    for host in ([], ["Host: a", "Host: a"], ["Host: a,b"], ["Host: a b"], ["Host: a/b"], ["Host: a@b"]):
        head = [*host, "Content-Type: application/json", f"Content-Length: {len(GOOD)}"]
        found = await compare(ways, raw("POST /withdraw HTTP/1.1", *head, body=GOOD))
        assert (statuses(found), found.is_kept) == ([400], False), host


@pytest.mark.gen_test(timeout=60)
async def test_lengths_that_http_forbids_are_refused_on_both_ways(ways):
    for lines in (
        ["Content-Length: x"],
        ["Content-Length: -1"],
        [f"Content-Length: +{len(GOOD)}"],
        ["Content-Length:"],
        ["Content-Length: \xb2"],
        [f"Content-Length: {len(GOOD)}, 1"],
        [f"Content-Length: {len(GOOD)}", "Content-Length: 1"],
        [f"Content-Length: {len(GOOD)}", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: gzip, chunked"],
    ):
        head = ["POST /withdraw HTTP/1.1", "Host: x", "Content-Type: application/json", *lines]
        found = await compare(ways, raw(*head, body=GOOD))
        assert (statuses(found), found.is_kept) == ([400], False), lines


# How bodies come


@pytest.mark.gen_test(timeout=60)
async def test_bodies_that_are_too_large_are_refused_alike(ways):
    large = GOOD.ljust(LIMIT + 1)
    assert statuses(await compare(ways, post(large))) == [413]
    head = ["POST /withdraw HTTP/1.1", "Host: x", "Content-Type: application/json"]
    for length in (1_000_000_000, 10**30):
        assert statuses(await compare(ways, raw(*head, f"Content-Length: {length}"))) == [413]
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(large), large)
    assert statuses(await compare(ways, raw(*head, "Transfer-Encoding: chunked", body=chunks))) == [413]


@pytest.mark.gen_test(timeout=60)
async def test_bodies_in_chunks_and_after_a_word_to_go_on_are_read_alike(ways):
    head = ["POST /withdraw HTTP/1.1", "Host: x", "Content-Type: application/json"]
    chunks = b"1\r\n{\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(GOOD) - 1, GOOD[1:])
    found = await compare(ways, raw(*head, "Transfer-Encoding: chunked", body=chunks))
    assert (statuses(found), found.is_kept) == ([200], True)
    for body, expected in ((GOOD, [100, 200]), (b"{}", [100, 422])):
        assert statuses(await compare(ways, post(body, "Expect: 100-continue"), 2)) == expected
    assert statuses(await compare(ways, post(GOOD, "Expect: something"))) == [200]
    refused = post(GOOD, "Expect: 100-continue", "Content-Encoding: gzip").removesuffix(GOOD)
    assert statuses(await compare(ways, refused)) == [415]


@pytest.mark.gen_test(timeout=60)
async def test_requests_in_a_row_are_answered_in_order_on_both_ways(ways):
    row = [
        (post(GOOD), 200),
        (post(b"{"), 400),
        (post(TOO_MUCH, path="/deposit"), 200),
        (post(GOOD, path="/nowhere"), 404),
        (post(TOO_MUCH), 200),
        (post(NAMED), 200),
        (post(NAMED), 200),
        (raw("GET /withdraw HTTP/1.1", "Host: x"), 405),
        (post(TOO_MUCH), 409),
    ]
    found = await compare(ways, b"".join(request for request, _ in row), len(row))
    assert (statuses(found), found.is_kept) == ([status for _, status in row], True)


@pytest.mark.gen_test(timeout=60)
async def test_connections_are_kept_or_closed_alike(ways):
    for request, is_kept in (
        (post(GOOD), True),
        (post(GOOD, "Connection: keep-alive"), True),
        (post(GOOD, "Connection: close"), False),
        (post(GOOD, "connection: CLOSE"), False),
        (post(GOOD, version="1.0"), False),
        (post(GOOD, "Connection: keep-alive", version="1.0"), True),
        (post(GOOD, "Connection: keep-alive", version="1.0").replace(b"Host: x\r\n", b""), True),
        (post(b"{", "Connection: close"), False),
        (post(b"{", version="1.0"), False),
        (post(TOO_MUCH, "Connection: close"), False),
    ):
        found = await compare(ways, request)
        assert found.is_kept == is_kept, request
        assert len(found.answers) == 1
