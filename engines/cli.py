"""`vfd-engine`: build an engine, prove it, measure it, and say what a model is."""

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from engines import bench as benching
from engines import bench_report, info
from engines import build as building
from engines.engine import EngineError
from engines.load import ENGINES, IN_ORDER, load_engine
from engines.manifest import read_manifest
from engines.samples import load_samples, packaged_samples
from engines.verify import Parity, verify
from vfd.checkpoint import CheckpointError, load_checkpoint, shipped_checkpoint_path
from vfd.model_config import PRESETS

FAILED: Final = 1
BAD_INPUT: Final = 2
INTERRUPTED: Final = 130  # 128 and the number of SIGINT, as shells have it
SHIPPED: Final = "default: the weights that ship"
PRECISIONS: Final = ("auto", "f32", "bf16", "fp16")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0; 1 where a proof failed; 2 for what the user has to put right."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except (EngineError, CheckpointError, OSError) as error:
        print(f"vfd-engine: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="vfd-engine", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_info(commands.add_parser("info", help="what a model is, costs, and runs on"))
    _add_verify(commands.add_parser("verify", help="does an engine say what the reference says?"))
    _add_build(
        commands.add_parser("build", help="write an engine into a folder, if it proves right")
    )
    _add_bench(commands.add_parser("bench", help="speed, beside what the processor can do"))
    _add_import(commands.add_parser("import-released", help="read the authors' checkpoints"))
    for command in commands.choices.values():
        command.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _add_info(parser: argparse.ArgumentParser) -> None:
    of = parser.add_mutually_exclusive_group()
    of.add_argument("checkpoint", type=Path, nargs="?", help=SHIPPED)
    of.add_argument("--preset", choices=sorted(PRESETS), help="in place of a checkpoint")
    parser.set_defaults(run=_info)


def _info(options: argparse.Namespace) -> int:
    if options.preset:
        described = info.describe(PRESETS[options.preset], None)
    else:
        checkpoint = load_checkpoint(options.checkpoint or shipped_checkpoint_path())
        described = info.describe(checkpoint.info.config, checkpoint)
    _print(options, described, info.as_text(described))
    return 0


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path, nargs="?", help=SHIPPED)
    parser.add_argument("--engine", choices=ENGINES, default="auto")
    parser.add_argument("--precision", choices=PRECISIONS, default="auto")
    parser.add_argument("--folder", type=Path, help="what vfd-engine build wrote")
    parser.add_argument("--validation", type=Path, help="a file of vfd-train export-validation")
    parser.set_defaults(run=_verify)


def _verify(options: argparse.Namespace) -> int:
    checkpoint = load_checkpoint(options.checkpoint or shipped_checkpoint_path())
    samples = load_samples(options.validation or packaged_samples())
    name = options.engine
    if options.folder is not None and name == "auto":
        name = read_manifest(options.folder).engine
    engine = load_engine(name, checkpoint, folder=options.folder, precision=options.precision)
    with closing(engine):
        parity = verify(engine, checkpoint, samples)
    return _print_parity(options, parity)


