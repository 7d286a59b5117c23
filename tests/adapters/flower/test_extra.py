"""Without Flower."""

import subprocess
import sys


def test_importing_the_adapter_without_flower_names_the_extra():
    program = "import sys; sys.modules['flwr'] = None; import secagg.adapters.flower"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert (
        "MissingExtra: flwr is not installed; in your clone of secagg: pip install -c constraints.txt -e '.[flower]'"
        in done.stderr
    )
