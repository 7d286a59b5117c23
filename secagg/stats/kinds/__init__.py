"""Every kind of statistic there is."""

from .compare import Compare
from .count import Count
from .covariance import Covariance
from .crosstab import Crosstab
from .histogram import Histogram
from .means import Mean, Sum, Variance
from .quantile import Quantile

KINDS = (Count, Sum, Mean, Variance, Covariance, Histogram, Quantile, Crosstab, Compare)
"""A query's JSON tells them apart by their tags."""
