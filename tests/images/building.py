"""Builds images as an engine would, without one: every COPY and RUN of a Dockerfile becomes a layer of an overlay.

Two things differ from a real build. The base is this machine's own root with its own Python, in place of the slim image
that FROM names. And where PyTorch's index cannot be reached, its `--index-url` is left out of the one line that has it.
Layers lie in memory, in a mount namespace that goes with its holder: nothing is left, however a test ends. Needs root.
"""

import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from tests.images.dockerfiles import Instruction, Stage, argument_defaults, context_files, stages_of
from tests.processes import ROOT

MEMORY = "8g"  # at most; a stage's image has about 1 GiB, and its builder as much while it is built
RUN_TIMEOUT_S = 600.0
INDEX_HOST = "download.pytorch.org"
INDEX = f'--index-url "https://{INDEX_HOST}/whl/${{TORCH}}" '
BASE_PATH = f"{sys.base_prefix}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class BuildError(Exception):
    """A line of a Dockerfile failed; the text has its output."""


@dataclass(slots=True)
class Image:
    """Layers, the lowest first, and what the last stage says of its processes."""

    layers: list[Path] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=lambda: {"PATH": BASE_PATH})
    arguments: dict[str, str] = field(default_factory=dict)
    workdir: Path = Path("/")
    said: dict[str, Instruction] = field(default_factory=dict)  # USER, ENTRYPOINT, ...

    @property
    def user(self) -> tuple[int, int]:
        """uid and gid."""
        uid, _, gid = self.said["USER"].value.partition(":")
        return int(uid), int(gid)


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where layers lie: `folder`, which exists in the mount namespace of `pid` alone."""

    pid: int
    folder: Path

    def do(self, *command: str, timeout_s: float = 60.0, env: Mapping[str, str] | None = None) -> str:
        """Run a command in the namespace; its output. Raises BuildError."""
        entered = ["nsenter", f"--mount=/proc/{self.pid}/ns/mnt", "--", *command]
        done = subprocess.run(entered, env=env, capture_output=True, text=True, timeout=timeout_s)
        if done.returncode != 0:
            raise BuildError(f"{shlex.join(command)}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done.stdout

    def new_folder(self, kind: str) -> Path:
        """An empty folder that everybody may enter, named as the namespace sees it."""
        above = self.inside(self.folder / kind)
        above.mkdir(exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=above, prefix=""))
        made.chmod(0o755)
        return self.folder / kind / made.name

    def inside(self, path: Path) -> Path:
        """A path of the namespace as this process reaches it."""
        return Path(f"/proc/{self.pid}/root{path}")

    @contextmanager
    def root_of(self, layers: list[Path], upper: Path | None = None) -> Iterator[Path]:
        """The layers over this machine's root, for the time of a block; changes go to `upper`."""
        merged = self.new_folder("merged")
        options = "lowerdir=" + ":".join(str(path) for path in (*reversed(layers), Path("/")))
        if upper is not None:
            options += f",upperdir={upper},workdir={self.new_folder('work')}"
        self.do("mount", "-t", "overlay", "overlay", "-o", options, str(merged))
        try:
            yield merged
        finally:
            self.do("umount", "--recursive", str(merged))


@contextmanager
def workshop() -> Iterator[Workshop]:
    """A workshop for the time of a block. Raises BuildError where this machine permits none."""
    folder = Path(tempfile.mkdtemp(prefix="bagel-images-"))
    command = ("unshare", "--mount", "--propagation", "private", "--", "cat")
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        with suppress(BrokenPipeError):
            holder.stdin.write(b"\n")
        if not holder.stdout.read(1):  # an answer comes from inside
            raise BuildError("unshare makes no mount namespace here")
        made = Workshop(holder.pid, folder)
        made.do("mount", "-t", "tmpfs", "-o", f"size={MEMORY},mode=755", "tmpfs", str(folder))
        yield made
    finally:
        holder.stdin.close()
        holder.stdout.close()
        holder.wait(30)
        folder.rmdir()


def build(shop: Workshop, service: str) -> Image:
    """A service's image, from its Dockerfile. Raises BuildError."""
    done: dict[str | None, Image] = {}
    image = Image()
    for stage in stages_of(service):
        image = _build_stage(shop, stage, done)
        done[stage.name] = image
    for name, other in done.items():  # what the builder had is in the image, or of no use
        for layer in other.layers if name is not None else ():
            shutil.rmtree(shop.inside(layer))
    return image