def _add_build(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--engine", choices=IN_ORDER, default="openvino")
    parser.add_argument("--precision", choices=PRECISIONS, default="auto")
    parser.add_argument("--int8", action="store_true", help="if the AUC loss allows it")
    parser.add_argument("--validation", type=Path, help="a file of vfd-train export-validation")
    parser.add_argument("--onnx", action="store_true", help="ONNX files too")
    parser.add_argument("--plan", action="store_true", help="plain TensorRT plans too")
    parser.set_defaults(run=_build)


def _build(options: argparse.Namespace) -> int:
    order = building.Order(
        options.engine,
        options.precision,
        options.int8,
        options.validation,
        options.onnx,
        options.plan,
    )
    parity = building.build(load_checkpoint(options.checkpoint), options.out, order)
    code = _print_parity(options, parity)
    where = f"wrote {options.out}" if parity.passed else "wrote nothing"
    print(f"vfd-engine: {where}", file=sys.stderr)
    return code


def _add_bench(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--checkpoint", type=Path, help="default: random weights of the presets")
    parser.add_argument("--preset", action="append", choices=sorted(PRESETS))
    parser.add_argument("--engine", action="append", choices=benching.BENCH_ENGINES)
    parser.add_argument(
        "--folder", type=Path, help="what vfd-engine build wrote for --checkpoint, beside --engine"
    )
    parser.add_argument("--precision", choices=PRECISIONS, default="auto", help="of our engines")
    parser.add_argument("--batch", type=_positive, default=1)
    parser.add_argument("--seconds", type=float, default=12.0, help="for each preset")
    parser.add_argument("--no-startup", action="store_true", help="leave out start-up and memory")
    parser.add_argument("--report", type=Path, help="folder for cpu.md and cpu.json")
    parser.set_defaults(run=_bench)


def _bench(options: argparse.Namespace) -> int:
    if options.folder is not None and options.checkpoint is None:
        raise EngineError("--folder was built for a checkpoint: name it with --checkpoint")
    order = benching.Order(
        presets=options.preset or benching.DEFAULT_PRESETS,
        engines=options.engine or benching.DEFAULT_ENGINES,
        checkpoint=options.checkpoint,
        folder=options.folder,
        precision=options.precision,
        batch=options.batch,
        seconds=options.seconds,
        startup=not options.no_startup,
    )
    if options.report is not None:  # minutes are lost where it cannot be written
        options.report.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        measured = benching.bench(order, Path(folder))
    _print(options, bench_report.as_dict(measured), bench_report.markdown(measured, _command()))
    if options.report is not None:
        bench_report.write_report(measured, options.report, _command())
    return 0 if measured.rows else FAILED


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on, not {text!r}")
    return int(text)


def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path, nargs="?", help="one file with both towers")
    parser.add_argument("--face", type=Path, help="or the face tower")
    parser.add_argument("--voice", type=Path, help="and the voice tower")
    parser.add_argument("--out", type=Path, required=True)
    parser.set_defaults(run=_import)


def _import(options: argparse.Namespace) -> int:
    try:
        from vfd.released import import_released
    except ImportError as error:
        raise EngineError(
            f"torch cannot be imported ({error}): install vfd-monitor[training]"
        ) from error
    written = import_released(
        options.out,
        checkpoint=options.checkpoint,
        face=options.face,
        voice=options.voice,
        command=_command(),
        commit="unknown",
    )
    notes = [
        'no calibration is in it: verdicts stay unknown unless decision.rule is "paper" and '
        "decision.suspect_below and decision.match_above are set",
        "the authors give these weights no licence",
        "our face alignment is not theirs: measure before you rely on a score",
    ]
    described = {"out": str(options.out), "trained_on": written.trained_on, "notes": notes}
    _print(options, described, "\n".join([f"wrote {options.out}", *notes]))
    return 0


def _command() -> str:
    """What was typed, to be repeated."""
    return shlex.join(["vfd-engine", *sys.argv[1:]])


def _print_parity(options: argparse.Namespace, parity: Parity) -> int:
    limit = "none" if parity.cosine_limit is None else f"{parity.cosine_limit:.0e}"
    lines = [
        f"{parity.engine}, {parity.preset}, {parity.precision}: {parity.voices} voices and "
        f"{parity.faces} faces against torch in float32",
        f"cosine difference: max {parity.max_cosine_difference:.1e}, mean "
        f"{parity.mean_cosine_difference:.1e} (limit {limit})",
    ]
    if parity.auc_loss is not None:
        loss = parity.auc_loss
        lines.append(f"AUC loss: {loss.value:.5f}, 95 % {loss.low:.5f} to {loss.high:.5f}")
    lines += [f"FAILED: {problem}" for problem in parity.problems] or ["passed"]
    _print(options, parity.as_dict(), "\n".join(lines))
    return 0 if parity.passed else FAILED


def _print(options: argparse.Namespace, described: dict[str, Any], text: str) -> None:
    print(json.dumps(described, indent=1) if options.json else text)


if __name__ == "__main__":
    sys.exit(main())
