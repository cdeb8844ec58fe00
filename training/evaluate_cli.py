"""`vfd-train evaluate`, `calibrate`, `curve`, `compare` and `capacity`."""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.clips import Split
from training.provenance import command, machine
from training.score_files import ScoreTable, read_scores, write_scores

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from training.evaluate import Evaluation, Protocol


def add_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> None:
    """Adds the parsers of the five commands to the subparsers of `vfd-train`."""
    _add_evaluate(commands.add_parser("evaluate", help="measure it on people never seen"))
    _add_calibrate(commands.add_parser("calibrate", help="fit lambda and the statistics of scores"))
    _add_curve(commands.add_parser("curve", help="draw what a sweep found (Fig. 11)"))
    _add_compare(commands.add_parser("compare", help="what ablations cost, seed by seed"))
    _add_capacity(commands.add_parser("capacity", help="time and cost of a training on GPUs"))


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Give --checkpoint with --data, or --scores. Of several, NAME= tells them apart."
    )
    what = parser.add_argument_group("what is judged")
    many: dict[str, Any] = {"action": "append", "default": []}
    what.add_argument("--checkpoint", **many, metavar="[NAME=]FILE", help="once for each")
    what.add_argument("--data", **many, metavar="[NAME=]FOLDER", help="once for each test set")
    what.add_argument("--scores", **many, metavar="[NAME=]FILE", help="CSV of any detector")
    what.add_argument("--against", type=Path, help="checkpoint or CSV to compare the first with")
    how = parser.add_argument_group("how")
    how.add_argument("--split", type=Split, choices=list(Split), default=Split.TEST)
    how.add_argument("--line", **many, help="what clips went through (default: call)")
    how.add_argument("--pairs", choices=["auto", "clips", "swaps"], default="auto")
    how.add_argument("--windows", type=int, default=2, help="of each clip, at most")
    how.add_argument("--crops", type=int, default=2, help="of each clip, at most")
    how.add_argument("--threshold", type=float, help="lambda of --scores, chosen on other data")
    how.add_argument("--validation-scores", type=Path, help="CSV to choose that lambda on")
    how.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    how.add_argument("--seed", type=int, default=0, help="of the pairs")
    how.add_argument("--resamples", type=int, default=1000, help="of the bootstrap")
    out = parser.add_argument_group("what comes out")
    out.add_argument("--json", action="store_true", help="print JSON, not a table")
    out.add_argument("--report", type=Path, metavar="FOLDER", help="accuracy.md, .json, .html")
    out.add_argument(
        "--sweep",
        **many,
        metavar="[TITLE=]FILE",
        help="sweep.csv whose curve goes into the report (Fig. 11); once for each",
    )
    out.add_argument("--scores-out", type=Path, metavar="FILE", help="scores of the first as CSV")
    out.add_argument("--cross", action="store_true", help="train-on-X, test-on-Y matrix of AUCs")
    out.add_argument(
        "--pretraining", action="store_true", help="face, voice and matching accuracy (Table 4)"
    )
    out.add_argument("--heads", type=Path, help="modulators that training left, for --pretraining")
    out.add_argument(
        "--table",
        choices=["dfdc", "fakeavceleb", "timit-lq", "timit-hq"],
        help="print the result among those of the paper's Table 1, as being of this set",
    )
    parser.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> None:
    if options.cross:
        _cross(options)
        return
    if options.pretraining:
        _pretraining(options)
        return
    curves = _curves(options)  # minutes are lost where they cannot be drawn
    evaluations = _evaluations(options)
    _print(evaluations, options, curves)
    if options.scores_out is not None:
        write_scores(options.scores_out, evaluations[0].table)
    if options.against is not None:
        _compare(options)


def _evaluations(options: argparse.Namespace) -> "list[Evaluation]":
    from training.evaluate import evaluate, evaluate_scores  # torch: not for workers of prepare

    if bool(options.scores) == bool(options.checkpoint):
        raise ValueError("give either --checkpoint with --data, or --scores")
    if options.scores:
        tables = {name: read_scores(path) for name, path in _named(options.scores).items()}
        return [evaluate_scores(tables, _threshold(options), options.resamples)]
    if not options.data:
        raise ValueError("--checkpoint wants --data, a folder that prepare filled")
    if options.threshold is not None or options.validation_scores is not None:
        raise ValueError("a checkpoint has its own lambda; change it with `vfd-train calibrate`")
    return [
        evaluate(checkpoint, folder, protocol)
        for checkpoint in _named(options.checkpoint).values()
        for folder in _named(options.data).values()
        for protocol in _protocols(options)
    ]


def _curves(options: argparse.Namespace) -> "list[tuple[str, Figure]]":
    if not options.sweep:
        return []
    if options.report is None:
        raise ValueError("--sweep is drawn into a report: name its folder with --report")
    from training.html_report import sweep_curves  # matplotlib takes a second to load

    return sweep_curves(options.sweep)


def _print(
    evaluations: "list[Evaluation]",
    options: argparse.Namespace,
    curves: "Sequence[tuple[str, Figure]]",
) -> None:
    from training import paper_table
    from training.accuracy_report import as_json, markdown, write_report

    typed = command()
    if options.json:
        print(as_json(evaluations, typed))
    elif options.table:
        ours = [
            paper_table.our_row(e.name, {options.table: e.result}, e.towers) for e in evaluations
        ]
        print(paper_table.markdown([*paper_table.paper_rows(), *ours]))
    else:
        print(markdown(evaluations, typed))
    if options.report is not None:
        from training.html_report import write_html  # matplotlib takes a second to load

        pictures = write_html(evaluations, options.report, typed, curves)
        write_report(evaluations, options.report, typed, pictures)


