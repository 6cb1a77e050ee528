"""The live screen's pure parts: the stream's events, the picture, the keys, and what fits."""

from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from server.cli.live.cluster_view import Size, bar, lines, render
from server.cli.live.controls import WORDS_CHARACTERS_MAX, Controls
from server.cli.live.picture import EVENTS_KEPT, Happened, Picture, Seen, Told, Trouble, filtered
from server.cli.live.sent_events import BLOCK_BYTES_MAX, MalformedStreamError, Sent, StreamReader

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
URL = "http://bank.example:8000"


def node(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "state": "live",
        "leaseSeconds": 14.5,
        "owns": ["pi"],
        "runs": [41],
        "host": "a-host-with-a-rather-long-name.example",
        "pid": 4711,
        "version": "0.1.0",
    } | changes


def task(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "schedule": "every 5m",
        "owner": "node-2",
        "nextRunAt": "2026-05-01T12:03:10Z",
        "running": None,
        "lastRun": {"status": "failed", "finishedAt": "2026-05-01T11:58:00Z", "error": "OSError: full"},
        "paused": False,
        "retiredAt": None,
    } | changes


RUNNING = {
    "runId": 41,
    "node": "node-3",
    "elapsedSeconds": 75.9,
    "progress": {"done": 21, "total": 50, "message": "files of many"},
}


def event(number: int = 7, **changes: Any) -> Sent:
    data = {"id": number, "event": "started", "task": "pi", "run": 41, "node": "node-3", "detail": "schedule"}
    data |= {"at": "2026-05-01T11:59:58.123456Z"} | changes
    return Sent(data["event"], number, data)


def picture(nodes: int = 6, tasks: int = 10) -> Picture:
    seen = Seen(
        NOW,
        (task("sieve_primes", running=RUNNING), *(task(f"task_number_{one}") for one in range(1, tasks))),
        tuple(node(f"node-{one}") for one in range(1, nodes + 1)),
    )
    return Picture().after(seen).after(Happened(event()))


def shown(what: Picture, columns: int = 80, rows: int | None = 24, **controls: Any) -> list[str]:
    console = Console(width=columns, color_system=None, legacy_windows=False)
    with console.capture() as captured:
        console.print(render(what, Controls(**controls), Size(columns, rows), URL))
    return captured.get().splitlines()


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_events_are_read_from_pieces_of_any_size(size: int) -> None:
    text = 'retry: 1000\n\n: here\nid: 118\n\nid: 119\nevent: lost\ndata: {"task": "pi"}\n\nevent: progress\ndata: {}\n\n'
    reader, found = StreamReader(), list[Sent]()
    for start in range(0, len(text), size):
        found += reader.feed(text[start : start + size].encode())
    assert found == [Sent("lost", 119, {"task": "pi"}), Sent("progress", None, {})]
    assert reader.last_id == 119


@pytest.mark.parametrize("piece", [b"data: [1]\n\n", b"data: {\n\n", b"x" * (BLOCK_BYTES_MAX + 1)], ids=len)
def test_what_is_no_stream_of_events_is_refused(piece: bytes) -> None:
    with pytest.raises(MalformedStreamError):
        StreamReader().feed(piece)


def test_the_picture_keeps_the_newest_events_and_none_of_progress() -> None:
    now = Picture()
    for number in range(EVENTS_KEPT + 5):
        now = now.after(Happened(event(number)))
    assert now.after(Happened(Sent("progress", None, {}))) == now
    assert len(now.lines) == len(now.events) == EVENTS_KEPT
    assert now.events[-1].id == EVENTS_KEPT + 4
    assert now.without_events().lines == now.lines


def test_a_trouble_is_shown_above_what_was_seen_last_until_it_is_over() -> None:
    troubled = (
        picture().after(Trouble("cluster", "nobody answers")).after(Told("lost the connection to node-3"))
    )
    screen = shown(troubled)
    assert screen[1] == "No news: nobody answers (trying again)"
    assert any("sieve_primes" in line for line in screen)
    assert any("lost the connection to node-3" in line for line in screen)
    assert "No news" not in "\n".join(shown(troubled.after(Trouble("cluster", None))))
    assert shown(Picture())[0] == f"Waiting for {URL}"


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (80, 12), (60, 30), (200, 60), (20, 6)])
def test_a_screen_fits_its_terminal(columns: int, rows: int) -> None:
    for nodes, tasks in ((6, 10), (50, 300), (1, 0)):
        screen = shown(picture(nodes, tasks), columns, rows)
        assert all(len(line) <= columns for line in screen)
        assert len(screen) <= max(rows, 7), "seven are the least that headings and keys take"


