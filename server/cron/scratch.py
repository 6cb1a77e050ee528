"""Where the scratch folders of runs lie, and what happens to those that a killed node left behind.

A run's folder is made when its job starts and removed when the run has ended. A node that is
killed removes nothing, and a job may have written as much as the disk holds; so its next
incarnation does, before it starts anything: by then nothing of the last one lives.
"""

import shutil
from pathlib import Path


def folder_of(var_folder: Path, node: str, run_id: int) -> Path:
    """The folder of one run."""
    return _all_in(var_folder) / f"{node}-{run_id}"


def clear(var_folder: Path, node: str) -> None:
    """Removes the folders of all runs of that node. Blocks."""
    for folder in _all_in(var_folder).glob(f"{node}-*"):
        if folder.name.removeprefix(f"{node}-").isdecimal():
            shutil.rmtree(folder, ignore_errors=True)  # what can't be removed now waits for the next time


def _all_in(var_folder: Path) -> Path:
    return var_folder / "run" / "scratch"
