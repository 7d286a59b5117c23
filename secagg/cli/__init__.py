"""The command line `secagg`.

Every command takes `--json`: exactly one JSON object on stdout, text for people on stderr. An expected error is one
line on stderr, never a traceback. Exit codes: 0 done, 1 the round or the check failed, 2 bad usage or a package that is
not installed.
"""

import json
import sys

from secagg.extras import MissingExtra, needed
from secagg_protocols.errors import ParameterError, SecAggError


def main() -> None:
    """Run the command line and leave with its exit code."""
    try:
        with needed("cli"):
            from secagg.cli.app import app
        app(prog_name="secagg")
    except (SecAggError, MissingExtra, OSError) as error:
        _refuse(error)


def _refuse(error: Exception) -> None:
    told = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
    reason = " ".join(told.split())
    if "--json" in sys.argv[1:]:
        print(json.dumps({"error": reason, "kind": type(error).__name__}))
    print(f"secagg: {reason}", file=sys.stderr)
    sys.exit(2 if isinstance(error, (ParameterError, ImportError)) else 1)
