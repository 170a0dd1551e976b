"""Finding deploy files: what a person named, what is bundled, and what a file builds on."""

from collections.abc import Sequence
from pathlib import Path

from bagel.errors import ConfigError
from services.launch.deploy.document import Node, Place, Problem, read_yaml, refuse
from services.launch.deploy.merging import merge, twice, without
from services.launch.deploy.schema import DeployFile
from services.launch.deploy.validation import validated

DEFAULT = "bagel.yaml"
_ROOT = Path(__file__).parents[3]
# A wheel brings the files among its presets; in a checkout they lie beside the packages.
_FOLDERS = (_ROOT / "bagel" / "presets" / "deploy", _ROOT / "deploy")


def bundled() -> dict[str, Path]:
    """By name."""
    folder = next((folder for folder in _FOLDERS if (folder / DEFAULT).is_file()), None)
    if folder is None:
        raise ConfigError(f"the bundled deploy files are not here: neither {_FOLDERS[0]} nor {_FOLDERS[1]} has them")
    return {path.name: path for path in sorted(folder.glob("*.yaml"))}


def find_deploy_file(named: str, *, flag: str = "--deploy-config") -> Path:
    """A file that is here, or a bundled one by its name. Raises ConfigError, which says what is near."""
    path, known = Path(named).expanduser(), bundled()
    if path.is_file():
        return path
    if path.name in known and str(path.parent) in (".", "deploy"):
        return known[path.name]
    if path.is_dir():
        raise ConfigError(f"{flag} {named}: is a folder; name a file in it")
    if path.name in known:
        raise ConfigError(f"{flag} {named}: no such file; the bundled one is deploy/{path.name}")
    raise ConfigError(f"{flag} {named}: no such file; bundled are {', '.join(known)}")


def read_deploy(path: Path, platform: str, above: Sequence[Path] = ()) -> Node:
    """A file over what it builds on, and its part for a platform over both. Raises ConfigError."""
    if any(path.samefile(other) for other in above):
        chain = " -> ".join(str(each) for each in (*above, path))
        raise ConfigError(f"{path}: base_config leads back to itself: {chain}; take one of them out")
    return layered(read_yaml(path), path, platform, above)


def layered(own: Node, path: Path, platform: str, above: Sequence[Path] = ()) -> Node:
    """As `read_deploy`, of a tree that stands for a file at `path`."""
    part = validated(DeployFile, own)
    refuse(twice(own))
    platforms = own.entries.get("platforms", Node({}, own.place))
    for each in platforms.entries.values():
        refuse(twice(each))
    whole = without(own, "base_config", "platforms")
    if part.base_config is not None:
        place = own.place_of(("base_config",))
        base = _base(path, part.base_config, place)
        whole = merge(read_deploy(base, platform, (*above, path)), whole)
    if platform in platforms.entries:
        whole = merge(whole, platforms.entries[platform])
    return whole


def _base(path: Path, named: str, place: Place) -> Path:
    """Beside the file, or bundled."""
    beside, known = path.parent / named, bundled()
    if beside.is_file():
        return beside
    if named not in known:
        refuse([Problem(place, f"base_config {named}: no such file beside this one; bundled are {', '.join(known)}")])
    return known[named]
