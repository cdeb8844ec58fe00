"""Programs of the system that tests start."""

import os
import shutil
from typing import NoReturn

import pytest


def program(title: str, names: tuple[str, ...], package: str) -> str:
    """The path of the first of `names` that is there; see `missing`."""
    for name in names:
        if path := shutil.which(name):
            return path
    return missing(title, package)


def missing(title: str, package: str) -> NoReturn:
    """Skips the test; fails where CI=true promises to run all."""
    why = f"{title} is not installed (Debian: apt-get install {package})"
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)
