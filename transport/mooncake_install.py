"""Which Mooncake is installed, and how its modules are had.

Its distributions share the module name `mooncake`, and pip lets them overwrite each other, so exactly one may be there.
"""

import importlib
import importlib.metadata
from types import ModuleType

from bagel.errors import ConfigError

MODULE = "mooncake"
# The extra that installs each distribution.
EXTRAS = {
    "mooncake-transfer-engine-non-cuda": "mooncake",
    "mooncake-transfer-engine": "mooncake-cuda",
    "mooncake-transfer-engine-cuda13": "mooncake-cuda13",
}
DEBIAN = "apt-get install -y --no-install-recommends libibverbs1 libnuma1 libcurl4"
CUDA_LIBRARIES = ("libcuda", "libcudart", "libmlx5")


def load(name: str) -> ModuleType:
    """`mooncake.engine` or `mooncake.store`. Raises ConfigError that says what to install or remove."""
    check_distributions(installed())
    try:
        return importlib.import_module(f"{MODULE}.{name}")
    except (ImportError, OSError) as error:
        raise ConfigError(f"Mooncake is installed but does not load ({error}): {_cure(str(error))}") from error


def installed() -> set[str]:
    """Names of the installed distributions that provide the module, however they are called."""
    names = importlib.metadata.packages_distributions().get(MODULE, [])
    return {name.lower().replace("_", "-") for name in names}


def check_distributions(names: set[str]) -> None:
    """Raise ConfigError unless exactly one distribution provides the module, and it is a Transfer Engine."""
    extras = " or ".join(f"'bagel-serve[{extra}]'" for extra in EXTRAS.values())
    if not names:
        raise ConfigError(f"the mooncake transport needs Mooncake, which is not installed: pip install one of {extras}")
    if len(names) > 1:
        found = " ".join(sorted(names))
        raise ConfigError(
            f"{len(names)} distributions have overwritten each other's Mooncake ({found}):"
            f" pip uninstall -y {found}, then install one of {extras}"
        )
    (only,) = names
    if only not in EXTRAS:
        raise ConfigError(
            f"the module {MODULE!r} here comes from {only}, which is no Transfer Engine:"
            f" pip uninstall -y {only}, then install one of {extras}"
        )


def _cure(text: str) -> str:
    if any(library in text for library in CUDA_LIBRARIES):
        return (
            "this build wants NVIDIA's driver, CUDA runtime and libmlx5 (ibverbs-providers);"
            " on a machine without them take 'bagel-serve[mooncake]' instead"
        )
    return f"it needs some system libraries; on Debian: {DEBIAN}"
