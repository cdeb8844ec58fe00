"""Every expression, of rules and of dashboards, is PromQL about metrics that a monitor exposes."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from monitor import ops_files
from monitor.catalogue import CATALOGUE, Kind
from monitor.ops import dashboards
from tests.programs import program

WORDS = {"and", "or", "unless", "on", "ignoring", "by", "without", "group_left", "group_right"}
RULES = yaml.safe_load((ops_files.FOLDER / "vfd.rules.yml").read_text())
BOARDS = {path.name: json.loads(path.read_text()) for path in ops_files.FOLDER.glob("grafana/*")}


def rules() -> Iterator[dict[str, str]]:
    return (rule for group in RULES["groups"] for rule in group["rules"])


def expressions() -> dict[str, str]:
    """By where they stand, all of them; Grafana's own variables replaced."""
    found = {f"rule {rule.get('alert') or rule['record']}": rule["expr"] for rule in rules()}
    for board, content in BOARDS.items():
        for panel in content["panels"]:
            for i, target in enumerate(panel["targets"]):
                text = target["expr"].replace("$__rate_interval", "5m")
                found[f"{board}: {panel['title']} {i}"] = re.sub(r"\$\w+", ".*", text)
    return found


def metric_names(expression: str) -> set[str]:
    """The metrics that PromQL reads: names that are no function, keyword or label."""
    text = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^]]*\]', " ", expression)
    text = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", text)
    names = re.findall(r"(?<![\w.])[a-zA-Z_:][\w:]*(?!\s*\()(?![\w:])", text)
    return set(names) - WORDS


def exposed_names() -> set[str]:
    """What Prometheus stores of the catalogue, which test_catalogue.py holds to a live monitor."""
    names = {"up"}
    for metric in CATALOGUE:
        if metric.kind is not Kind.HISTOGRAM:
            names.add(metric.name)
            continue
        ends = ["_bucket", "_count"] + ["_sum"] * (metric.buckets[0] >= 0)
        names |= {metric.name + end for end in ends}
    return names | {rule["record"] for rule in rules() if "record" in rule}


def test_names_are_told_from_functions_labels_and_keywords() -> None:
    text = 'sum by (le) (rate(a_total{b="c_d"}[5m])) / on (job) group_left (x) e:f:g > 2 or up'
    assert metric_names(text) == {"a_total", "e:f:g", "up"}


@pytest.mark.parametrize("where", expressions())
def test_an_expression_reads_what_is_exposed(where: str) -> None:
    names = metric_names(expressions()[where])
    assert names or where == "rule VfdWatchdog"
    assert names <= exposed_names()


def test_promtool_accepts_every_expression(tmp_path: Path) -> None:
    promtool = program("Prometheus", ("promtool",), "prometheus")
    listed = [{"record": f"a:b:c{i}", "expr": e} for i, e in enumerate(expressions().values())]
    assert len(listed) > 60
    file = tmp_path / "all.yml"
    for last, good in (("sum(up)", True), ("sum(up", False)):
        group = {"name": "all", "rules": [*listed, {"record": "a:b:last", "expr": last}]}
        file.write_text(yaml.safe_dump({"groups": [group]}))
        done = subprocess.run((promtool, "check", "rules", file), capture_output=True, text=True)
        assert (done.returncode == 0) is good, done.stderr


def test_what_is_made_from_code_is_up_to_date() -> None:
    made = dashboards.made()
    for path, text in made.items():
        assert path.read_text() == text, f"run `make ops`: {path.name}"
    assert {path.name for path in made} >= set(BOARDS)
    assert len(BOARDS) == 5


@pytest.mark.parametrize("board", BOARDS)
def test_panels_are_told_apart_and_do_not_overlap(board: str) -> None:
    panels = BOARDS[board]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        xs, ys = range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])
        cells = {(x, y) for x in xs for y in ys}
        assert not cells & taken
        assert max(xs) < 24
        taken |= cells
        assert panel["datasource"]["uid"] == "${datasource}"
