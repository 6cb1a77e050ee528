"""What the peers need beyond this repository: Node's packages, installed once below var/bench."""

import importlib.util
import shutil
import subprocess
from pathlib import Path

PEERS = Path(__file__).parents[1] / "peers"
INSTALL_SECONDS_MAX = 300.0


def missing_python(*modules: str) -> str:
    """Why a Python peer can't run; empty if it can."""
    absent = [module for module in modules if importlib.util.find_spec(module) is None]
    return f"{', '.join(absent)} missing (make bench installs it)" if absent else ""


def missing_node() -> str:
    """Why no peer of Node can run; empty if they can."""
    absent = [program for program in ("node", "npm") if shutil.which(program) is None]
    return f"{' and '.join(absent)} missing (apt-get install nodejs npm)" if absent else ""


def install_node_peer(name: str, folder: Path) -> tuple[Path, str]:
    """Copies a peer and installs its packages, unless that was done.

    Returns its folder, and why it can't run; empty if it can.
    """
    target = folder / name
    why = missing_node()
    if why:
        return target, why
    source = PEERS / name
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source / "server.js", target)
    wanted = (source / "package.json").read_bytes()
    stamp = target / "installed.json"
    if stamp.exists() and stamp.read_bytes() == wanted:
        return target, ""
    shutil.copy2(source / "package.json", target)
    argv = ["npm", "install", "--no-audit", "--no-fund", "--omit=dev", "--loglevel=error"]
    try:
        done = subprocess.run(
            argv, cwd=target, capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX, check=False
        )
    except subprocess.TimeoutExpired:
        return target, f"npm install took longer than {INSTALL_SECONDS_MAX:g} s"
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return target, f"npm install failed: {last[:200]}"
    stamp.write_bytes(wanted)
    return target, ""


def node() -> str:
    """Node's full path; its bare name where it is missing."""
    return shutil.which("node") or "node"
