"""Every kind of statistic there is."""

from .compare import Compare
from .count import Count
from .covariance import Covariance
from .cox import Cox
from .crosstab import Crosstab
from .glm import Glm
from .histogram import Histogram
from .kaplan_meier import KaplanMeier
from .means import Mean, Sum, Variance
from .meta import Meta
from .pca import Pca
from .quantile import Quantile

KINDS = (
    Count,
    Sum,
    Mean,
    Variance,
    Covariance,
    Histogram,
    Quantile,
    Crosstab,
    Compare,
    KaplanMeier,
    Cox,
    Glm,
    Pca,
    Meta,
)
"""A query's JSON tells them apart by their tags."""
