"""A hundred connections that send ten megabytes each, to a coordinator in a process of its own."""

import os
import re
import ssl
import threading
from pathlib import Path

import pytest

from secagg.stats import Mean, Number, Query

from .conftest import connected, head

CONNECTIONS = 100
BODY = bytes(1 << 20)
MEGABYTES = 10
MOST_MEMORY = 60
"""Megabytes that it may take more than before; all bodies together are a thousand."""

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")


def memory(process, what):
    """Return a process's memory in megabytes. what: VmRSS, now; VmHWM, the most so far."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(rf"{what}:\s+(\d+) kB", status)[1]) / 1000


def send(url, headers):
    try:
        with connected(url) as raw:
            raw.sendall(head("POST", headers.pop("target"), {"content-length": str(MEGABYTES * len(BODY)), **headers}))
            for _ in range(MEGABYTES):
                raw.sendall(BODY)
            raw.recv(1)
    except (OSError, ssl.SSLError):
        return


def test_memory_is_bounded_whoever_sends_what(processes, federation, certificate, called, tmp_path):
    query = Query(columns={"age": Number(0, 120)}, rows=1000, minimum_cell=5, statistics=(Mean("age"),))
    (tmp_path / "query.json").write_bytes(query.to_json())
    coordinator = processes.serve(federation, certificate)
    url = processes.url()
    north = called(url, "north")
    about, _ = north.poll()
    target = f"/v1/answer?about={about}"
    before = memory(coordinator, "VmRSS")
    threads = []
    for number in range(CONNECTIONS):
        signed = {"authorization": north.caller.header("POST", target)} if number % 2 else {}
        threads.append(threading.Thread(target=send, args=(url, {"target": target, **signed}), daemon=True))
        threads[-1].start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert memory(coordinator, "VmHWM") - before < MOST_MEMORY
    assert north.poll()[0] == about
    os.kill(coordinator.pid, 15)
    coordinator.join(20)
    assert coordinator.exitcode == 1
    assert "secagg: stopped; the same command goes on where this one was" in processes.output("coordinator").read_text()
