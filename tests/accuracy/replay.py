"""Runs eddy over data and tells what came of it: two processes at a time, each replay once for all rows that ask for it."""
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile
import threading

EDDY = os.path.join(os.environ.get("BUILD", "build"), "eddy")
DATA = os.environ.get("DATA", "../shared/data")
PROCESSES = 2

_pool = concurrent.futures.ThreadPoolExecutor(PROCESSES)
_scratch = tempfile.TemporaryDirectory(prefix="eddy-accuracy-")
_lock = threading.Lock()
_asked = {}


class Refused(Exception):
    """eddy would not run: its last words."""


def scratch(name):
    """A path of this run's own, thrown away at its end."""
    path = os.path.join(_scratch.name, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


def _run(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise Refused(" ".join(command) + "\n" + "\n".join(done.stderr.strip().splitlines()[-3:]))


def _replay(arguments, read, number):
    output = scratch(f"{number}.jsonl") if read else None
    metrics = scratch(f"{number}.json")
    _run(EDDY, "replay", *arguments, "--metrics", metrics, *(["--output", output] if read else []))
    with open(metrics) as file:
        figures = json.load(file)
    found = None
    if read:
        with open(output) as file:
            found = read(json.loads(line) for line in file)
        os.unlink(output)
    os.unlink(metrics)
    return figures, found


def replay(config, *arguments, seed=1, read=None):
    """A future of (figures, what `read` made of the records of --output)."""
    arguments = (config, *arguments, "--set", f"seed={seed}")
    with _lock:
        asked = arguments + ((id(read),) if read else ())
        if asked not in _asked:
            _asked[asked] = _pool.submit(_replay, arguments, read, len(_asked))
        return _asked[asked]


def train(config, *arguments, name, seed=1):
    """A future of the path of a model."""
    path = scratch(f"{name}.safetensors")

    def work():
        _run(EDDY, "train", config, *arguments, "--output", path, "--set", f"seed={seed}")
        return path

    return _pool.submit(work)


def has_data(*names):
    """Whether ../shared/data has them; says loudly when not."""
    missing = [name for name in names if not os.path.exists(os.path.join(DATA, name))]
    if missing:
        print(f"SKIPPED: {', '.join(os.path.join(DATA, name) for name in missing)} is not there", file=sys.stderr)
    return not missing


def data(name):
    return os.path.join(DATA, name)
