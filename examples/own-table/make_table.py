"""Write a made-up table of 200 rows, and the schema that the hospitals would agree on before anyone looks at rows."""

import csv
import json
import sys
from pathlib import Path

import numpy as np

ROWS = 200
HOSPITALS = ("north", "south", "east", "west", "harbour", "hill", "lake", "forest")

SCHEMA = {
    "age": [18, 95],
    "sex": ["female", "male"],
    "creatinine": [0.2, 6],
    "days_in_hospital": [0, 60],
    "ward": ["medicine", "surgery", "cardiology"],
}
"""Public ranges and categories, from textbooks and not from rows: a minimum that is computed is a fact about a row."""


def make_rows(rng: np.random.Generator) -> list[dict[str, object]]:
    """Return rows in which age, kidneys and a long stay make it likelier that somebody comes back."""
    rows = []
    for _ in range(ROWS):
        age = int(rng.integers(20, 92))
        creatinine = round(float(rng.lognormal(0.1, 0.5)), 1)
        days = int(rng.gamma(2, 4))
        risk = 0.08 * (age - 60) + 1.5 * (creatinine - 1.2) + 0.15 * (days - 8)
        rows.append(
            {
                "hospital": HOSPITALS[int(rng.integers(len(HOSPITALS)))],
                "age": age,
                "sex": str(rng.choice(SCHEMA["sex"])),
                "creatinine": creatinine if rng.random() > 0.05 else "",  # not measured
                "days_in_hospital": days,
                "ward": str(rng.choice(SCHEMA["ward"])),
                "readmitted": "yes" if rng.random() < 1 / (1 + np.exp(-risk)) else "no",
            }
        )
    return rows


def main(folder: Path) -> None:
    rows = make_rows(np.random.default_rng(0))
    with (folder / "patients.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    (folder / "schema.json").write_text(json.dumps(SCHEMA, indent=2) + "\n", encoding="utf-8")
    print(f"patients.csv: {len(rows)} rows of {len(HOSPITALS)} hospitals; schema.json: {len(SCHEMA)} columns")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path())
