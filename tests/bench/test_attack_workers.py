"""Processes of `secagg bench attacks` do not outlive the one that asked."""

import os
import subprocess
import sys

ASKED = """
import sys
from functools import partial
from pathlib import Path
from secagg_bench.attacks.pieces import Piece
from secagg_bench.attacks.workers import Task, finish
from secagg_bench.journal import Journal

if __name__ == "__main__":
    works = partial(exec, "import time; print('runs', flush=True); time.sleep(60)")
    journal = Journal(Path(sys.argv[1]), Piece, resume=False)
    finish([Task("one", "", works), Task("two", "", works)], journal, lambda *_: None, 2)
"""


def test_processes_end_where_the_one_that_asked_is_killed(tmp_path):
    script = tmp_path / "asked.py"
    script.write_text(ASKED)
    command = [sys.executable, str(script), str(tmp_path / "journal")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as asked:
        assert asked.stdout.readline() == b"runs\n"
        asked.kill()
        asked.communicate(timeout=20)  # ends when nobody holds the pipe
