"""The Tab key, and --json: what every command of the tree has.

Each shell's script is tried in that shell itself, where it is installed, as CI has them all.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from server.cli.commands import app

SHELLS = ("bash", "zsh", "fish")
# Without --json, since no table comes of them. Everything else has it.
NO_TABLE = {
    "ringfence up": "stays in the foreground and tells people what it does",
    "ringfence serve": "stays in the foreground and writes logs, whose form is a setting",
    "ringfence restart": "tells people what it does, step by step",
    "ringfence scale": "tells people what it does, step by step",
    "ringfence backup": "tells people what it does, step by step",
    "ringfence restore": "tells people what it does, step by step",
    "ringfence migrate": "says one sentence",
    "ringfence db start": "says one sentence",
    "ringfence db stop": "says one sentence",
    "ringfence db upgrade": "tells people what it does, step by step",
    "ringfence db move": "tells people what it does, step by step",
    "ringfence db url": "prints a connection string and nothing else",
    "ringfence db psql": "becomes psql",
    "ringfence db foreground": "becomes the database",
    "ringfence config document": "prints a page of documentation",
    "ringfence burst": "a stand-in for the command below, which has it",
}
LOADED = {
    "bash": "source {script}; COMP_WORDS=({words}); COMP_CWORD=1; _ringfence_completion ringfence; "
    'printf "%s\\n" "${{COMPREPLY[@]}}"',
    "zsh": "compdef() {{ : }}; _arguments() {{ print -r -- $* }}; words=({words}); CURRENT=2; "
    "source {script}; _ringfence_completion",
    "fish": "source {script}; complete -C '{words}'",
}


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RINGFENCE_", "XDG_"))}
    kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return kept | {"HOME": str(home)} | more


def script_of(shell: str, home: Path, *options: str) -> str:
    # Which shell calls is otherwise read from the process tree, where pytest stands.
    by_name = environment(home, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    done = subprocess.run(
        ["ringfence", *options, shell], env=by_name, capture_output=True, text=True, check=True, cwd=home
    )
    return done.stdout


@pytest.mark.parametrize("shell", [shell for shell in SHELLS if shutil.which(shell)])
def test_the_script_of_each_shell_offers_commands_when_that_shell_has_loaded_it(
    shell: str, tmp_path: Path
) -> None:
    script = tmp_path / "completion"
    script.write_text(script_of(shell, tmp_path, "--show-completion"))
    line = LOADED[shell].format(script=script, words="ringfence ta")
    argv = [shell, *({"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]), "-c", line]
    done = subprocess.run(
        argv, env=environment(tmp_path), capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert "tasks" in done.stdout, (done.stdout, done.stderr)
    assert "restart" not in done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_install_completion_writes_below_the_home_folder(shell: str, tmp_path: Path) -> None:
    said = script_of(shell, tmp_path, "--install-completion")
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any("ringfence" in path.name for path in written), said
    assert str(tmp_path) in said


def test_the_tab_key_offers_the_tasks_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("tasks:\n  sweep_floor: {function: 'a:b', every: 1m}\n")
    asked = environment(
        tmp_path, COMP_WORDS="ringfence run sw", COMP_CWORD="2", _RINGFENCE_COMPLETE="complete_bash"
    )
    done = subprocess.run(["ringfence"], env=asked, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout.split() == ["sweep_floor"]
    (tmp_path / "config.yaml").write_text("nonsense: 1\n")
    done = subprocess.run(["ringfence"], env=asked, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.stdout.split(), done.stderr) == ([], "")


def leaves(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every command of the tree that does something. (typer's classes are click's, or its own copy of them.)"""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
    else:
        for name, one in inner.items():
            yield from leaves(one, f"{path} {name}")


def all_commands() -> dict[str, Any]:
    return dict(leaves(typer.main.get_command(app), "ringfence"))


def test_every_command_that_prints_a_table_prints_json_as_well() -> None:
    without = {
        path
        for path, command in all_commands().items()
        if not any("--json" in one.opts for one in command.params)
    }
    assert without == set(NO_TABLE)
    from server.cli.burst import burst

    real = typer.Typer()
    real.command()(burst)
    assert any("--json" in one.opts for one in typer.main.get_command(real).params)


def test_every_command_says_in_a_sentence_what_it_does_and_stands_in_a_group_of_the_help() -> None:
    for path, command in all_commands().items():
        first = (command.help or "").splitlines()[0]
        assert first[:1].isupper() and len(first) > 10, path
    top: Any = typer.main.get_command(app)
    assert [name for name, one in top.commands.items() if not getattr(one, "rich_help_panel", None)] == []


def test_the_page_of_commands_names_every_one(project: Path) -> None:
    text = (project / "docs/commands.md").read_text()
    hidden = {"ringfence db foreground", "ringfence config document"}
    assert [path for path in all_commands() if f"`{path}" not in text and path not in hidden] == []
