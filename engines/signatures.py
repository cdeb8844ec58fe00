"""Calls into a library that swallows what it does not know.

Functions of torch-tensorrt end in `**kwargs`: a keyword that a release has renamed or dropped is
ignored without a word, and an engine comes out slower, or in another precision, than was asked
for. Every such call goes through `checked_call`, which reads the installed function first. Tests
hold the same keywords against the releases that we support.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from engines.engine import EngineError

T = TypeVar("T")


def checked_call(function: Callable[..., T], /, *arguments: Any, **keywords: Any) -> T:  # noqa: ANN401
    """`function(*arguments, **keywords)`, once it is sure that it takes every keyword by name.
    Raises EngineError otherwise."""
    accepted = keywords_of(_definition(function))
    for name in sorted(keywords.keys() - set(accepted)):
        raise EngineError(
            f"{function.__module__}.{function.__qualname__} of the installed release takes no "
            f"keyword {name!r}; install a torch-tensorrt from 2.11 to 2.13"
        )
    return function(*arguments, **keywords)


def keywords_of(function: ast.FunctionDef) -> list[str]:
    """The keywords that a function knows: its named parameters; where it has none, the names that
    its body looks up in `**kwargs`."""
    arguments = function.args
    named = [a.arg for a in (*arguments.args, *arguments.kwonlyargs) if a.arg != "self"]
    if named or arguments.kwarg is None:
        return named
    return sorted(set(_looked_up(function, arguments.kwarg.arg)))


def _looked_up(function: ast.FunctionDef, keywords: str) -> Iterator[str]:
    """Names in `keywords["name"]` and `"name" in keywords`."""
    for node in ast.walk(function):
        match node:
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(key))):
                if name == keywords:
                    yield key
            case ast.Compare(
                left=ast.Constant(value=str(key)), ops=[ast.In()], comparators=[ast.Name(id=name)]
            ):
                if name == keywords:
                    yield key


def _definition(function: Callable[..., Any]) -> ast.FunctionDef:
    """The source of a function, or of the constructor of a class."""
    source = function.__init__ if isinstance(function, type) else function  # type: ignore[misc]
    tree = ast.parse(textwrap.dedent(inspect.getsource(source)))
    definition = tree.body[0]
    assert isinstance(definition, ast.FunctionDef)
    return definition
