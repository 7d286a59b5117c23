"""Rounds of the user's own for `secagg bench overhead`, and their costs as a table that other programs read."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from secagg.cli.memory import check_fits
from secagg.train.setting import Called

from .cases import CCS17_AXES, Axes, Case, Grid, grid_of_axes
from .overhead import Cost, describe


@dataclass(frozen=True, kw_only=True)
class OwnAxes:
    """What the command line takes of them. An axis that is not given has the round's value of `secagg simulate`."""

    clients: Annotated[tuple[int, ...], typer.Option(min=1, help="Participants, n; repeatable: an axis.")] = ()
    length: Annotated[tuple[int, ...], typer.Option(min=1, help="Values in each vector, d; repeatable.")] = ()
    drop: Annotated[
        tuple[float, ...],
        typer.Option(min=0, max=1, help="Fraction that drops out before its input; repeatable."),
        Called(("dropouts", "dropout_rate"), converted=True),
    ] = ()
    bits: Annotated[
        int | None, typer.Option(min=1, max=63, help="Bits of each value; 16 if not said."), Called(("value_bits",))
    ] = None
    ccs17: Annotated[
        bool,
        typer.Option("--ccs17", help="The axes of the CCS'17 figures, where none of your own; takes long."),
    ] = False

    @property
    def given(self) -> bool:
        """Whether there are any."""
        return self.ccs17 or self.bits is not None or bool(self.clients or self.length or self.drop)

    def grid(self, schemes: tuple[str, ...]) -> Grid:
        """Return their grid. Raises `ParameterError`, `typer.BadParameter` before anything is measured."""
        others = CCS17_AXES if self.ccs17 else Axes(clients=(10,), length=(1000,), drop=(0.0,), bits=16)
        axes = Axes(
            clients=self.clients or others.clients,
            length=self.length or others.length,
            drop=self.drop or others.drop,
            bits=self.bits or others.bits,
        )
        grid = grid_of_axes(schemes or ("bonawitz",), axes)
        for case in grid.cases:
            scheme = case.build()
            check_fits(scheme)
            left = case.clients - round(case.drop * case.clients)
            if left < scheme.quorum:
                raise typer.BadParameter(
                    f"{describe(case)}: {left} are left, and {scheme.quorum} are needed", param_hint="--drop"
                )
        return grid


def write_csv(path: Path, costs: Mapping[Case, Cost]) -> None:
    """Write a row for each round. Times are CPU milliseconds; a dot in a column's name is a field within a field."""
    rows = [dict(_flat(msgspec.to_builtins(cost))) for cost in costs.values()]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, columns, restval="")
        table.writeheader()
        table.writerows(rows)


def _flat(fields: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for name, value in fields.items():
        flat += _flat(value, f"{before}{name}.") if isinstance(value, dict) else [(before + name, value)]
    return flat
