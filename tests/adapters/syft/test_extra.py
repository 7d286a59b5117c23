"""Without PySyft, and with one that was not tested."""

import subprocess
import sys

import pytest

from secagg.extras import check_version
from secagg_protocols import ParameterError
from secagg_protocols.errors import install_line


def test_importing_the_adapter_without_pysyft_names_the_extra():
    program = (
        "import importlib.metadata as m\n"
        "def gone(name): raise m.PackageNotFoundError(name)\n"
        "m.version = gone\n"
        "import secagg.adapters.syft"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"MissingExtra: syft is not installed; in your clone of secagg: {install_line('syft')}" in done.stderr


def test_a_version_that_was_not_tested_is_refused():
    check_version("syft", "syft-rds", "0.6.9")
    with pytest.raises(ParameterError, match=r"syft 0\.10\.0 is installed.* tested with 0\.9\.5 \(fits 0\.9\.\*\)"):
        check_version("syft", "syft", "0.9.5")
