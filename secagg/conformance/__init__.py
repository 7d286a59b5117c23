"""Whether a scheme keeps what every scheme must keep: the suite and the attacks, for schemes of any package.

A package of schemes has one test file, and pytest does the rest (docs/own-scheme.md):

    from secagg.conformance import Case
    from secagg.conformance.suite import *
    from my_package import MyScheme

    CASES = [Case("my-scheme", MyScheme)]

What is asked of a scheme follows from what it can do (`capability`), never from its class or name. A test that needs
what a scheme cannot do is skipped, and the reason says what it cannot do.
"""

from ..extras import needed

with needed("conformance"):
    import pytest

pytest.register_assert_rewrite(*(f"{__name__}.{name}" for name in ("attack", "bonawitz", "driver", "kept", "suite")))

from .capability import Capability, needs  # noqa: E402  (what they assert is told in full only when rewritten)
from .case import Case  # noqa: E402

__all__ = ["Capability", "Case", "needs"]
