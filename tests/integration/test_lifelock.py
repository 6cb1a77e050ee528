"""The lock that proves a death: who keeps it, who may test it, and what proves nothing."""

import dataclasses
import fcntl
import os
import signal
import threading
from pathlib import Path

import pytest
from fake_node import ABANDONER, SLEEPER, is_gone, wait_until

from server.cluster.lifelock import LifeLock, clear_stale, is_proven_dead

# Lets go of everything that it inherited, as Python's subprocess does for what it starts.
CLOSER = ABANDONER.replace(
    "        time.sleep(600)\n    os._exit", "        os.closerange(3, 256); time.sleep(600)\n    os._exit"
)
HOARDER = (
    "import time; held = bytearray(400_000_000); held[::4096] = bytes(len(held[::4096])); time.sleep(600)"
)


@pytest.fixture
def lock(tmp_path: Path):
    held = LifeLock(tmp_path / "locks", "node-1")
    yield held
    os.close(held.fd)


@pytest.fixture
def free_lock(tmp_path: Path):
    """The lock of an incarnation whose processes are gone."""
    left = LifeLock(tmp_path / "locks", "node-1")
    left.release()
    return left


def test_ones_own_lock_met_again_is_no_proof_and_is_not_lost_by_testing(lock):
    """As when the answer to a registration is lost, and the next one finds this very incarnation there."""
    assert not is_proven_dead(lock.identity)
    # A lock of fcntl(2) would have gone with the tester's descriptor.
    assert not is_proven_dead(lock.identity)


def test_a_restarted_instance_has_a_file_of_its_own_and_finds_the_one_before_free(tmp_path, free_lock):
    restarted = LifeLock(tmp_path / "locks", "node-1")
    assert restarted.identity != free_lock.identity
    assert is_proven_dead(free_lock.identity)
    assert not is_proven_dead(restarted.identity)
    restarted.release()


def test_testers_at_one_moment_all_get_the_proof(free_lock):
    testing = os.open(free_lock.path, os.O_RDONLY)
    fcntl.flock(testing, fcntl.LOCK_SH)
    barrier, answers = threading.Barrier(20), []

    def test() -> None:
        barrier.wait()
        answers.append(is_proven_dead(free_lock.identity))

    threads = [threading.Thread(target=test) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.close(testing)
    assert answers == [True] * 20


@pytest.mark.parametrize(
    "changed",
    [{"boot_id": "another start of the host"}, {"device": 1}, {"inode": 1}, {"path": "/nowhere/at/all"}],
)
def test_another_boot_another_file_and_no_file_prove_nothing(free_lock, changed):
    assert not is_proven_dead(dataclasses.replace(free_lock.identity, **changed))


def test_a_file_that_was_put_in_the_place_of_the_lock_proves_nothing(free_lock):
    free_lock.path.unlink()
    free_lock.path.symlink_to(Path(__file__))
    assert not is_proven_dead(free_lock.identity)
    free_lock.path.unlink()
    free_lock.path.touch()
    identity = free_lock.identity
    if free_lock.path.stat().st_ino == identity.inode:  # the file system gave the number away again
        identity = dataclasses.replace(identity, inode=identity.inode + 1)
    assert not is_proven_dead(identity)


def test_only_files_of_the_dead_of_the_same_name_are_cleared_away(tmp_path, free_lock, lock):
    other = LifeLock(tmp_path / "locks", "node-11")
    other.release()
    mine = LifeLock(tmp_path / "locks", "node-1")
    clear_stale(tmp_path / "locks", "node-1", mine.path)
    mine.release()
    assert {path.name for path in (tmp_path / "locks").iterdir()} == {
        lock.path.name,
        other.path.name,
        mine.path.name,
    }


def test_a_job_with_much_memory_holds_the_lock_until_it_is_gone(fake_node):
    """Freeing memory takes the kernel its time, and a proof before the end of that would be none."""
    node = fake_node(600, HOARDER, SLEEPER)
    resident = Path(f"/proc/{node.jobs[0]}/statm")
    wait_until(lambda: int(resident.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") > 390_000_000)
    os.kill(node.process.pid, signal.SIGKILL)

    def is_proven() -> bool:
        if not is_proven_dead(node.lock):
            return False
        assert all(map(is_gone, node.jobs)), "the lock was free before the job had ended"
        return True

    wait_until(is_proven, 20)


def test_what_survives_node_and_guardian_killed_together_leaves_no_proof_while_it_holds_the_lock(
    fake_node, tmp_path
):
    """What docs/protocol.md does not promise: then the lease decides."""
    note = tmp_path / "grandchild"
    node = fake_node(600, f"PATH = {str(note)!r}\n{ABANDONER}")
    survivor = int(wait_until(lambda: note.exists() and note.read_text()))
    node.kill_together_with_guardian()
    wait_until(lambda: is_gone(node.jobs[0]), 5)
    assert not is_gone(survivor)
    assert not is_proven_dead(node.lock)
    os.kill(survivor, signal.SIGKILL)
    wait_until(lambda: is_proven_dead(node.lock), 5)


def test_a_survivor_that_closed_what_it_inherited_does_not_keep_the_proof_away(fake_node, tmp_path):
    note = tmp_path / "grandchild"
    node = fake_node(600, f"PATH = {str(note)!r}\n{CLOSER}")
    survivor = int(wait_until(lambda: note.exists() and note.read_text()))
    node.kill_together_with_guardian()
    wait_until(lambda: is_proven_dead(node.lock), 5)
    assert not is_gone(survivor)
    os.kill(survivor, signal.SIGKILL)
