"""One party of a test, in a process of its own: `secagg` with some arguments, its output in a file.

GIVEN: (arguments, output, dies_at): a site kills itself at that request, when it has its answer and has not sent it.
"""

import os
import signal
import sys

from secagg.cli import main
from secagg.stats.site import StatSite

arguments, output, dies_at = globals()["GIVEN"]
file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for stream in (1, 2):
    os.dup2(file, stream)
sys.argv = ["secagg", *arguments]
taken = 0
take = StatSite.take


def dying(site, request):
    global taken
    answer = take(site, request)
    taken += 1
    if taken == dies_at:
        os.kill(os.getpid(), signal.SIGKILL)
    return answer


StatSite.take = dying
main()
