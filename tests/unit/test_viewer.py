"""The page that shows the interface: its viewer is the one that was published, and asks nobody else."""

import hashlib
import re
from pathlib import Path

from server.web.contract.handlers import pages
from server.web.page_files import PROTECTION, PageFile


def test_the_viewer_is_byte_for_byte_the_published_one(project: Path) -> None:
    folder = project / "server/web/docs/swagger-ui"
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    sums = {name: sha for sha, name in (line.split() for line in lines)}
    assert set(sums) == {path.name for path in folder.iterdir()} - {"README.md", "SHA256SUMS"}
    for name, sha in sums.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha, name


def test_the_page_loads_what_this_service_serves_and_its_policy_forbids_the_rest() -> None:
    files: dict[str, PageFile] = {route.path: route.needs["file"] for route in pages()}
    text = files["/docs"].plain.decode()
    named = set(re.findall(r'(?:src|href)="([^"]+)"', text)) - {"data:,", "/openapi.json"}
    assert named == set(files) - {"/docs"}
    # Neither scripts nor styles in the page itself: they would need an exception.
    assert re.search(r"<style|style=|<script>|\son\w+=", text) is None
    policy = dict(part.strip().split(" ", 1) for part in PROTECTION["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in PROTECTION["Content-Security-Policy"]
