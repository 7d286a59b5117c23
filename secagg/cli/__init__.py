"""The command line `secagg`.

Every command takes `--json`: exactly one JSON object on stdout, text for people on stderr. An expected error is one
line on stderr, never a traceback. Exit codes: 0 done, 1 the round or the check failed, 2 bad usage or a package that is
not installed.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, NoReturn

from secagg.extras import MissingExtra, needed
from secagg_protocols.errors import ParameterError, SecAggError

if TYPE_CHECKING:
    from click import ClickException


def main() -> None:
    """Run the command line and leave with its exit code."""
    try:
        with needed("cli"):
            from click import ClickException

            from secagg.cli.app import command
    except MissingExtra as missing:
        _refuse(missing, str(missing), 2)
    try:
        sys.exit(command()(prog_name="secagg", standalone_mode=False))
    except ClickException as bad:
        _refuse(bad, _usage(bad), bad.exit_code)
    except (ParameterError, MissingExtra) as refused:
        _refuse(refused, str(refused), 2)
    except SecAggError as failed:
        _refuse(failed, str(failed), 1)
    except OSError as failed:
        _refuse(failed, f"{failed.filename}: {failed.strerror}" if failed.filename else str(failed), 1)
    except MemoryError as full:
        _refuse(full, f"there is not enough memory for this{': ' if str(full) else ''}{full}; take smaller sizes", 1)


def _usage(bad: ClickException) -> str:
    """Return what is wrong with a call, and where its help is; nothing for a call that has shown the help itself."""
    said = bad.format_message()
    context = getattr(bad, "ctx", None)
    return f"{said.rstrip('.')} (see {context.command_path} --help)" if said and context is not None else said


def _refuse(error: Exception, told: str, code: int) -> NoReturn:
    if reason := " ".join(told.split()):
        if "--json" in sys.argv[1:]:
            print(json.dumps({"error": reason, "kind": type(error).__name__}))
        print(f"secagg: {reason}", file=sys.stderr)
    sys.exit(code)
