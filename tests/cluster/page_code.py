"""The code that a page of the documentation shows, as modules."""

import re
from pathlib import Path
from types import ModuleType

DOCS = Path(__file__).resolve().parents[2] / "docs"


def code_of(page: str, module: str) -> str:
    """The block of a page that begins with `# module.py`."""
    text = (DOCS / page).read_text(encoding="utf-8")
    blocks = re.findall(rf"```python\n(# {module}\.py\n.*?)```", text, re.DOTALL)
    assert len(blocks) == 1, f"{page} shows {module}.py {len(blocks)} times"
    return blocks[0]


def module_of(page: str, name: str) -> ModuleType:
    """The same, executed."""
    module = ModuleType(name)
    exec(compile(code_of(page, name), f"{page}: {name}.py", "exec"), module.__dict__)
    return module
