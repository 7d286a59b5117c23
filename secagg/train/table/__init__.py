"""From a file to cells: what is read as a number, what is missing, and what cannot be used."""
