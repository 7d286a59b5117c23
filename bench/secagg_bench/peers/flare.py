"""FLARE's own homomorphic encryption: its provisioned CKKS keys, its filters at a client, its aggregator at the server.

In-process, with FLARE's own bytes between the parties. One layer, its cheapest case: every further layer carries the
encryption context again. A client that drops out costs FLARE nothing, so only survivors are run. Decrypting the mean is
part of a client's time, since nobody else can.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tenseal  # noqa: F401  (FLARE needs it; a missing one is to be told by its own name)
from nvflare.apis.dxo import DXO, DataKind, MetaKey, from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import FLContextKey, ReservedKey
from nvflare.apis.fl_context import FLContext, FLContextManager
from nvflare.app_common.abstract.model import make_model_learnable
from nvflare.app_common.app_constant import AppConstants
from nvflare.app_opt.he.intime_accumulate_model_aggregator import HEInTimeAccumulateWeightedAggregator
from nvflare.app_opt.he.model_decryptor import HEModelDecryptor
from nvflare.app_opt.he.model_encryptor import HEModelEncryptor
from nvflare.app_opt.he.model_shareable_generator import HEModelShareableGenerator
from nvflare.fuel.sec.security_content_service import SecurityContentService
from nvflare.fuel.utils import fobs
from nvflare.lighter.impl.he import HEBuilder
from nvflare.private.fed.utils.fed_utils import fobs_initialize

from .task import NAME, Cost, CpuClock, Task


def measure(task: Task) -> Cost:
    """Run one round with FLARE's default parameters. Raises ArithmeticError if the mean is wrong."""
    logging.disable(logging.CRITICAL)
    fobs_initialize()
    provision()
    clock = CpuClock()
    sizes = []

    def uploads() -> Iterator[tuple[int, bytes]]:
        for participant in task.survivors:
            upload = upload_of(task, participant, clock)
            sizes.append(len(upload))
            yield participant, upload

    download = download_for(task, uploads(), clock)
    survivors = len(task.survivors)
    decrypting = CpuClock()
    mean = decrypted(download, "site-1", decrypting)
    return Cost(
        version=version("nvflare"),
        client_ms=clock.ms["client"] / survivors + decrypting.ms["client"],
        server_ms=clock.ms["server"],
        upload_bytes=sum(sizes) / survivors,
        max_abs_error=task.error_of(mean),
        client_wire_ms=clock.ms["client wire"] / survivors + decrypting.ms["client wire"],
        server_wire_ms=clock.ms["server wire"],
        encrypt_ms=clock.ms["client"] / survivors,
        download_bytes=len(download),
    )


def download_for(task: Task, uploads: Iterable[tuple[int, bytes]], clock: CpuClock) -> bytes:
    """Return what the server sends to every site: the encrypted mean of what participants sent."""
    server = _context("server", "site-1", 0)
    aggregator = _started(
        HEInTimeAccumulateWeightedAggregator(expected_data_kind=DataKind.WEIGHTS, weigh_by_local_iter=False), server
    )
    generator = _started(HEModelShareableGenerator(), server)
    for participant, upload in uploads:
        with clock.spent_on("server", "server wire"):
            received = fobs.loads(upload)
        received.set_peer_props({ReservedKey.IDENTITY_NAME: f"site-{participant}"})
        received.add_cookie(AppConstants.CONTRIBUTION_ROUND, 0)
        with clock.spent_on("server"):
            accepted = aggregator.accept(received, server)
        if not accepted:
            raise ArithmeticError(f"FLARE's aggregator refused the upload of participant {participant}")
    zeros = make_model_learnable({NAME: np.zeros(task.length, np.float32)}, {})
    server.set_prop(AppConstants.GLOBAL_MODEL, zeros, private=True, sticky=True)
    with clock.spent_on("server"):
        model = generator.shareable_to_learnable(aggregator.aggregate(server), server)
        answer = generator.learnable_to_shareable(model, server)
    with clock.spent_on("server", "server wire"):
        download: bytes = fobs.dumps(answer)
    return download


def upload_of(task: Task, participant: int, clock: CpuClock) -> bytes:
    """Return what a site sends: its update, encrypted."""
    context = _context(f"site-{participant}", "server", 0)
    encryptor = _started(HEModelEncryptor(weigh_by_local_iter=True), context)
    meta = {MetaKey.NUM_STEPS_CURRENT_ROUND: task.weight(participant)}
    update = DXO(DataKind.WEIGHTS, data={NAME: task.update(participant)}, meta=meta).to_shareable()
    with clock.spent_on("client"):
        encrypted = encryptor.process(update, context)
    with clock.spent_on("client", "client wire"):
        upload: bytes = fobs.dumps(encrypted)
    return upload


def decrypted(message: bytes, site: str, clock: CpuClock) -> Any:
    """Return the values in a message, as this site opens them."""
    context = _context(site, "server", 1)
    decryptor = _started(HEModelDecryptor(), context)
    with clock.spent_on("client", "client wire"):
        received = fobs.loads(message)
    with clock.spent_on("client"):
        values = from_shareable(decryptor.process(received, context)).data[NAME]
    return np.asarray(values)


@cache  # its content service is set up once in a process
def provision() -> TemporaryDirectory[str]:
    """Give this process what `nvflare provision` writes: the key pair of all clients. The folder lives as long."""
    kept = TemporaryDirectory()
    write_contexts(Path(kept.name))
    SecurityContentService.initialize(content_folder=kept.name)
    return kept


def write_contexts(folder: Path) -> None:
    """Make such a key pair with FLARE's default parameters, and write both of its files."""
    builder = HEBuilder()
    builder.initialize(None, None)
    (folder / "client_context.tenseal").write_bytes(builder.get_serialized_context(is_client=True))
    (folder / "server_context.tenseal").write_bytes(builder.get_serialized_context())


def _context(name: str, peer: str, round_number: int) -> Any:
    context = FLContextManager(engine=None, identity_name=name, job_id="bench").new_context()
    context.set_prop(FLContextKey.SECURE_MODE, False, private=True, sticky=True)
    context.set_prop(AppConstants.CURRENT_ROUND, round_number, private=True, sticky=True)
    other = FLContext()
    other.set_prop(ReservedKey.IDENTITY_NAME, peer, private=False, sticky=True)
    context.set_peer_context(other)
    return context


def _started(component: Any, context: Any) -> Any:
    component.handle_event(EventType.START_RUN, context)
    return component