def _build_stage(shop: Workshop, stage: Stage, done: Mapping[str | None, Image]) -> Image:
    image = Image(layers=[_open_base(shop)], arguments=argument_defaults(stage))
    for each in stage.instructions:
        match each.name:
            case "ARG":
                pass
            case "ENV":
                known = {**image.env, **image.arguments}
                pairs = (word.partition("=") for word in shlex.split(each.value))
                image.env |= {name: Template(value).substitute(known) for name, _, value in pairs}
            case "WORKDIR":
                image.workdir = Path(each.value)
                _layer(shop, image, image.workdir)
            case "COPY" if each.origin is None:
                _copy(shop, image, each)
            case "COPY":
                _copy_from(shop, image, each, done[each.origin])
            case "RUN":
                _run(shop, image, each)
            case _:
                image.said[each.name] = each
    return image


def _open_base(shop: Workshop) -> Path:
    """A layer that lets other users than root through to this machine's Python."""
    layer = shop.new_folder("layers")
    for parent in reversed([each for each in Path(sys.base_prefix).parents if each != Path("/")]):
        shop.inside(layer / parent.relative_to("/")).mkdir(mode=0o755)
    return layer


def _layer(shop: Workshop, image: Image, folder: Path) -> Path:
    """A new layer with a folder in it; the folder as this process reaches it."""
    image.layers.append(shop.new_folder("layers"))
    made = shop.inside(image.layers[-1] / folder.relative_to("/"))
    made.mkdir(parents=True, mode=0o755, exist_ok=True)
    return made


def _copy(shop: Workshop, image: Image, copy: Instruction) -> None:
    target = image.workdir / copy.target
    made = _layer(shop, image, target if copy.target.endswith("/") else target.parent)
    for source in copy.sources:
        for path in ROOT.glob(source):
            within = [Path(name) for name in context_files() if ROOT / name == path or path in (ROOT / name).parents]
            if not within:
                raise BuildError(f"COPY {source}: {path.name} is not in the tree, or ignored")
            for name in within:
                # A folder's contents go into the target, a file goes into a folder or becomes the target.
                into = (
                    made / (path.name if copy.target.endswith("/") else target.name) / (ROOT / name).relative_to(path)
                )
                into.parent.mkdir(parents=True, mode=0o755, exist_ok=True)
                shutil.copy(ROOT / name, into)


def _copy_from(shop: Workshop, image: Image, copy: Instruction, other: Image) -> None:
    (source,) = copy.sources
    target = Path(copy.target)
    _layer(shop, image, target.parent)
    with shop.root_of(other.layers) as merged:
        shop.do("cp", "-a", f"{merged}{source}", f"{image.layers[-1]}{target}", timeout_s=RUN_TIMEOUT_S)


def _run(shop: Workshop, image: Image, run: Instruction) -> None:
    line = run.value
    if INDEX in line and not _reachable(INDEX_HOST):
        line = line.replace(INDEX, "")
        print(f"{INDEX_HOST} cannot be reached from here: {INDEX.strip()} left out, torch comes from where pip looks")
    print(f"RUN {line}", flush=True)
    upper = shop.new_folder("layers")
    passed = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or "proxy" in name.lower()}
    environment = {**passed, "HOME": "/root", **image.env, **image.arguments}
    with shop.root_of(image.layers, upper) as root:
        mounts = [("/proc", "/proc"), ("/dev", "/dev")]
        for flag in run.flags:  # --mount=type=cache,target=FOLDER: this machine's own
            (folder,) = (part.removeprefix("target=") for part in flag.split(",") if part.startswith("target="))
            Path(folder).mkdir(parents=True, exist_ok=True)
            mounts.append((folder, folder))
        for source, place in mounts:
            shop.do("mount", "--rbind", source, f"{root}{place}")
        inside = f"cd {image.workdir} && {line}"
        shop.do("chroot", str(root), "/bin/sh", "-c", inside, timeout_s=RUN_TIMEOUT_S, env=environment)
    image.layers.append(upper)


def _reachable(host: str) -> bool:
    try:
        with socket.create_connection((host, 443), timeout=3):
            return True
    except OSError:
        return False
