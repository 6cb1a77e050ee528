"""Old code on a new schema, new code on an old one: who goes on, and what the others are told."""

import json
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from server.errors import SchemaMismatchError
from server.postgres import schema
from server.postgres.migrations import COMPATIBLE_FROM
from server.postgres.schema_fit import Fit, Schema, describe, fits, from_remark, remark

VERSIONS = Path(__file__).resolve().parents[2] / "alembic/versions"


@pytest.mark.parametrize(
    ("found", "own", "fit"),
    [
        (None, "0006", Fit.OLDER),
        (Schema("0005", "0001"), "0006", Fit.OLDER),
        (Schema("0005", None), "0006", Fit.OLDER),
        (Schema("0006", None), "0006", Fit.SAME),
        (Schema("0006", "0006"), "0006", Fit.SAME),
        (Schema("0007", "0001"), "0006", Fit.NEWER),
        (Schema("0012", "0006"), "0006", Fit.NEWER),
        (Schema("0007", "0007"), "0006", Fit.TOO_NEW),
        (Schema("0012", "0009"), "0008", Fit.TOO_NEW),
        (Schema("0007", None), "0006", Fit.TOO_NEW),
    ],
)
def test_code_works_on_its_own_schema_and_on_newer_ones_that_allow_it(found, own, fit):
    assert fits(found, own) is fit


@pytest.mark.parametrize(
    ("found", "command"),
    [
        (None, "run `ringfence migrate`"),
        (Schema("0005", "0001"), "run `ringfence migrate`"),
        (Schema("0008", "0008"), "`ringfence migrate --to 0006`"),
        (Schema("0008", None), "`ringfence migrate --to 0006`"),
    ],
)
def test_whoever_can_not_work_names_the_command_that_mends_it(found, command):
    said = describe(found, "0006")
    assert command in said
    assert "0006" in said


def test_whoever_goes_on_on_a_newer_schema_says_from_where_on_that_is_allowed():
    said = describe(Schema("0008", "0004"), "0006")
    assert "ringfence migrate" not in said
    assert all(revision in said for revision in ("0008", "0006", "0004"))


def test_a_schema_too_new_is_refused_and_one_that_allows_it_is_not(monkeypatch):
    monkeypatch.setattr(schema, "newest_revision", lambda: "0006")
    assert schema.check_fit(Schema("0007", "0003")) is Fit.NEWER
    with pytest.raises(SchemaMismatchError, match="from 0007 on"):
        schema.check_fit(Schema("0007", "0007"))


def test_what_is_remarked_beside_a_revision_is_read_again():
    assert from_remark("0007", remark(Schema("0007", "0003"))) == Schema("0007", "0003")


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "somebody's own comment",
        "[]",
        json.dumps({"revision": "0006", "compatible_from": "0001"}),
        json.dumps({"revision": "0007", "compatible_from": 1}),
        json.dumps({"revision": "0007"}),
    ],
)
def test_a_remark_that_is_none_or_about_another_revision_allows_nothing(text):
    assert from_remark("0007", text) == Schema("0007", None)


@pytest.mark.parametrize("path", sorted(VERSIONS.glob("[0-9]*.py")), ids=lambda path: path.name)
def test_every_migration_says_which_code_goes_on_working(path):
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    said = COMPATIBLE_FROM.get(module.revision) or getattr(module, "compatible_from", None)
    assert said is not None and re.fullmatch(r"\d{4}", said), f"{path.name}: compatible_from is missing"
    assert "0001" <= said <= module.revision