def test_80_columns_have_room_for_lease_place_elapsed_progress_and_what_happened() -> None:
    screen = "\n".join(shown(picture()))
    assert "node-6  live   ████████████  14.5 s  1     1     4711 on a-host-with-a-rather" in screen
    assert "sieve_primes   node-3 #41  1m 15s   █████░░░░░░░  42% files" in screen
    assert "failed 2m ago: OSError: f" in screen
    assert "11:59:58  started     pi #41 on node-3: schedule" in screen


def test_a_lease_that_is_not_renewed_shrinks_against_the_longest_one() -> None:
    stuck = picture(nodes=1).after(Seen(NOW, (), (node("node-1", leaseSeconds=3.7),)))
    assert "███░░░░░░░░░  3.7 s" in "\n".join(shown(stuck))
    over = stuck.after(Seen(NOW, (), (node("node-1", state="dead", leaseSeconds=0.0),)))
    assert "dead   ░░░░░░░░░░░░  over" in "\n".join(shown(over))


def test_where_room_is_short_what_runs_stays_in_sight() -> None:
    tasks = (*(task(f"task_number_{one}") for one in range(20)), task("sieve_primes", running=RUNNING))
    crowded = Picture().after(Seen(NOW, tasks, (node("node-1"),)))
    assert any(line.startswith("sieve_primes") for line in shown(crowded, rows=12))


def test_what_does_not_fit_is_counted() -> None:
    screen = "\n".join(shown(picture(nodes=50, tasks=300), rows=30))
    nodes = sum(line.startswith("node-") for line in screen.splitlines())
    assert f"+ {50 - nodes} more" in screen


def test_bars_need_no_colours_and_no_special_letters() -> None:
    assert bar(0.5, "green").plain == "██████░░░░░░"
    assert bar(0.99, "green", is_ascii=True).plain == "###########."


def test_a_filter_keeps_what_has_all_its_words() -> None:
    only = filtered(picture(), "NODE-3 41")
    assert only.seen is not None
    assert [one["name"] for one in only.seen.tasks] == ["sieve_primes"]
    assert len(only.lines) == 1
    assert len(only.seen.nodes) == 6, "words that are no node's leave the nodes in sight"
    one = filtered(picture(), "node-3").seen
    assert one is not None and [member["name"] for member in one.nodes] == ["node-3"]
    assert filtered(picture(), "dead").lines == ()
    assert filtered(picture(), " ") == picture()


def test_keys_end_pause_and_filter() -> None:
    def after(keys: str) -> Controls:
        controls = Controls()
        for key in keys:
            controls = controls.after(key)
        return controls

    assert after("q") == Controls(is_over=True)
    assert after("p") == Controls(is_paused=True)
    assert after("pp") == after("x") == Controls()
    assert after("/qp") == Controls(typing="qp"), "letters of a filter are no commands"
    assert after("/qp").filter == "qp", "it counts while one types"
    assert after("/pix\x7f\r") == Controls(words="pi")
    assert after("/pi\r/\x1b") == after("/pi\r\x1b") == Controls()
    assert len(after("/" + "x" * 100).filter) == WORDS_CHARACTERS_MAX


def test_a_paused_screen_and_a_filter_say_so() -> None:
    assert shown(picture(), is_paused=True)[-1].startswith("PAUSED, p goes on")
    assert "only: pi" in shown(picture(), words="pi")[-1]
    assert shown(picture(), typing="si")[-1].startswith("/si_")


def test_nothing_that_a_job_wrote_moves_the_cursor() -> None:
    progress = {"done": 1, "total": 2, "message": "\x1b[2J\x07"}
    evil = Seen(NOW, (task("pi", running=RUNNING | {"progress": progress}),), (node("n\x1b[1m"),))
    now = Picture().after(evil).after(Happened(event(detail="\x1b[31m\nred")))
    assert "\x1b" not in "\n".join(shown(now, rows=None) + lines(now))


def test_plain_lines_tell_the_same() -> None:
    said = lines(picture(nodes=1, tasks=1))
    assert said[1].split()[:3] == ["node-1", "live", "14.5"]
    assert "#####.......  42% files of many" in said[4]
    assert said[-1] == "11:59:58  started     pi #41 on node-3: schedule"
