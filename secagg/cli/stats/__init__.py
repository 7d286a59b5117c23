"""`secagg stats`: statistics of several sites as secure sums."""

from secagg.cli.command import Commands

from .table import table

app = Commands(help="Statistics of several sites as secure sums: exact, and nobody's rows in the clear.")
app.command("table")(table)
