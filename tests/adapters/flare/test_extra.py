"""Without FLARE, and with one that was not tested."""

import subprocess
import sys

import pytest

from secagg.extras import check_version
from secagg_protocols import ParameterError
from secagg_protocols.errors import install_line


def test_importing_the_adapter_without_flare_names_the_extra():
    program = (
        "import importlib.metadata as m\n"
        "def gone(name): raise m.PackageNotFoundError(name)\n"
        "m.version = gone\n"
        "import secagg.adapters.flare"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"MissingExtra: nvflare is not installed; in your clone of secagg: {install_line('flare')}" in done.stderr


def test_a_site_loads_no_pytorch():
    program = "import secagg.adapters.flare.site, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_version_that_was_not_tested_is_refused():
    check_version("flare", "nvflare", "2.9.7")
    with pytest.raises(ParameterError, match=r"nvflare 2\.9\.0 is installed.* tested with 2\.10\.0"):
        check_version("flare", "nvflare", "2.10.0")
