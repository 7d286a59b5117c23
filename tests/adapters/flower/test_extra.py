"""Without Flower."""

import subprocess
import sys

from secagg_protocols.errors import install_line


def test_importing_the_adapter_without_flower_names_the_extra():
    program = "import sys; sys.modules['flwr'] = None; import secagg.adapters.flower"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert f"MissingExtra: flwr is not installed; in your clone of secagg: {install_line('flower')}" in done.stderr
