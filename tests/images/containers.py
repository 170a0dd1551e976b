"""Containers as a compose file describes them, without an engine: namespaces, a read-only root, users, volumes, names.

What it leaves out of a compose file: `init` (the service is process 1, the harder case), build, restart, published
ports. Everything else that a service of ours has is done, or `start` refuses it.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.hosts import Host
from tests.images.building import Image, Workshop
from tests.images.composing import seconds, service_of
from tests.polling import wait_until
from tests.processes import ROOT

INSIDE = Path(__file__).with_name("inside.py")
DONE = {"image", "command", "entrypoint", "environment", "volumes", "secrets", "tmpfs", "healthcheck", "networks",
        "network_mode", "cap_drop", "security_opt", "read_only"}  # fmt: skip
LEFT_OUT = {"build", "depends_on", "init", "ports", "profiles", "restart", "stop_grace_period"}
WELL_S = 90.0


@dataclass(slots=True)
class Container:
    """A service that was started. `pid` is its process 1, seen from here."""

    name: str
    spec: dict[str, Any]
    image: Image
    host: Host
    outer: subprocess.Popen[bytes]
    log: Path
    pid: int = 0
    env: dict[str, str] = field(default_factory=dict)

    def tail(self) -> str:
        """The end of its log."""
        return f"{self.name}:\n" + "\n".join(self.log.read_text().splitlines()[-30:])

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A second process in it, as its user."""
        uid, gid = self.image.user
        spaces = ("--mount", "--net", "--pid", "--ipc", "--uts", "--root", f"--wd=/proc/{self.pid}/cwd")
        user = ("setpriv", "--reuid", str(uid), "--regid", str(gid), "--clear-groups", "--no-new-privs",
                "--bounding-set=-all", "--inh-caps=-all", "--")  # fmt: skip
        entered = ["nsenter", f"--target={self.pid}", *spaces, "--", *user, *command]
        return subprocess.run(entered, env=self.env, capture_output=True, text=True, timeout=60)

    def well(self) -> bool:
        """Whether its own health check says so."""
        assert self.outer.poll() is None, self.tail()
        check = self.spec.get("healthcheck", {}).get("test")
        words = check[1:] if check else json.loads(self.image.said["HEALTHCHECK"].value.partition("CMD ")[2])
        return self.execute(*words).returncode == 0

    def wait_well(self) -> None:
        wait_until(self.well, self.tail, WELL_S)

    def stop(self) -> int:
        """SIGTERM, and SIGKILL when it takes its whole time; the exit status."""
        if self.outer.poll() is None:
            os.kill(self.pid, signal.SIGTERM)
        try:
            return self.outer.wait(seconds(self.spec["stop_grace_period"]))
        except subprocess.TimeoutExpired:
            self.outer.kill()
            self.outer.wait(10)
            raise AssertionError(f"it did not stop in its time:\n{self.tail()}") from None


