"""Shows what the readers tell until somebody ends it: a screen with keys, or lines for a program."""

import json
import select
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from rich.console import Console, RenderableType
from rich.live import Live

from server.cli.live.cluster_view import Size
from server.cli.live.controls import Controls
from server.cli.live.keyboard import Keyboard
from server.cli.live.picture import Picture, Seen, Trouble
from server.cli.live.readers import REFRESH_SECONDS, ClusterReader, EventFollower, Mailbox

# An event is shown at once, but a storm of them does not keep a core busy.
DRAW_SECONDS_MIN = 0.1


@dataclass(frozen=True)
class View:
    """What of the cluster is shown, and how.

    parts: what is asked for once a second. follows_events: whether GET /events is, too.
    fills_screen: whether it takes the whole terminal, and gives it back at the end.
    """

    parts: tuple[str, ...]
    render: Callable[[Picture, Controls, Size], RenderableType]
    lines: Callable[[Picture], list[str]]
    as_object: Callable[[Picture], dict[str, Any]]
    follows_events: bool = False
    fills_screen: bool = False


def show(view: View, picture: Picture, *, as_json: bool) -> None:
    """Shows one picture: in a terminal with colours, elsewhere plain."""
    console = Console(highlight=False)
    if as_json:
        print_json(view, picture)
    elif console.is_terminal:
        console.print(view.render(picture, Controls(), _size(console, is_whole=False)))
    else:
        print_lines(view, picture)


def watch(view: View, url: str, *, as_json: bool) -> None:
    """Shows the cluster until q or Ctrl-C, which end it without an error.

    What goes wrong meanwhile is shown, and tried again; RingfenceError is raised only for
    what no repetition would mend.
    """
    mailbox = Mailbox()
    ClusterReader(url, view.parts, mailbox).start()
    if view.follows_events:
        EventFollower(url, mailbox).start()
    console = Console(highlight=False)
    try:
        if as_json or not console.is_terminal:
            _print_over_and_over(view, mailbox, print_json if as_json else print_lines)
        _Screen(view, mailbox, console).run()
    except KeyboardInterrupt:
        return


def print_json(view: View, picture: Picture) -> None:
    """One object on one line."""
    print(json.dumps(view.as_object(picture), ensure_ascii=False), flush=True)


def print_lines(view: View, picture: Picture) -> None:
    """Plain columns."""
    print("\n".join(view.lines(picture)), flush=True)


def _print_over_and_over(
    view: View, mailbox: Mailbox, print_one: Callable[[View, Picture], None]
) -> NoReturn:
    """Whenever the cluster was read, with the events since then; troubles go beside the output."""
    notes = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    picture = Picture()
    while True:
        select.select([mailbox.descriptor], [], [])
        for news in mailbox.take():
            picture = picture.after(news)
            match news:
                case Trouble(text=str(text)):
                    notes.print(f"No news: {text} (trying again)")
                case Seen():
                    print_one(view, picture)
                    picture = picture.without_events()


class _Screen:
    """The terminal: the picture, kept up to date, and the keys."""

    def __init__(self, view: View, mailbox: Mailbox, console: Console) -> None:
        self._view, self._mailbox, self._console = view, mailbox, console
        self._picture = self._frozen = Picture()
        self._controls = Controls()

    def run(self) -> None:
        """Returns when q is pressed."""
        fills = self._view.fills_screen
        with (
            Keyboard() as keyboard,
            Live(
                self._drawn(),
                console=self._console,
                auto_refresh=False,
                vertical_overflow="crop",
                screen=fills,
            ) as live,
        ):
            drawn_at = float("-inf")
            while not self._controls.is_over:
                wait = max(0.0, drawn_at + DRAW_SECONDS_MIN - time.monotonic())
                time.sleep(wait)
                live.update(self._drawn(), refresh=True)
                drawn_at = time.monotonic()
                self._await_something(keyboard)

    def _await_something(self, keyboard: Keyboard) -> None:
        """Until there is news or a key, or a refresh is due: the window may have another size."""
        watched = [self._mailbox.descriptor]
        if keyboard.descriptor is not None:
            watched.append(keyboard.descriptor)
        ready, _, _ = select.select(watched, [], [], REFRESH_SECONDS)
        if keyboard.descriptor in ready:
            for key in keyboard.pressed():
                was_paused = self._controls.is_paused
                self._controls = self._controls.after(key)
                if self._controls.is_paused and not was_paused:
                    self._frozen = self._picture
        for news in self._mailbox.take():
            self._picture = self._picture.after(news)
        self._picture = self._picture.without_events()

    def _drawn(self) -> RenderableType:
        picture = self._frozen if self._controls.is_paused else self._picture
        return self._view.render(
            picture, self._controls, _size(self._console, is_whole=self._view.fills_screen)
        )


def _size(console: Console, *, is_whole: bool) -> Size:
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower()
    return Size(console.width, console.height if is_whole else None, is_ascii=not encoding.startswith("utf"))
