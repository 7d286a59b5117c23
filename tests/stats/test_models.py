"""Regression, principal components and meta-analysis equal those of the pooled rows, as other packages have them."""

import msgspec
import numpy as np
import pandas as pd
import pytest

from secagg.stats import Category, Glm, Meta, Number, Pca, Progress, Query, Rows
from secagg_protocols import InputError, ParameterError, ProtocolViolation

GLM = pytest.importorskip("statsmodels.genmod.generalized_linear_model").GLM
CLOSE = 1e-6
COLUMNS = {
    "age": Number(0, 120, 0),
    "sex": Category(("f", "m")),
    "stay": Number(0.5, 60, 1),
    "visits": Number(0, 100, 0),
    "pressure": Number(60, 240, 1),
    "back": Category(("no", "yes")),
}
TERMS = (("age",), ("sex",), ("stay",), ("age", "sex"))


@pytest.fixture(scope="module")
def patients():
    """600 made-up patients, in whom each outcome follows from the covariates and chance."""
    randomness = np.random.default_rng(3)
    age = randomness.integers(20, 95, 600).astype(float)
    male = randomness.random(600) < 0.4
    stay = np.round(randomness.gamma(2, 3, 600).clip(0.5, 50), 1)
    log_rate = -2 + 0.02 * age + 0.3 * male
    odds = -3 + 0.03 * age + 0.8 * male + 0.05 * stay
    return pd.DataFrame(
        {
            "age": age,
            "sex": np.where(male, "m", "f").astype(object),
            "stay": stay,
            "visits": randomness.poisson(np.exp(log_rate) * stay).astype(float),
            "pressure": np.round(100 + 0.5 * age + 4 * male + randomness.normal(0, 12, 600), 1),
            "back": np.where(randomness.random(600) < 1 / (1 + np.exp(-odds)), "yes", "no").astype(object),
        }
    )


def query_of(*statistics, minimum_cell=5, **columns):
    known = COLUMNS | columns
    read = {name for statistic in statistics for name in statistic.reads()}
    return Query(
        columns={name: known[name] for name in sorted(read)},
        rows=600,
        minimum_cell=minimum_cell,
        statistics=statistics,
    )


def pooled(patients, asked):
    """Return the same model by statsmodels, on all rows."""
    from statsmodels.genmod import families

    male = (patients["sex"] == "m").astype(float)
    design = np.stack([np.ones(600), patients["age"], male, patients["stay"], patients["age"] * male], axis=1)
    outcome = patients[asked.outcome]
    if asked.family == "logistic":
        return GLM(outcome == "yes", design, family=families.Binomial()).fit(tol=1e-13)
    if asked.family == "poisson":
        exposure = patients[asked.exposure]
        return GLM(outcome, design, family=families.Poisson(), exposure=exposure).fit(tol=1e-13)
    return GLM(outcome, design, family=families.Gaussian()).fit()


MODELS = [
    Glm("pressure", TERMS, "linear"),
    Glm("back", TERMS, "logistic"),
    Glm("visits", TERMS, "poisson", "stay"),
]


@pytest.fixture(scope="module")
def found(ask, patients):
    return ask(query_of(*MODELS), patients)


@pytest.mark.parametrize("place", range(len(MODELS)))
def test_coefficients_and_errors_are_those_of_all_rows(found, patients, place) -> None:
    fitted = pooled(patients, MODELS[place])
    shown = found[place]["coefficients"]
    assert [one["name"] for one in shown] == ["(intercept)", "age", "sex=m", "stay", "age:sex=m"]
    assert [one["estimate"] for one in shown] == pytest.approx(fitted.params.tolist(), rel=CLOSE)
    assert [one["standard_error"] for one in shown] == pytest.approx(fitted.bse.tolist(), rel=CLOSE)
    assert found[place]["deviance"] == pytest.approx(fitted.deviance, rel=CLOSE)
    assert found[place]["null_deviance"] == pytest.approx(fitted.null_deviance, rel=CLOSE)
    assert found[place]["dispersion"] == pytest.approx(fitted.scale, rel=CLOSE)
    if place:  # the normal distribution; for a linear model statsmodels has it too, and R has Student's t
        assert [one["p"] for one in shown] == pytest.approx(fitted.pvalues.tolist(), rel=1e-4)


