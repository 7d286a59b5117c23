"""`python -m secagg_bench.memory [LENGTH [CLIENTS]]`: the most memory each party holds, in packed vectors.

One participant drops out before its masked input. A participant's figure counts its input (16-bit values); the server's
counts its sum and the one upload in flight. Allocations are traced, so this takes longer than the round itself.
"""

from __future__ import annotations

import argparse
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from secagg import Bonawitz, Client, Envelope, Server, Simulation, Step
from secagg.cli.workload import Workload


@dataclass
class _Peaks:
    """The most bytes that one call of a party had allocated."""

    client: int = 0
    server: int = 0


def measure(length: int, clients: int) -> tuple[float, float]:
    """Return the peaks of one participant and of the server, each divided by a packed vector's bytes."""
    scheme = Bonawitz(clients, length)
    workload = Workload(0, clients, length, 16)
    simulation = Simulation(scheme, workload.vector, drop={clients: Step.MASKED_INPUT})
    peaks = _Peaks()

    def watch_client(call: Callable[..., list[Envelope]], *arguments: object) -> list[Envelope]:
        tracemalloc.start()
        result = call(*arguments)
        given = sum(argument.nbytes for argument in arguments if isinstance(argument, np.ndarray))
        peaks.client = max(peaks.client, tracemalloc.get_traced_memory()[1] + given)
        tracemalloc.stop()
        return result

    def watch_server(call: Callable[[], list[Envelope]]) -> list[Envelope]:
        tracemalloc.start()
        result = call()
        peaks.server = max(peaks.server, tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        return result

    for client in simulation.clients.values():
        _wrap(client, "contribute", watch_client)
    _wrap(simulation.server, "advance", watch_server)
    run = simulation.run()
    if workload.largest_difference(run.output):
        raise ArithmeticError("the sum is wrong")
    packed = scheme.domain.lanes.size
    held = run.output.words.nbytes
    return peaks.client / packed, (held + max(packed, peaks.server)) / packed


def _wrap(machine: Client | Server, name: str, around: Callable[..., list[Envelope]]) -> None:
    call = getattr(machine, name)
    setattr(machine, name, lambda *arguments: around(call, *arguments))


def main() -> None:
    """Measure and print one line."""
    parser = argparse.ArgumentParser(prog="python -m secagg_bench.memory")
    parser.add_argument("length", nargs="?", type=int, default=100_000_000)
    parser.add_argument("clients", nargs="?", type=int, default=10)
    options = parser.parse_args()
    length = options.length
    clients = options.clients
    client, server = measure(length, clients)
    print(f"{length:,} values, {clients} clients: client {client:.2f}, server {server:.2f} packed vectors at most")


if __name__ == "__main__":
    main()
