"""Every scheme of ours that speaks the messages of Bonawitz, under the attacks in them."""

from secagg.conformance.bonawitz import *
from secagg.conformance.capability import BONAWITZ_MESSAGES
from secagg.conformance.ours import CASES as OURS

CASES = [case for case in OURS if BONAWITZ_MESSAGES.held(case, case.sample)]
