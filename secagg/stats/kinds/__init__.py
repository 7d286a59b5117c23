"""Every kind of statistic there is."""

from .count import Count
from .means import Mean, Sum, Variance

KINDS = (Count, Sum, Mean, Variance)
"""A query's JSON tells them apart by their tags."""
