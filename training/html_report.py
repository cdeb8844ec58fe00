"""Evaluations as one HTML file that needs nothing else: text, tables and pictures."""

import base64
import html
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from matplotlib.figure import Figure

from training import plots
from training.accuracy_report import markdown
from training.evaluate import PATIENT, Evaluation
from training.sweep_file import read_sweep

HTML: Final = "accuracy.html"
SWEEPS: Final = "What trainings of several sizes reached"
CURVES: Final = {
    "data.real_clips": ("few-shot", "Real clips to fine-tune on, as in Fig. 11a"),
    "loss.negatives": ("negatives", "Q, fakes for each real clip, as in Fig. 11b"),
}
"""File and title of the curve, by the field that a sweep varied."""
STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2d4d; max-width: 64rem;
       margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; font-size: 13px; display: block;
        overflow-x: auto; }
td, th { border-bottom: 1px solid #dfe3ea; padding: .3rem .7rem; text-align: left;
         vertical-align: top; }
figure { display: inline-block; margin: .5rem; max-width: 100%; vertical-align: top; }
img { max-width: 100%; }
code { background: #f3f5f9; padding: .1rem .3rem; overflow-wrap: anywhere; }
"""


def write_html(
    evaluations: Sequence[Evaluation],
    folder: Path,
    command: str,
    curves: Sequence[tuple[str, Figure]] = (),
) -> dict[str, list[Path]]:
    """`accuracy.html` in `folder`, and beside it as PNG the pictures of each evaluation, by whose
    name they are returned, and those of SWEEPS: `curves`, see `sweep_curves`."""
    folder.mkdir(parents=True, exist_ok=True)
    written: dict[str, list[Path]] = {}
    body = [to_html(markdown(evaluations, command)), "<h2>Pictures</h2>"]
    for number, evaluation in enumerate(evaluations, start=1):
        body.append(f"<h3>{html.escape(evaluation.name)}</h3>")
        for name, figure in pictures(evaluation):
            path = plots.save(figure, folder / f"{name}-{number}.png")
            written.setdefault(evaluation.name, []).append(path)
            body.append(_figure(path, f"{name}: {evaluation.name}"))
    if curves:
        body.append(f"<h3>{SWEEPS}</h3>")
    for number, (name, figure) in enumerate(curves, start=1):
        path = plots.save(figure, folder / f"{name}-{number}.png")
        written.setdefault(SWEEPS, []).append(path)
        body.append(_figure(path, f"{name}: {SWEEPS}"))
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Accuracy</title>'
        f"<style>{STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )
    (folder / HTML).write_text(page, encoding="utf-8")
    return written


def sweep_curves(given: Sequence[str]) -> list[tuple[str, Figure]]:
    """Name and picture of each sweep.csv, given as TITLE=FILE, or FILE to be named by what it
    varied. Raises OSError, ValueError for a file that cannot be drawn."""
    found = []
    for text in given:
        own, _, file = text.rpartition("=")
        path = Path(file)
        columns = read_sweep(path)
        varied = next(iter(columns))
        name, title = CURVES.get(varied, ("sweep", varied))
        try:
            figure = plots.sweep_curve(columns, own or title)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        found.append((name, figure))
    return found


def pictures(evaluation: Evaluation) -> Iterator[tuple[str, Figure]]:
    """By name; those that the evaluation allows."""
    table, result = evaluation.table, evaluation.result
    if result.auc is None:
        return
    judge = evaluation.classifier
    score = plots.SIMILARITY if judge is None else f"logit of {judge}"
    title = f"{score[0].upper()}{score[1:]}"
    yield "similarity", plots.histogram(table, result.threshold, title, score)
    if PATIENT in evaluation.tables:
        patient = evaluation.tables[PATIENT]
        title = "The same, mean over windows and faces"
        yield "similarity-patient", plots.histogram(patient, result.threshold, title, score)
    yield "roc", plots.roc_curves(evaluation.tables, "ROC")
    yield "det", plots.det_curves(evaluation.tables, "DET")
    if evaluation.calibration is not None:
        yield "reliability", plots.reliability(table, evaluation.calibration, "Reliability")
    if evaluation.evidence is not None and "voice" in evaluation.towers:
        from training.voice_map import voice_map  # scikit-learn takes seconds to load

        yield "voices", voice_map(evaluation.evidence, "Voices (t-SNE); lines join one person's")


def to_html(text: str) -> str:
    """Of the markdown that our reports use: headings, paragraphs, tables, `code`, **strong**."""
    parts = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = block.splitlines()
        if lines[0].startswith("#"):
            level = len(lines[0]) - len(lines[0].lstrip("#"))
            parts.append(f"<h{level}>{_inline(lines[0].lstrip('# '))}</h{level}>")
        elif lines[0].startswith("|"):
            parts.append(_table(lines))
        else:
            parts.append(f"<p>{_inline(' '.join(lines))}</p>")
    return "\n".join(parts)


def _table(lines: Sequence[str]) -> str:
    rows = [[_inline(c.strip()) for c in line.strip("|").split("|")] for line in lines]
    head = "".join(f"<th>{cell}</th>" for cell in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows[2:]
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _inline(text: str) -> str:
    text = html.escape(text)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    return re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text)


def _figure(path: Path, alt: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    source = f"data:image/png;base64,{data}"
    return f'<figure><img alt="{html.escape(alt, quote=True)}" src="{source}"></figure>'
