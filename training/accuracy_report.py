"""Evaluations as text for people and as JSON for programs."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training import headway
from training.evaluate import BEST, Evaluation
from training.lines import in_words
from training.measures import Result, as_dict
from vfd.metrics import Interval

RATES = (("0.05", "5 %"), ("0.01", "1 %"), ("0.001", "0.1 %"))


def write_report(
    evaluations: Sequence[Evaluation],
    folder: Path,
    command: str,
    pictures: Mapping[str, Sequence[Path]],
) -> None:
    """`accuracy.md` and `accuracy.json` in `folder`, which holds the `pictures` of each evaluation
    by its name."""
    text = "\n".join([markdown(evaluations, command), *_links(pictures)])
    (folder / "accuracy.md").write_text(text, encoding="utf-8")
    (folder / "accuracy.json").write_text(as_json(evaluations, command) + "\n", encoding="utf-8")


def as_json(evaluations: Sequence[Evaluation], command: str) -> str:
    """The measures of the first evaluation at the top, everything else below it."""
    first = as_dict(evaluations[0].result)
    return json.dumps(
        first | {"command": command, "evaluations": [_as_json(e) for e in evaluations]}, indent=1
    )


def markdown(evaluations: Sequence[Evaluation], command: str) -> str:
    """The report that the README links."""
    lines = ["# Accuracy", "", *_what_it_says(evaluations), ""]
    for evaluation in evaluations:
        lines += [f"## {evaluation.name}", "", *_scorers(evaluation), ""]
        if near := headway.markdown(evaluation):
            lines += [*near, ""]
        lines += [*_rates(evaluation), ""]
        if evaluation.neutral:
            lines += [*_neutral(evaluation), ""]
        if evaluation.slices:
            lines += [*_slices(evaluation), ""]
    lines += ["## Provenance", "", f"Measured by `{command}`.", ""]
    for evaluation in evaluations:
        facts = evaluation.provenance | {k: str(v) for k, v in evaluation.data.items()}
        if facts:
            lines += [f"### {evaluation.name}", "", *_facts(facts), ""]
    return "\n".join(lines).rstrip() + "\n"


def interval(value: Interval | None) -> str:
    """With its ends, or a dash."""
    if value is None:
        return "-"
    return f"{value.value:.4f} ({value.low:.4f} to {value.high:.4f})"


def percent(value: Interval | None) -> str:
    """In per cent, with its ends, or a dash."""
    if value is None:
        return "-"
    return f"{100 * value.value:.1f} ({100 * value.low:.1f} to {100 * value.high:.1f}) %"


def _what_it_says(evaluations: Sequence[Evaluation]) -> list[str]:
    lines = [
        "A pair is a 3-second window of voice and one face; real pairs are of one person.",
        "Intervals are of 95 %, by a bootstrap over identities. Accuracy is at a lambda that was",
        "chosen on validation people; coverage is the share of pairs that got a score. A dash: not",
        "measurable, or too few pairs for so small a rate. Clips that could not even be prepared",
        "(no face, no speech, ...) are counted under `dropped` at the end.",
    ]
    if any(BEST in e.tables for e in evaluations):
        lines += [
            "",
            "**People drawn by a program, none of them seen in training: this says nothing about",
            "real people.** The best possible is the likelihood ratio of the true traits, which no",
            "detector beats; colour and pitch are a logistic regression on those alone.",
        ]
    return lines


def _scorers(evaluation: Evaluation) -> list[str]:
    result = evaluation.result
    sent = in_words(str(evaluation.data.get("line", "")))
    lines = [
        f"{result.n_identities} identities, {result.n_real} real and {result.n_fake} other pairs."
        f"{sent and f' {sent}'}",
        "",
        "| scorer | AUC | AUC within one sex | EER | AP | accuracy | coverage |",
        "|-|-|-|-|-|-|-|",
    ]
    for name, r in evaluation.results.items():
        m = r.measured
        cells = [name, interval(r.auc), interval(r.auc_same_sex), percent(m.get("eer"))]
        cells += [interval(m.get("ap")), percent(m.get("accuracy")), f"{100 * r.coverage:.1f} %"]
        lines.append(f"| {' | '.join(cells)} |")
    if result.threshold is not None and "balanced_accuracy" in result.measured:
        lines += [
            "",
            f"At lambda {result.threshold:.4f} the accuracy is "
            f"{percent(result.measured['balanced_accuracy'])} when real and other pairs count the "
            "same.",
        ]
    return lines


def _rates(evaluation: Evaluation) -> list[str]:
    values = as_dict(evaluation.result)
    lines = ["| at most | real accepted (TPR at that FPR) | others detected |", "|-|-|-|"]
    for key, name in RATES:
        cells = [_rate(values, kind, key) for kind in ("tpr_at_fpr", "detected_at_false_alarms")]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    note = "Left: at most so many others accepted. Right: at most so many real pairs refused."
    return [*lines, "", note]


def _rate(values: Mapping[str, Any], kind: str, key: str) -> str:
    value, low, high = (values[kind + end][key] for end in ("", "_low", "_high"))
    return "-" if value is None else percent(Interval(value, low, high))


def _neutral(evaluation: Evaluation) -> list[str]:
    lines = [
        "Each shared trait made useless: only others whose face shows the same of it as the own.",
        "",
        "| without | AUC of the model | best possible | other pairs |",
        "|-|-|-|-|",
    ]
    lines += [
        f"| {n.trait} | {interval(n.model.auc)} | {interval(n.best.auc)} | {n.model.n_fake} |"
        for n in evaluation.neutral
    ]
    return lines


def _slices(evaluation: Evaluation) -> list[str]:
    lines = [
        "| by | where | AUC | EER | accuracy | real | other | identities | coverage |",
        "|-|-|-|-|-|-|-|-|-|",
    ]
    for s in evaluation.slices:
        r = s.result
        cells = [s.attribute, s.condition, interval(r.auc), percent(r.measured.get("eer"))]
        cells += [percent(r.measured.get("accuracy")), str(r.n_real), str(r.n_fake)]
        cells += [str(r.n_identities), f"{100 * r.coverage:.1f} %"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _links(pictures: Mapping[str, Sequence[Path]]) -> list[str]:
    lines = ["## Pictures", ""]
    for name, paths in pictures.items():
        listed = ", ".join(f"[{path.stem.rsplit('-', 1)[0]}]({path.name})" for path in paths)
        lines += [f"{name}: {listed}", ""]
    return lines


def _facts(values: Mapping[str, str]) -> list[str]:
    return ["| | |", "|-|-|", *(f"| {name} | {value} |" for name, value in values.items())]


def _as_json(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "name": evaluation.name,
        "scorers": {name: as_dict(r) for name, r in evaluation.results.items()},
        "slices": [
            {"by": s.attribute, "where": s.condition} | as_dict(s.result) for s in evaluation.slices
        ],
        **headway.as_json(evaluation),
        "neutralised": {n.trait: _neutral_json(n.model, n.best) for n in evaluation.neutral},
        "provenance": evaluation.provenance,
        "data": {name: str(value) for name, value in evaluation.data.items()},
    }


def _neutral_json(model: Result, best: Result) -> dict[str, Any]:
    return {"model": as_dict(model), "best possible": as_dict(best)}
