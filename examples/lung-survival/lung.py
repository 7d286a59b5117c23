"""Survival of the NCCTG lung cancer patients, whose rows stay with 18 institutions."""

from pathlib import Path

from lifelines.datasets import load_lung

import secagg.stats as stats

# The institutions are the natural sites of this table. Here one process plays all of them.
rows = load_lung().dropna(subset=["inst"])
rows = rows.assign(status=rows["status"].map("{:g}".format), sex=rows["sex"].map({1: "male", 2: "female"}))
rows.to_csv("lung.csv", index=False)
sites = {f"{inst:g}": site for inst, site in rows.groupby("inst")}

# What everyone agrees on beforehand: the columns' ranges and categories, and days up to three years.
days = stats.FollowUp("time", "status", horizon=1095, unit=1)
query = stats.Query(
    columns={
        "time": stats.FollowUp.column(1095, 1, decimals=0),
        "status": stats.Category(("0", "1")),
        "sex": stats.Category(("male", "female")),
        "age": stats.Number(18, 110, decimals=0),
    },
    rows=200,
    minimum_cell=5,
    statistics=(stats.KaplanMeier(days, by="sex"), stats.Cox(days, (("age",), ("sex",)))),
)
Path("lung.json").write_bytes(query.to_json())
print(f"{len(sites)} institutions, {len(rows)} patients")

answered = stats.simulate(query, sites)
survival, cox = answered.results
for curve in survival.curves:
    interval = f"{curve.median_low:g}–{curve.median_high:g}"
    print(f"{curve.group}: {curve.n} patients, median survival {curve.median:g} days ({interval})")
print(f"log-rank: χ² = {survival.log_rank.chi2:.3f}, p = {survival.log_rank.p:.4f}")
for one in cox.coefficients:
    print(f"{one.name}: hazard ratio {one.ratio:.3f} ({one.ratio_low:.3f}–{one.ratio_high:.3f}), p = {one.p:.4f}")
print(f"{answered.steps} secure sums, the last over {answered.sites[-1]} institutions")
