"""Clinical tables that ship in the wheels of lifelines, statsmodels and scikit-learn, and the sites that have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from secagg.extras import needed

if TYPE_CHECKING:
    import pandas as pd

SITES = 10
"""Where a table does not say which institution a row is of."""


@dataclass(frozen=True)
class Tabled:
    """name; rows: all of them; sites: the same, by site. Categories are texts."""

    name: str
    rows: pd.DataFrame
    sites: dict[str, pd.DataFrame]

    @property
    def most_rows(self) -> int:
        """The most rows that a site has."""
        return max(map(len, self.sites.values()))


def lung() -> Tabled:
    """NCCTG lung cancer: 227 patients of 18 institutions."""
    with needed("bench"):
        from lifelines.datasets import load_lung
    rows = load_lung().dropna(subset=["inst"]).reset_index(drop=True)
    rows = _texts(rows, "status", "sex").rename(columns={"ph.ecog": "ecog"})
    return Tabled("lung", rows, {f"{inst:g}": one for inst, one in rows.groupby("inst")})


def breast() -> Tabled:
    """German breast cancer study group 2: 686 patients."""
    with needed("bench"):
        from lifelines.datasets import load_gbsg2
    return _dealt("gbsg2", _texts(load_gbsg2(), "cens"))


def larynx() -> Tabled:
    """Larynx cancer: 90 patients, times in tenths of a year."""
    with needed("bench"):
        from lifelines.datasets import load_larynx
    rows = load_larynx()
    stage = rows["Stage_II"] * 2 + rows["Stage_III"] * 3 + rows["Stage_IV"] * 4
    return _dealt("larynx", _texts(rows.assign(stage=stage.replace(0, 1).astype(int)), "death", "stage"))


def kidney() -> Tabled:
    """Kidney transplants: 863 patients."""
    with needed("bench"):
        from lifelines.datasets import load_kidney_transplant
    rows = load_kidney_transplant()
    sex = (rows["black_male"] + rows["white_male"]).map({1: "male", 0: "female"})
    return _dealt("kidney", _texts(rows.assign(sex=sex), "death"))


def heart() -> Tabled:
    """Stanford heart transplants: 69 patients."""
    with needed("bench"):
        from statsmodels.datasets import heart as stanford
    rows = stanford.load_pandas().data
    old = rows["age"].gt(48).map({True: "yes", False: "no"})
    return _dealt("heart", _texts(rows.assign(old=old, censors=rows["censors"].astype(int)), "censors"))


def tumours() -> Tabled:
    """Breast cancer in Wisconsin: 569 tumours."""
    with needed("bench"):
        from sklearn.datasets import load_breast_cancer
    bunch = load_breast_cancer(as_frame=True)
    rows = bunch.frame.rename(columns=lambda name: name.replace(" ", "_"))
    large = rows["mean_area"].gt(600).map({True: "yes", False: "no"})
    return _dealt("tumours", rows.assign(kind=bunch.target.map({0: "malignant", 1: "benign"}), large=large))


def diabetes() -> Tabled:
    """Diabetes after one year: 442 patients, in the units of the clinic."""
    with needed("bench"):
        from sklearn.datasets import load_diabetes
    rows = load_diabetes(as_frame=True, scaled=False).frame
    return _dealt("diabetes", rows.assign(sex=rows["sex"].map({1.0: "1", 2.0: "2"})))


def visits() -> Tabled:
    """RAND health insurance experiment: visits to a doctor, 20,190 patient-years."""
    with needed("bench"):
        from statsmodels.datasets import randhie
    rows = randhie.load_pandas().data
    return _dealt("visits", _texts(rows.assign(physlm=rows["physlm"].gt(0).astype(int)), "physlm"))


def _texts(rows: pd.DataFrame, *columns: str) -> pd.DataFrame:
    return rows.assign(**{name: rows[name].map(lambda cell: f"{cell:g}") for name in columns})


def _dealt(name: str, rows: pd.DataFrame) -> Tabled:
    return Tabled(name, rows, {f"site {site + 1}": rows.iloc[site::SITES] for site in range(SITES)})
