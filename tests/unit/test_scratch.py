"""What a killed node left in the folders of its runs."""

from server.cron import scratch


def test_folders_of_a_nodes_runs_are_removed_and_nobody_elses(tmp_path):
    for name in ("node-1-7", "node-1-12", "node-10-7", "node-1-notes"):
        (tmp_path / "run" / "scratch" / name / "deep").mkdir(parents=True)
    assert scratch.folder_of(tmp_path, "node-1", 7).is_dir()
    scratch.clear(tmp_path, "node-1")
    assert {found.name for found in (tmp_path / "run" / "scratch").iterdir()} == {"node-10-7", "node-1-notes"}


def test_where_no_run_was_ever_started_there_is_nothing_to_remove(tmp_path):
    scratch.clear(tmp_path, "node-1")
