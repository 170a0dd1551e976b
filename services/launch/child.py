"""`python -m services.launch.child PARENT MODULE ARGUMENTS...`: a module that ends when its parent does. Linux only.

Asks the kernel first, before anything heavy is imported, so that a launcher killed at any moment leaves nothing behind.
Then asks OpenMP, which reads its environment when torch is loaded, to sleep at barriers instead of spinning: with the
cores shared by another busy process, spinning threads wait for each other twenty times as long as they compute. gRPC's
core is asked to keep its chatter to itself.
"""

import ctypes
import os
import runpy
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Tie this process to its parent and become the module."""
    parent, module = int(sys.argv[1]), sys.argv[2]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit("the launcher is gone already")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    sys.argv = sys.argv[2:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
