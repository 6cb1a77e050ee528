"""The settings as they are written down, checked and shown: config.yaml, docs/configuration.md, `ringfence config`."""

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml

from server.cli import main
from server.settings import Settings, load
from server.settings.description import TASK_PLACE, all_settings, sections, settings_of
from server.settings.document import document
from server.settings.loading import load_with_origins
from server.settings.shown import MASK, masked, shown
from server.settings.tasks import TaskSettings


@pytest.fixture(autouse=True)
def as_if_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In an empty folder, without settings of who runs it, and with the logs as they were afterwards."""
    before = structlog.get_config()
    for name in [name for name in os.environ if name.startswith("RINGFENCE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RINGFENCE_CONFIG", "")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    structlog.configure(**before)


def config(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["ringfence", "config", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_page_is_the_one_that_the_settings_make(project: Path) -> None:
    assert (project / "docs/configuration.md").read_text(encoding="utf-8") == document(), "make docs"


def test_every_setting_has_a_description_in_sentences_and_a_default_or_says_that_it_is_needed() -> None:
    for setting in all_settings():
        assert len(setting.meaning) > 20 and setting.meaning.endswith("."), setting.dotted
        assert setting.takes, setting.dotted
    assert [setting.dotted for setting in all_settings() if setting.default is None] == [
        "tasks.NAME.function"
    ]


def test_config_yaml_names_every_key_with_its_default(project: Path) -> None:
    file = yaml.safe_load((project / "config.yaml").read_text(encoding="utf-8"))
    tasks = file.pop("tasks")
    keys = set[tuple[str, ...]]()
    for name, value in file.items():
        keys |= {(name, inner) for inner in value} if isinstance(value, dict) else {(name,)}
    assert keys == {setting.key for setting in all_settings() if TASK_PLACE not in setting.key}
    read = Settings.model_validate(file | {"home": Path(), "source": ""})
    assert read == Settings(home=Path(), source="")
    assert list(file) == [*(one.key[0] for one in settings_of(Settings, ())), *sections()], (
        "in the same order"
    )
    assert set().union(*tasks.values()) <= {one.key[-1] for one in settings_of(TaskSettings, ())}


def test_config_yaml_explains_every_key_of_a_task(project: Path) -> None:
    comments = re.findall(
        r"^#   (\w+)  ", (project / "config.yaml").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted(comments) == sorted(one.key[-1] for one in settings_of(TaskSettings, ()))


def test_each_value_says_where_it_came_from(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "http:\n  port: 9000\ncluster: {ttl: 30s}\ntasks:\n  a.b:\n    function: 'm:f'\n    every: 90s\n"
    )
    loaded = load_with_origins(str(path), {"RINGFENCE_HTTP__HOST": "127.0.0.2"})
    found = {one.key: one for one in shown(loaded)}
    assert str(found["http", "port"].origin) == f"{path}:2"
    assert str(found["cluster", "ttl"].origin) == f"{path}:3"
    assert str(found["http", "host"].origin) == "RINGFENCE_HTTP__HOST"
    assert str(found["http", "backlog"].origin) == "default"
    assert (found["cluster", "ttl"].text, found["cluster", "ttl"].value) == ("30s", 30.0)
    assert str(found["tasks", "a.b", "every"].origin) == f"{path}:7"
    assert found["tasks", "a.b", "every"].text == "1m30s"
    assert ("tasks", "a.b", "timeout") not in found, "a task's defaults are left out"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("postgresql://bank:s3cret@db/x", "postgresql://bank:…@db/x"),
        ("host=db password=s3cret", "host=db password=…"),
        ({"api_key": "s3cret", "limit": 5}, {"api_key": MASK, "limit": 5}),
        ({"accounts": [{"Password": "s3cret"}]}, {"accounts": [{"Password": MASK}]}),
        ({"token": None}, {"token": None}),
    ],
)
def test_secrets_are_masked_wherever_they_stand(value: Any, expected: Any) -> None:
    assert masked(value) == expected


def test_config_show_prints_no_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text(
        "tasks:\n  t: {function: 'm:f', every: 1m, params: {token: s3cret, note: 'a\nb'}}\n"
    )
    monkeypatch.setenv("RINGFENCE_DATABASE__URL", "postgresql://bank:s3cret@db.example/x")
    for arguments in (["show"], ["show", "--json"]):
        assert config(monkeypatch, *arguments) == 0
        said = capsys.readouterr().out
        assert "db.example" in said and "RINGFENCE_DATABASE__URL" in said and "s3cret" not in said
    found = json.loads(said)
    assert {"key": ["http", "port"], "value": 8000, "origin": {"kind": "default"}} in found["settings"]


def test_config_check_names_every_mistake_with_its_line_or_variable_and_ends_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text("http:\n  port: many\nnonsense: 1\n")
    monkeypatch.setenv("RINGFENCE_CLUSTER__TTL", "1s")
    assert config(monkeypatch, "check") == 2
    said = capsys.readouterr()
    assert re.search(r"config\.yaml: http\.port: .*, in line 2$", said.err, re.MULTILINE)
    assert re.search(r"config\.yaml: nonsense: unknown key, in line 3$", said.err, re.MULTILINE)
    assert "RINGFENCE_CLUSTER__TTL" in said.err or "cluster: ttl" in said.err
    assert config(monkeypatch, "check", "--json") == 2
    assert len(json.loads(capsys.readouterr().out)["faults"]) == 3


def test_config_check_looks_at_schedules_and_functions(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text("tasks:\n  t: {function: 'm:f', cron: '99 * * * *'}\n")
    assert config(monkeypatch, "check") == 2
    assert "tasks.t" in capsys.readouterr().err
    (tmp_path / "config.yaml").write_text("tasks:\n  t: {function: 'no_such_module:f', every: 1m}\n")
    assert config(monkeypatch, "check") == 0
    said = capsys.readouterr()
    assert "warning: tasks.t: no_such_module:f can't be found" in said.err
    assert said.out == f"{tmp_path}/config.yaml can be used.\n"


def test_config_check_finds_a_module_beside_the_file_wherever_it_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "tasks_of_mine.py").write_text("def job(context): pass\n")
    (mine / "config.yaml").write_text("tasks:\n  t: {function: 'tasks_of_mine:job', every: 1m}\n")
    monkeypatch.setenv("RINGFENCE_CONFIG", str(mine / "config.yaml"))
    assert config(monkeypatch, "check") == 0
    said = capsys.readouterr()
    assert (said.err, said.out) == ("", f"{mine}/config.yaml can be used.\n")


def test_the_token_of_a_caller_is_no_setting(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("tasks: {}\n")
    assert load(str(tmp_path / "config.yaml"), {"RINGFENCE_TOKEN": "abc"}).tasks == {}
