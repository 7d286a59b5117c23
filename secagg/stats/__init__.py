"""Statistics of several sites as exact secure sums.

    from secagg.stats import Mean, Number, Progress, Query, Rows

    query = Query(columns={"age": Number(0, 120)}, rows=10_000, statistics=(Mean("age"),))

A statistic is a few pure functions around secure sums (`Statistic`); a query asks for several over the same sums
(`Query`), and `Progress` steps through it. Nothing here sends anything.
"""

from .columns import Category, Number
from .floor import Floor, StatPolicy
from .inquiry import Inquiry, settings_of
from .kinds.compare import Compare
from .kinds.count import Count
from .kinds.covariance import Covariance
from .kinds.cox import Cox
from .kinds.crosstab import Crosstab
from .kinds.follow_up import FollowUp
from .kinds.glm import Glm
from .kinds.histogram import Histogram
from .kinds.kaplan_meier import KaplanMeier
from .kinds.means import Mean, Sum, Variance
from .kinds.meta import Meta
from .kinds.pca import Pca
from .kinds.quantile import Quantile
from .preprocessing import schema_of
from .progress import Progress
from .query import Query
from .results import Result
from .rows import Rows, read_csv
from .simulated import Answered, simulate
from .site import StatSite
from .statistic import State, Statistic

__all__ = [
    "Answered",
    "Category",
    "Compare",
    "Count",
    "Covariance",
    "Cox",
    "Crosstab",
    "Floor",
    "FollowUp",
    "Glm",
    "Histogram",
    "Inquiry",
    "KaplanMeier",
    "Mean",
    "Meta",
    "Number",
    "Pca",
    "Progress",
    "Quantile",
    "Query",
    "Result",
    "Rows",
    "StatPolicy",
    "StatSite",
    "State",
    "Statistic",
    "Sum",
    "Variance",
    "read_csv",
    "schema_of",
    "settings_of",
    "simulate",
]
