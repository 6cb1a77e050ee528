"""What the keys of a live screen do. Pure: a key in, the new state out."""

from dataclasses import dataclass, replace

WORDS_CHARACTERS_MAX = 60
ESCAPE, DELETE = "\x1b", ("\x7f", "\b")


@dataclass(frozen=True)
class Controls:
    """What the person at the keys has chosen.

    words: the filter that counts. typing: the one that is being typed; None while none is.
    """

    is_over: bool = False
    is_paused: bool = False
    words: str = ""
    typing: str | None = None

    def after(self, key: str) -> "Controls":
        """The state after one key; one that means nothing changes nothing."""
        if self.typing is not None:
            return self._after_typed(self.typing, key)
        if key in ("q", "Q"):
            return replace(self, is_over=True)
        if key in ("p", "P", " "):
            return replace(self, is_paused=not self.is_paused)
        if key == "/":
            return replace(self, typing=self.words)
        if key == ESCAPE:
            return replace(self, words="")
        return self

    def _after_typed(self, typed: str, key: str) -> "Controls":
        if key in ("\r", "\n"):
            return replace(self, words=typed.strip(), typing=None)
        if key == ESCAPE:
            return replace(self, words="", typing=None)
        if key in DELETE:
            return replace(self, typing=typed[:-1])
        if key.isprintable():
            return replace(self, typing=(typed + key)[:WORDS_CHARACTERS_MAX])
        return self

    @property
    def filter(self) -> str:
        """What is shown by now: it follows while one types."""
        return self.words if self.typing is None else self.typing
