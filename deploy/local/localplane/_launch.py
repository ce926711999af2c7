"""`_launch.py PARENT PROGRAM ARG...`: becomes PROGRAM, after asking the kernel to kill it when PARENT dies.

The wish outlives exec. It is spoken in a process of its own because code run between fork and exec in a
threaded parent may deadlock.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    parent, command = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # The parent may have died before the wish: then no signal comes any more, and another process adopted us.
    if os.getppid() != parent:
        sys.exit(1)
    os.execv(command[0], command)
