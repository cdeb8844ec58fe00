"""Every keyword that we pass to torch-tensorrt exists in every release that we support.

torch-tensorrt cannot be imported without TensorRT, so the releases are a snapshot of names
(tests/make_signatures.py). Its functions swallow keywords that they do not know: nothing but this
would notice.
"""

import ast
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from make_signatures import DEFINED_IN, SNAPSHOT, definition

from engines.engine import EngineError
from engines.signatures import checked_call, keywords_of

ROOT = Path(__file__).parents[1]
RELEASES: dict[str, dict[str, list[str]]] = json.loads(SNAPSHOT.read_text())
LIBRARY = "torch_tensorrt"


def dotted(node: ast.expr) -> str:
    """ "a.b.c" of an attribute chain; the empty string for anything else."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            return f"{dotted(value)}.{name}"
    return ""


def calls(source: str) -> Iterator[tuple[str, list[str | None]]]:
    """(function of the library, keywords) of every `checked_call(torch_tensorrt...., ...)`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and dotted(node.func) == "checked_call":
            assert node.args, "checked_call() without a function"
            yield dotted(node.args[0]), [keyword.arg for keyword in node.keywords]


def direct_calls(source: str) -> list[str]:
    """Functions of the library that are called past `checked_call`."""
    called = (dotted(n.func) for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call))
    return [name for name in called if name.startswith(f"{LIBRARY}.")]


def unknown_keywords(source: str) -> list[str]:
    """What some release does not take, and what cannot be told (`**keywords`)."""
    return [
        f"{version}: {function}({keyword}=)"
        for function, keywords in calls(source)
        for version, signatures in RELEASES.items()
        for keyword in keywords
        if keyword not in signatures[function]
    ]


def our_sources() -> dict[str, str]:
    paths = [
        p
        for folder in ("engines", "monitor", "vfd", "training")
        for p in (ROOT / folder).rglob("*.py")
    ]
    return {str(path.relative_to(ROOT)): path.read_text() for path in paths}


def test_the_snapshot_covers_what_we_support() -> None:
    assert list(RELEASES) == ["2.11.0", "2.13.0"]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert "torch-tensorrt>=2.11,<2.14" in extras["tensorrt"]
    for signatures in RELEASES.values():
        assert signatures.keys() == DEFINED_IN.keys()
        assert {"min_shape", "opt_shape", "max_shape", "dtype"} <= set(
            signatures[f"{LIBRARY}.Input"]
        )


def test_every_keyword_exists_in_every_release() -> None:
    used: set[str] = set()
    for path, source in our_sources().items():
        assert unknown_keywords(source) == [], path
        assert direct_calls(source) == [], path
        used |= {function for function, _ in calls(source)}
    assert used == DEFINED_IN.keys()  # the snapshot holds what we call and nothing else


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (
            "checked_call(torch_tensorrt.dynamo.compile, p, sparkle=1)",
            [f"{v}: torch_tensorrt.dynamo.compile(sparkle=)" for v in RELEASES],
        ),
        (
            "checked_call(torch_tensorrt.dynamo.compile, p, enabled_precisions={1})",
            ["2.13.0: torch_tensorrt.dynamo.compile(enabled_precisions=)"],
        ),
        (
            "checked_call(torch_tensorrt.Input, shared_dims=1)",
            ["2.11.0: torch_tensorrt.Input(shared_dims=)"],
        ),
        (
            "checked_call(torch_tensorrt.save, m, 'file', **options)",
            [f"{v}: torch_tensorrt.save(None=)" for v in RELEASES],
        ),
        ("checked_call(torch_tensorrt.save, m, 'file', extra_files={})", []),
    ],
)
def test_stale_and_made_up_keywords_are_caught(source: str, found: list[str]) -> None:
    assert unknown_keywords(source) == found


def test_calls_past_the_check_are_caught() -> None:
    assert direct_calls("torch_tensorrt.save(m, 'x')") == ["torch_tensorrt.save"]


def swallows(program: str, *, device: str = "cuda", **kwargs: Any) -> str:  # noqa: ANN401
    return f"{program} on {device}"


class Picks:
    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        self.shape = kwargs["shape"]
        if "name" in kwargs:
            self.name = kwargs["name"]


def test_installed_functions_are_read_before_they_are_called() -> None:
    assert checked_call(swallows, "p", device="cpu") == "p on cpu"
    assert checked_call(Picks, shape=(1,), name="x").name == "x"
    with pytest.raises(EngineError, match=r"swallows of the installed .* no keyword 'sparkle'"):
        checked_call(swallows, "p", sparkle=1)
    with pytest.raises(EngineError, match=r"Picks of the installed .* no keyword 'dtype'"):
        checked_call(Picks, shape=(1,), dtype=int)


def test_names_are_read_from_source() -> None:
    module = ast.parse("def f(a, *, b=1, **kw): kw['c']\nclass G:\n def __init__(self): pass\n")
    assert keywords_of(definition(module, "f")) == ["a", "b"]
    assert keywords_of(definition(module, "G")) == []
    with pytest.raises(LookupError, match="no H"):
        definition(module, "H")
