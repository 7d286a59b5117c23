"""`secagg stats`: statistics of several sites as secure sums."""

from secagg.cli.command import Commands

from .cox import cox
from .glm import glm
from .km import km
from .table import table

app = Commands(help="Statistics of several sites as secure sums: exact, and nobody's rows in the clear.")
app.command("table")(table)
app.command("km")(km)
app.command("glm")(glm)
app.command("cox")(cox)