class Project:
    """Services of one compose file, each with an image, on hosts with names."""

    def __init__(self, shop: Workshop, project: Mapping[str, Any], images: Mapping[str, Image], logs: Path) -> None:
        self._shop, self._project, self._images, self._logs = shop, project, images, logs
        self._volumes: dict[str, Path] = {}

    @contextmanager
    def started(self, name: str, host: Host, names: Mapping[str, Host]) -> Iterator[Container]:
        """A service for the time of a block; `names` is whom it finds by name. Stopped at the end if nobody did."""
        container = self._start(name, host, names)
        try:
            yield container
        finally:
            if container.outer.poll() is None:
                container.outer.kill()  # and all that runs in it
                container.outer.wait(10)

    def volume(self, name: str) -> Path:
        """Where a volume lies, as this process reaches it."""
        return self._shop.inside(self._volumes[name])

    def _start(self, name: str, host: Host, names: Mapping[str, Host]) -> Container:
        spec = self._project["services"][name]
        unknown = set(spec) - DONE - LEFT_OUT
        assert not unknown, f"{name}: {unknown} is not done here"
        image = self._images[service_of(spec)]
        entry = spec["entrypoint"] or image.said["ENTRYPOINT"].words
        env = {**image.env, **{key: str(value) for key, value in spec["environment"].items()}}
        binds = [*self._mounts(spec, image), *self._secrets(spec), self._names(names)]
        points = self._mount_points([place for _, place, _ in binds] + spec["tmpfs"])
        uid, gid = image.user
        told = self._shop.new_folder("specs") / "spec.json"
        self._shop.inside(told).write_text(json.dumps({
            "root": str(self._shop.new_folder("roots")), "layers": [str(path) for path in (*image.layers, points)],
            "hidden": [str(ROOT)], "tmpfs": spec["tmpfs"], "binds": binds, "workdir": str(image.workdir),
            "uid": uid, "gid": gid, "env": env, "command": [*entry, *spec["command"]],
        }))  # fmt: skip
        log = self._logs / f"{name}.log"
        spaces = ("--mount", "--propagation", "private", "--pid", "--ipc", "--uts", "--fork", "--kill-child")
        with log.open("wb") as output:
            outer = subprocess.Popen(
                ["nsenter", f"--mount=/proc/{self._shop.pid}/ns/mnt", f"--net=/proc/{host.pid}/ns/net", "--",
                 "unshare", *spaces, "--", sys.executable, str(INSIDE), str(told)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd="/",
            )  # fmt: skip
        container = Container(name, spec, image, host, outer, log, env=env)
        container.pid = self._process_1(container)
        return container

    def _process_1(self, container: Container) -> int:
        """The service's own process, once it has become the service."""
        children = Path(f"/proc/{container.outer.pid}/task/{container.outer.pid}/children")
        found: list[int] = []

        def look() -> bool:
            if container.outer.poll() is not None:  # it is over already
                return True
            found[:] = [int(child) for child in children.read_text().split()]
            return bool(found) and f"\nUid:\t{container.image.user[0]}\t" in _status(found[0])

        wait_until(look, container.tail)
        return found[0] if found else 0

    def _mounts(self, spec: dict[str, Any], image: Image) -> Iterator[tuple[str, str, bool]]:
        for mount in spec.get("volumes", ()):
            source = (
                mount["source"] if mount["type"] == "bind" else str(self._made(mount["source"], mount["target"], image))
            )
            yield source, mount["target"], mount.get("read_only", False)

    def _made(self, name: str, target: str, image: Image) -> Path:
        """A volume, as a local driver makes it: as its options say, else like the image's folder at that place."""
        if name not in self._volumes:
            folder = self._volumes[name] = self._shop.new_folder("volumes")
            options = (self._project["volumes"][name] or {}).get("driver_opts", {}).get("o", "")
            told = dict(part.split("=") for part in options.split(",") if part)
            with self._shop.root_of(image.layers) as root:
                like = os.stat(self._shop.inside(root) / target.lstrip("/"))
            os.chown(self._shop.inside(folder), int(told.get("uid", like.st_uid)), int(told.get("gid", like.st_gid)))
            os.chmod(self._shop.inside(folder), int(told["mode"], 8) if told else like.st_mode & 0o7777)
        return self._volumes[name]

    def _secrets(self, spec: dict[str, Any]) -> Iterator[tuple[str, str, bool]]:
        for secret in spec.get("secrets", ()):
            yield self._project["secrets"][secret["source"]]["file"], secret["target"], True

    def _names(self, names: Mapping[str, Host]) -> tuple[str, str, bool]:
        """/etc/hosts, in place of an engine's name server."""
        file = self._shop.new_folder("names") / "hosts"
        lines = ["127.0.0.1 localhost", *(f"{host.address} {name}" for name, host in names.items())]
        self._shop.inside(file).write_text("\n".join(lines) + "\n")
        return str(file), "/etc/hosts", True

    def _mount_points(self, places: list[str]) -> Path:
        """A layer with what can be mounted on."""
        layer = self._shop.new_folder("layers")
        for place in places:
            point = self._shop.inside(layer / place.lstrip("/"))
            point.parent.mkdir(parents=True, exist_ok=True)
            if place.startswith(("/etc/", "/run/secrets/")):
                point.touch()
            else:
                point.mkdir(exist_ok=True)
        return layer


def _status(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
