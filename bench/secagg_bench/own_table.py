"""How the commands that take a table of one's own read it: as `secagg train` does, with the same options."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import typer

from secagg.train.data import Decimal, Ignored, Missing, Separator
from secagg.train.setting import Option


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a refusal of a table says to do."""

    schema: Annotated[Path | None, Option("Of --csv: JSON file with each column's agreed range or categories.")] = None
    ignore: Ignored = ()
    separator: Separator = None
    decimal: Decimal = "."
    missing: Missing = ()

    @property
    def settings(self) -> dict[str, Any]:
        """What was said, as settings of `secagg.train.data.Data`; without those that were left as they are."""
        return {one.name: said for one in fields(self) if (said := getattr(self, one.name)) != one.default}

    def check_unused(self) -> None:
        """Raise `typer.BadParameter` for an option that was given without a table."""
        for name in self.settings:
            raise typer.BadParameter("it says how to read --csv: give the table, too", param_hint=f"--{name}")
