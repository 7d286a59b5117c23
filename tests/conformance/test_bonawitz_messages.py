"""Every scheme of ours that speaks the messages of Bonawitz, under the attacks in them, with noise as well."""

from secagg.conformance.bonawitz import *
from secagg.conformance.capability import BONAWITZ_MESSAGES
from secagg.conformance.ours import CASES as OURS
from secagg.conformance.ours import NOISY

CASES = [case for case in [*OURS, *NOISY] if BONAWITZ_MESSAGES.held(case, case.sample)]
