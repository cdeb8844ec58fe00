"""Programs of the system that tests start."""

import os
import shutil

import pytest


def program(title: str, names: tuple[str, ...], package: str) -> str:
    """The path of the first of `names` that is there. Without one the test is skipped, but fails
    where CI=true promises to run all."""
    for name in names:
        if path := shutil.which(name):
            return path
    why = f"{title} is not installed (Debian: apt-get install {package})"
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)