def test_a_model_goes_on_with_the_survivors_of_each_sum(patients) -> None:
    query = query_of(MODELS[1])
    progress = Progress.begin(query)
    sites = [Rows.of(patients.iloc[start::4], query) for start in range(4)]
    while not progress.done:
        left = sites if progress.step < 2 else sites[:3]
        total = sum(progress.vector(rows).astype(object) for rows in left)
        progress = progress.combined(total.astype("uint64"), len(left))
    (result,) = (one.plain() for one in progress.results)
    fitted = pooled_of(patients.iloc[sorted({*range(600)} - {*range(3, 600, 4)})])
    assert [one["estimate"] for one in result["coefficients"]] == pytest.approx(fitted.params.tolist(), rel=CLOSE)
    assert (result["n"], progress.sites) == (450, (3,))


def pooled_of(rows):
    from statsmodels.genmod import families

    male = (rows["sex"] == "m").astype(float)
    design = np.stack([np.ones(len(rows)), rows["age"], male, rows["stay"], rows["age"] * male], axis=1)
    return GLM(rows["back"] == "yes", design, family=families.Binomial()).fit(tol=1e-13)


def of_age(age, back, **more):
    return pd.DataFrame({"age": age, "back": back, **more})


@pytest.mark.parametrize(
    ("table", "terms", "why"),
    [
        (of_age([20.0] * 30 + [80.0] * 30, ["no"] * 30 + ["yes"] * 30), (("age",),), "'age' grows without end"),
        (of_age([50.0] * 60, ["no", "yes"] * 30), (("age",),), "follows from the other"),
        (
            of_age(np.arange(20.0, 80), ["no", "yes"] * 30, stay=np.arange(20.0, 80) / 2),
            (("age",), ("stay",)),
            "follows from the other covariates",
        ),
        (of_age(np.arange(20.0, 80), ["no"] * 58 + ["yes"] * 2), (("age",),), "one class .* fewer than 5"),
        (
            of_age(np.arange(20.0, 80), ["no", "yes"] * 30, sex=["m"] * 57 + ["f"] * 3),
            (("age",), ("sex",)),
            "category 'f' of column 'sex' has fewer than 5 rows",
        ),
    ],
    ids=["separated", "constant", "collinear", "class", "category"],
)
def test_what_has_no_estimate_is_refused_by_name(ask, table, terms, why) -> None:
    with pytest.raises(InputError, match=why) as refused:
        ask(query_of(Glm("back", terms, "logistic")), table)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (Glm("back", (("age",),), "poisson"), "numbers with bounds"),
        (Glm("age", (("sex",),), "logistic"), "categories are needed"),
        (Glm("pressure", (("age",), ("age",)), "linear"), "twice"),
        (Glm("pressure", (("age", "sex"),), "linear"), "needs 'age' beside it"),
        (Glm("pressure", (("age",), ("stay",), ("sex",), ("age", "stay", "sex")), "linear"), "no product of two"),
        (Glm("pressure", (("pressure",),), "linear"), "among the covariates"),
        (Glm("pressure", (("age",),), "linear", "stay"), "belongs to a poisson"),
        (Glm("pressure", (), "linear"), "without covariates"),
        (Meta("mean", "age", "sex"), "a mean has no 'by'"),
        (Meta("log_odds_ratio", "age", "sex"), "categories are needed"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_a_model_that_cannot_be_asked_is_refused(asked, why) -> None:
    with pytest.raises(ParameterError, match=why):
        query_of(asked)


def test_a_category_that_is_the_only_one_is_refused_before_anybody_is_asked() -> None:
    with pytest.raises(ParameterError, match="column 'ward' has one category, 'a', to compare with no other"):
        query_of(Glm("pressure", (("ward",),), "linear"), ward=Category(("a",)))


@pytest.mark.parametrize("slope", [0.0, 0.5], ids=["constant", "exact"])
def test_an_outcome_without_error_has_no_standard_errors(ask, slope) -> None:
    age = np.arange(32.0, 97)
    table = of_age(age, "no", pressure=96 + slope * (age - 64))
    asked = Glm("pressure", (("age",),), "linear")
    with pytest.raises(InputError, match="tells outcome 'pressure' exactly"):
        ask(query_of(asked, age=Number(32, 96, 0), pressure=Number(80, 112, 1)), table)


def test_the_deviance_without_covariates_is_right_however_large_the_outcome_is(ask, patients) -> None:
    asked = Glm("pressure", (("age",),), "linear")
    large = patients.assign(pressure=patients["pressure"] * 1e12)
    (of_large,) = ask(query_of(asked, pressure=Number(60e12, 240e12, -10)), large)
    (of_small,) = ask(query_of(asked), patients)
    assert of_large["null_deviance"] == pytest.approx(of_small["null_deviance"] * 1e24, rel=1e-3)


def test_states_that_no_sums_lead_to_are_not_answered(patients) -> None:
    statistic = MODELS[2]
    query = query_of(statistic)
    begun = Progress.begin(query)
    state = begun.combined(begun.vector(Rows.of(patients, query)), 1).states[0]
    statistic.check_state(state, query)
    search = msgspec.structs.replace(state.search, evaluations=1)
    for why, changed in {
        "finite": {"search": msgspec.structs.replace(search, at=(0.0,))},
        "predictors": {"search": msgspec.structs.replace(search, at=(0.0, 1e3, 0.0, 0.0, 0.0))},
        "intercept": {"search": msgspec.structs.replace(search, at=(1e3, 0.0, 0.0, 0.0, 0.0))},
        "scales": {"exponent": state.exponent + 5},
    }.items():
        with pytest.raises(ProtocolViolation, match=why):
            statistic.check_state(msgspec.structs.replace(state, **changed), query)


@pytest.mark.parametrize("place", range(len(MODELS)))
def test_whatever_is_evaluated_stays_in_its_range(patients, place) -> None:
    statistic = MODELS[place]
    query = query_of(statistic)
    rows = Rows.of(patients, query)
    begun = Progress.begin(query)
    state = begun.combined(begun.vector(rows), 1).states[0]
    model = statistic.model(query)
    for far in (1.0, 20.0, 99.0):
        at = (0.0, far, -far / 9, 0.0, 0.0) if far < 99 else (0.0, 99.0, 0.0, 0.0, 0.0)
        search = msgspec.structs.replace(state.search, evaluations=1, at=at)
        exponent = 52 - int(np.ceil(np.log2(model.bound(0.0, search.reach(1), query) * query.rows)))
        moved = msgspec.structs.replace(state, search=search, exponent=exponent)
        statistic.check_state(moved, query)
        integers = statistic.local(rows, moved, query)
        assert statistic.spans(moved, query).holds(integers)
        assert np.abs(integers[1:]).max() < 1 << 52  # nothing had to be clipped


def test_components_are_those_of_all_rows(ask, patients) -> None:
    names = ("age", "stay", "pressure")
    scaled, unscaled = ask(query_of(Pca(names), Pca(names, scaled=False)), patients)
    rows = patients[list(names)]
    for found, matrix in ((scaled, rows.corr()), (unscaled, rows.cov())):
        values, vectors = np.linalg.eigh(matrix.to_numpy())
        assert found["variances"] == pytest.approx(values[::-1].tolist(), rel=1e-10)
        assert sum(found["shares"]) == pytest.approx(1)
        for shown, expected in zip(found["loadings"], vectors.T[::-1], strict=True):
            assert abs(np.dot(shown, expected)) == pytest.approx(1, rel=1e-10)


EFFECTS = (Meta("mean", "pressure"), Meta("difference", "pressure", "sex"), Meta("log_odds_ratio", "back", "sex"))


@pytest.mark.parametrize("place", range(3))
def test_pooled_effects_are_those_of_the_sites_estimates(ask, patients, place) -> None:
    from statsmodels.stats.meta_analysis import combine_effects

    shifted = patients.assign(pressure=(patients["pressure"] + 6.0 * (np.arange(600) % 7)).clip(60, 240).round(1))
    (found,) = ask(query_of(EFFECTS[place]), shifted, 7)
    sites = [estimate(shifted.iloc[site::7], place) for site in range(7)]
    expected = combine_effects(*map(np.array, zip(*sites, strict=True)), method_re="chi2")
    frame = expected.summary_frame()
    compared = ["fixed"] + ["random"] * int(expected.tau2 > 0)
    for effects in compared:
        shown = found[effects]["estimate"], found[effects]["standard_error"]
        assert shown == pytest.approx(tuple(frame.loc[f"{effects} effect", ["eff", "sd_eff"]]), rel=CLOSE)
    assert found["q"] == pytest.approx(expected.q, rel=CLOSE)
    assert found["tau2"] == pytest.approx(max(0.0, expected.tau2), rel=CLOSE)


def estimate(site, place):
    if place == 0:
        return site["pressure"].mean(), site["pressure"].var() / len(site)
    if place == 1:
        female, male = (site["pressure"][site["sex"] == sex] for sex in "fm")
        return male.mean() - female.mean(), male.sem() ** 2 + female.sem() ** 2
    cells = pd.crosstab(site["back"], site["sex"]).to_numpy().astype(float)
    return np.log(cells[0, 0] * cells[1, 1] / cells[0, 1] / cells[1, 0]), (1 / cells).sum()


def test_two_sites_estimates_are_not_pooled(ask, patients) -> None:
    with pytest.raises(InputError, match="fewer than 3 sites"):
        ask(query_of(EFFECTS[0]), patients, 2)
