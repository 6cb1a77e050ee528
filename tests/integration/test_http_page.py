"""The page at / and its files, as browsers get them."""

import gzip
import re

import pytest

from server.web.page_files import PageFiles

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"}
BYTES_MAX = 250 * 1024


@pytest.fixture
def files() -> PageFiles:
    return PageFiles.read()


async def page(service, **headers: str):
    return await service.call("GET", "/", headers=BROWSER | headers)


@pytest.mark.gen_test
async def test_a_browser_gets_the_page_and_everybody_else_what_this_is(service):
    found = await page(service)
    assert found.headers["Content-Type"] == "text/html; charset=utf-8"
    assert b"<title>Ringfence</title>" in found.body
    for accept in (
        None,
        "*/*",
        "application/json",
        "application/json, text/html",
        "text/html;q=0.5, application/json",
    ):
        answer = await service.call("GET", "/", headers={"Accept": accept} if accept else {})
        assert answer.json["service"] == "ringfence", accept
        assert "Accept" in answer.headers["Vary"]


@pytest.mark.parametrize(
    "accept", ["text/html", "text/html, application/json;q=0.9", "text/html,application/json"]
)
@pytest.mark.gen_test
async def test_who_prefers_html_gets_the_page(service, accept):
    answer = await service.call("GET", "/", headers={"Accept": accept})
    assert answer.headers["Content-Type"].startswith("text/html")


@pytest.mark.gen_test
async def test_everything_that_the_page_names_is_there_and_kept_for_ever(service, files):
    body = (await page(service)).body.decode()
    named = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', body))
    assert {path.rpartition("/")[2] for path in named} | {"worker.js"} == set(files.others)
    for path in named:
        answer = await service.call("GET", path)
        assert answer.status == 200, path
        assert "immutable" in answer.headers["Cache-Control"]


@pytest.mark.gen_test
async def test_modules_import_files_that_are_there(service, files):
    for name, file in files.others.items():
        text = file.plain.decode()
        imported = re.findall(r'(?:from |import |URL\()"\./([\w.]+)"', text)
        assert set(imported) <= set(files.others), name


@pytest.mark.gen_test
async def test_a_file_of_another_release_is_not_kept(service):
    answer = await service.call("GET", "/static/0123456789abcdef/main.js")
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")


@pytest.mark.parametrize("name", ["nothing.js", "index.html", "..%2Findex.html", "%2e%2e", "__init__.py"])
@pytest.mark.gen_test
async def test_no_other_file_can_be_had(service, files, name):
    answer = await service.call("GET", f"/static/{files.version}/{name}")
    assert answer.is_problem(404, "not_found")


@pytest.mark.gen_test
async def test_nothing_may_run_or_load_but_what_this_host_sends(service, files):
    for path in ("/", f"/static/{files.version}/main.js"):
        headers = (await service.call("GET", path, headers=BROWSER)).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
        assert (
            policy["default-src"]
            == policy["frame-ancestors"]
            == policy["base-uri"]
            == policy["form-action"]
            == "'none'"
        )
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.gen_test
async def test_the_page_is_asked_for_conditionally_and_compressed(service):
    answer = await page(service, **{"Accept-Encoding": "gzip, br"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert gzip.decompress(answer.body) == (await page(service)).body
    again = await page(service, **{"Accept-Encoding": "gzip, br", "If-None-Match": answer.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


def test_it_weighs_less_than_it_may_in_all(files):
    assert files.bytes_in_all < BYTES_MAX


def test_no_file_says_markup_or_style_that_data_could_become(files):
    for name, file in files.others.items():
        text = file.plain.decode()
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text
        ), name
        assert not re.search(r"https?://(?!www\.w3\.org/)", text), name
