"""Reads recipes: a file names everything, and a wrong one is told what is wrong.

A recipe may begin with `base = "another-recipe"` and then say only what is different. Recipes that
ship are found by name, others by path.
"""

import dataclasses
import tomllib
import types
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, TypeVar, get_args, get_origin

from training.recipe import Recipe

T = TypeVar("T")
_WORDS: Final[Mapping[object, str]] = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}


class RecipeError(ValueError):
    """A recipe cannot be used; the message names the file, the key, and what was expected."""


def recipe_names() -> list[str]:
    """The recipes that ship."""
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in (files("training") / "recipes").iterdir()
        if entry.name.endswith(".toml")
    )


def load_recipe(name: str, changes: Mapping[str, Any] = types.MappingProxyType({})) -> Recipe:
    """The recipe of a name or a path (one that ends in .toml). `changes`: values for "section.key",
    as the command line or a sweep gives them. Raises RecipeError."""
    values, where = _read(name, ())
    for key, value in changes.items():
        section, _, leaf = key.partition(".")
        if not leaf or not isinstance(values.setdefault(section, {}), dict):
            raise RecipeError(f"{where}: {key!r} names no field; expected section.key")
        values[section][leaf] = value
    values.setdefault("name", Path(name).name.removesuffix(".toml"))
    return _build(Recipe, values, where, "")


def _read(name: str, seen: tuple[str, ...]) -> tuple[dict[str, Any], str]:
    """What a recipe says, over what its bases say; and the file, for messages."""
    if name in seen:
        raise RecipeError(f"{seen[-1]}: base {name!r} leads back to itself")
    shipped = files("training") / "recipes" / f"{name}.toml"
    path = Path(name) if name.endswith(".toml") else shipped
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(recipe_names())
        raise RecipeError(f"there is no recipe {name!r} (known: {known}; or a .toml)") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: {error}") from None
    base = values.pop("base", None)
    if base is None:
        return values, str(path)
    inherited, _ = _read(str(base), (*seen, name))
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(inherited.get(key), dict):
            inherited[key] |= value
        else:
            inherited[key] = value
    return inherited, str(path)


def _build(kind: type[T], values: Mapping[str, Any], where: str, section: str) -> T:
    """A dataclass from a table: exactly its fields, each of its type and within its limits."""
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    prefix = f"{section}." if section else ""
    for key in values:
        if key not in fields:
            raise RecipeError(f"{where}: {prefix}{key} is unknown (known: {', '.join(fields)})")
    built = {}
    for name, f in fields.items():
        if name in values:
            built[name] = _value(f, values[name], where, prefix + name)
        elif f.default is dataclasses.MISSING:
            raise RecipeError(f"{where}: {prefix}{name} is missing")
    try:
        return kind(**built)
    except ValueError as error:
        if isinstance(error, RecipeError):
            raise
        raise RecipeError(f"{where}: {error}") from None


def _value(f: "dataclasses.Field[Any]", value: object, where: str, name: str) -> Any:  # noqa: ANN401
    """`value` as the field has it."""
    if dataclasses.is_dataclass(f.type):
        if not isinstance(value, dict):
            raise RecipeError(f"{where}: {name} must be a section, not {value!r}")
        return _build(f.type, value, where, name)  # type: ignore[arg-type]
    if get_origin(f.type) is not tuple:
        return _item(f, value, f.type, where, name)
    if not isinstance(value, list | tuple):
        raise RecipeError(f"{where}: {name} must be a list, not {value!r}")
    return tuple(_item(f, item, get_args(f.type)[0], where, name) for item in value)


def _item(
    f: "dataclasses.Field[Any]",
    value: Any,  # noqa: ANN401 (what TOML holds)
    kind: object,
    where: str,
    name: str,
) -> object:
    """One value of the right type and within its limits. Whole numbers may stand for floats."""
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise RecipeError(f"{where}: {name} must be {_WORDS[kind]}, not {value!r}")
    low, high, choices = (f.metadata.get(k) for k in ("low", "high", "choices"))
    if choices is not None and value not in choices:
        raise RecipeError(f"{where}: {name} must be one of {', '.join(choices)}, not {value!r}")
    if low is not None and not value >= low:
        raise RecipeError(f"{where}: {name} must be at least {low}, not {value!r}")
    if high is not None and not value <= high:
        raise RecipeError(f"{where}: {name} must be at most {high}, not {value!r}")
    return value