def _cross(options: argparse.Namespace) -> None:
    from training.cross import cross, matrix_markdown

    checkpoints, tests = _named(options.checkpoint), _named(options.data)
    if not checkpoints or not tests:
        raise ValueError("--cross wants --checkpoint NAME=FILE and --data NAME=FOLDER, each once")
    for protocol in _protocols(options):
        print(matrix_markdown(cross(checkpoints, tests, protocol)))


def _pretraining(options: argparse.Namespace) -> None:
    from training.classifier import threshold_in
    from training.evaluate import gather_pairs
    from training.pretraining_accuracy import markdown, pretraining_accuracy

    for name, checkpoint in _named(options.checkpoint).items():
        threshold = threshold_in(checkpoint)
        for folder in _named(options.data).values():
            for protocol in _protocols(options):
                swaps = dataclasses.replace(protocol, pairs="swaps")
                evidence, pairs, table = gather_pairs(checkpoint, folder, swaps)
                found = pretraining_accuracy(evidence, pairs, table.score, threshold, options.heads)
                print(markdown(found, name))


def _compare(options: argparse.Namespace) -> None:
    from training.cross import compare, compare_scores, difference_markdown

    if options.scores:
        name, path = next(iter(_named(options.scores).items()))
        measured, pairs = compare_scores(
            read_scores(path), read_scores(options.against), options.resamples
        )
        print(difference_markdown(measured, pairs, (name, options.against.stem)))
        return
    ours = next(iter(_named(options.checkpoint).values()))
    for folder in _named(options.data).values():
        for protocol in _protocols(options):
            measured, pairs = compare(ours, options.against, folder, protocol)
            print(f"\n## {folder.name}, {protocol.line}\n")
            print(difference_markdown(measured, pairs, (ours.stem, options.against.stem)))


def _protocols(options: argparse.Namespace) -> "list[Protocol]":
    from training.evaluate import Protocol

    return [
        Protocol(
            split=options.split,
            line=line,
            pairs=options.pairs,
            windows=options.windows,
            crops=options.crops,
            device=options.device,
            seed=options.seed,
            resamples=options.resamples,
        )
        for line in options.line or ["call"]
    ]


def _threshold(options: argparse.Namespace) -> float | None:
    from training.evaluate import threshold_of

    if options.validation_scores is None:
        given: float | None = options.threshold
        return given
    if options.threshold is not None:
        raise ValueError("give --threshold or --validation-scores, not both")
    return threshold_of(read_scores(options.validation_scores))


def _named(given: list[str]) -> dict[str, Path]:
    """NAME=PATH, or a path that is named by its stem. Raises ValueError for a name given twice."""
    found: dict[str, Path] = {}
    for text in given:
        name, equals, path = text.partition("=")
        place = Path(path if equals else text)
        key = name if equals else place.stem
        if key in found:
            raise ValueError(f"{text}: {key!r} is given twice; tell them apart by NAME={place}")
        found[key] = place
    return found


def _add_calibrate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("scores", type=Path, help="its scores of validation people, as CSV")
    parser.add_argument("--out", type=Path, help="checkpoint to write (default: the same file)")
    parser.set_defaults(run=_calibrate)


def _calibrate(options: argparse.Namespace) -> None:
    from training.calibrate import calibrate, markdown

    table: ScoreTable = read_scores(options.scores)
    out = options.out or options.checkpoint
    print(markdown(calibrate(options.checkpoint, table, out)))


def _add_curve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sweep", type=Path, help="sweep.csv")
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    parser.add_argument("--title", default="")
    parser.set_defaults(run=_curve)


def _curve(options: argparse.Namespace) -> None:
    from training.plots import save, sweep_curve  # matplotlib takes a second to load
    from training.sweep_file import read_sweep

    save(sweep_curve(read_sweep(options.sweep), options.title), options.out)


def _add_compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sweeps", type=Path, nargs="+", help="sweep.csv, the first to compare with")
    parser.add_argument("--column", default="validation", help="what was measured")
    parser.set_defaults(run=_compare_arms)


def _compare_arms(options: argparse.Namespace) -> None:
    from training.arms import read_arms, table

    print(table(read_arms(options.sweeps, options.column)))


def _add_capacity(parser: argparse.ArgumentParser) -> None:
    from vfd.model_config import PRESETS

    parser.add_argument("--preset", choices=sorted(PRESETS), default="base")
    parser.add_argument("--clips", type=int, default=1_100_000, help="of an epoch")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--faces-each", type=int, default=1, help="faces read for each voice")
    parser.add_argument("--gpus", type=int, nargs="+", default=[1, 4, 32])
    parser.add_argument("--data", type=Path, help="shards, to measure this core's input pipeline")
    parser.add_argument("--report", type=Path, metavar="FOLDER", help="capacity.md and .json")
    parser.set_defaults(run=_capacity)


def _capacity(options: argparse.Namespace) -> None:
    from training.capacity import Plan, input_rate
    from training.capacity_report import Capacity, markdown, write_report

    plan = Plan(options.preset, options.clips, options.epochs, options.batch, options.faces_each)
    here = machine()  # before we are what keeps it busy
    rate = None if options.data is None else input_rate(options.data, options.preset)
    capacity = Capacity(plan, options.gpus, rate, here, command())
    print(markdown(capacity))
    if options.report is not None:
        write_report(capacity, options.report)
