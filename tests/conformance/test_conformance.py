"""Every scheme of ours in the suite that every scheme has to pass."""

from secagg.conformance.ours import CASES as CASES
from secagg.conformance.suite import *
