"""What attacks on frameworks share: their own code stands where others have a defence broken on purpose."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import ClassVar

import numpy as np

from ..attack import Attack
from ..defence import Defence

FLOWER = ("Flower", "flwr")
FLARE = ("NVIDIA FLARE", "nvflare")


class OnFramework(Attack):
    """An attack on a framework as it ships. The other defences show what this project has in its place."""

    broken_is: ClassVar[str] = "as it ships"
    framework: ClassVar[tuple[str, str]]
    """Its name, and that of its package."""
    part: ClassVar[str]
    """What of it is attacked."""

    def weak(self) -> Defence:
        said, package = self.framework
        try:
            said = f"{said} {version(package)}"
        except PackageNotFoundError:  # its cell says which extra is missing
            said = f"{said}, which is not installed"
        return Defence(package, f"{self.part}, in {said} as it ships", broken=said)


@contextmanager
def silent(seed: int) -> Iterator[None]:
    """Keep a framework's log quiet, and draw its noise, which is numpy's global generator's, from this seed."""
    disabled = logging.root.manager.disable
    state = np.random.get_state()
    logging.disable(logging.CRITICAL)
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(state)
        logging.disable(disabled)
