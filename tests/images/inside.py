"""`python inside.py SPEC`: a process of a container, in namespaces that are its own already.

Puts the read-only root together from layers, mounts what the specification says, and becomes the service: as its user,
without capabilities or a way to get any. Imports nothing of ours.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PRIVATE = ("mount", "--make-rprivate", "/")


def main() -> None:
    """Mount, change root, become the service."""
    spec: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    root = spec["root"]
    layers = ":".join([*reversed(spec["layers"]), "/"])
    mount("-t", "overlay", "-o", f"ro,lowerdir={layers}", "overlay", root)
    mount("-t", "proc", "proc", f"{root}/proc")
    mount("--rbind", "/dev", f"{root}/dev")
    mount("-t", "tmpfs", "-o", "size=64m,mode=1777", "tmpfs", f"{root}/dev/shm")
    for place in spec["hidden"]:
        mount("-t", "tmpfs", "-o", "ro", "tmpfs", f"{root}{place}")
    for place in spec["tmpfs"]:
        mount("-t", "tmpfs", "-o", "nosuid,nodev,noexec,mode=1777", "tmpfs", f"{root}{place}")
    for source, place, read_only in spec["binds"]:
        mount("--bind", source, f"{root}{place}")
        if read_only:
            mount("-o", "remount,bind,ro", f"{root}{place}")
    os.chroot(root)
    os.chdir(spec["workdir"])
    user = ("--reuid", str(spec["uid"]), "--regid", str(spec["gid"]), "--clear-groups")
    bare = ("--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--")
    os.execvpe("setpriv", ["setpriv", *user, *bare, *spec["command"]], spec["env"])


def mount(*arguments: str) -> None:
    """Raises CalledProcessError."""
    subprocess.run(["mount", *arguments], check=True, timeout=30)


if __name__ == "__main__":
    subprocess.run(PRIVATE, check=True, timeout=30)
    main()
