"""Writes the names of the parameters of torch-tensorrt that we use, for every release that we
support, to tests/data/torch_tensorrt_signatures.json.

    python tests/make_signatures.py 2.11.0 2.13.0

The published wheels are fetched with pip and read with `ast`; nothing of them is imported, and only
names are kept.
"""

import ast
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from engines.signatures import keywords_of

SNAPSHOT = Path(__file__).parent / "data" / "torch_tensorrt_signatures.json"
DEFINED_IN = {
    "torch_tensorrt.Input": "torch_tensorrt/_Input.py",
    "torch_tensorrt.dynamo.compile": "torch_tensorrt/dynamo/_compiler.py",
    "torch_tensorrt.dynamo.convert_exported_program_to_serialized_trt_engine": (
        "torch_tensorrt/dynamo/_compiler.py"
    ),
    "torch_tensorrt.save": "torch_tensorrt/_compile.py",
}
"""Where the wheels define what they export under these names."""


def signatures(wheel: zipfile.ZipFile) -> dict[str, list[str]]:
    return {
        name: keywords_of(definition(ast.parse(wheel.read(path)), name.split(".")[-1]))
        for name, path in DEFINED_IN.items()
    }


def definition(module: ast.Module, name: str) -> ast.FunctionDef:
    """The function `name`, or the constructor of the class `name`."""
    for node in module.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node
        if isinstance(node, ast.ClassDef) and node.name == name:
            return definition(ast.Module(node.body, []), "__init__")
    raise LookupError(f"the wheel defines no {name}")


def fetched(version: str, folder: Path) -> zipfile.ZipFile:
    command = ["pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    requirement = f"torch-tensorrt=={version}"
    subprocess.run([sys.executable, "-m", *command, requirement], check=True)
    (path,) = folder.glob(f"torch_tensorrt-{version}-*.whl")
    return zipfile.ZipFile(path)


def main(versions: list[str]) -> None:
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for version in versions:
            with fetched(version, Path(folder)) as wheel:
                found[version] = signatures(wheel)
    SNAPSHOT.parent.mkdir(exist_ok=True)
    SNAPSHOT.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
