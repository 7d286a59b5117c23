"""`python -m secagg.cli` is `secagg`."""

from secagg.cli import main

main()
