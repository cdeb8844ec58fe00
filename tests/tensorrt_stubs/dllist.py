"""Stands in for the package that lists loaded libraries: there are none."""


def dllist() -> list[str]:
    return []
