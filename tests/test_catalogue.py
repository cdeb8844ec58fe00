"""The catalogue says what a running monitor exposes, no more and no less."""

import re
import subprocess

import httpx
from prometheus_client.parser import text_string_to_metric_families

from monitor import catalogue
from monitor.catalogue import CATALOGUE, Kind
from monitor.config import Config, ServerConfig
from tests.peers import Picture, Voice, monitor, publish, until
from tests.programs import program

BASE_UNITS = ("seconds", "bytes", "ratio")


async def exposition() -> str:
    """Of a monitor that watches somebody."""
    async with (
        monitor(Config(server=ServerConfig(port=0))) as service,
        httpx.AsyncClient(base_url=service.url, trust_env=False) as client,
        publish(f"{service.url}/whip/standup/alice", Voice(), Picture()),
    ):

        async def scored() -> bool:
            return "vfd_participant_similarity{" in (await client.get("/metrics")).text

        await until(scored, 30)
        return (await client.get("/metrics")).text


def families(text: str) -> dict[str, tuple[str, frozenset[str], str]]:
    """Name -> (type, names of labels, help)."""
    found = {}
    for family in text_string_to_metric_families(text):
        labels = frozenset(name for sample in family.samples for name in sample.labels)
        name = family.name + ("_total" if family.type == "counter" else "")
        found[name] = (family.type, labels - {"le"}, family.documentation)
    return found


async def test_the_catalogue_is_what_is_exposed_and_promtool_accepts_it() -> None:
    text = await exposition()
    command = (program("Prometheus", ("promtool",), "prometheus"), "check", "metrics")
    done = subprocess.run(command, input=text, capture_output=True, text=True)  # noqa: ASYNC221
    assert (done.returncode, done.stderr) == (0, "")
    found = families(text)
    assert set(found) == {metric.name for metric in CATALOGUE}
    for metric in CATALOGUE:
        kind, labels, text = found[metric.name]
        assert kind == metric.kind, metric.name
        assert labels in (frozenset(), frozenset(metric.labels)), metric.name  # none: no series yet
        if metric not in catalogue.PROCESS:
            assert text == metric.meaning


def test_names_keep_the_rules_of_prometheus() -> None:
    assert len({metric.name for metric in CATALOGUE}) == len(CATALOGUE)
    for metric in CATALOGUE:
        assert re.fullmatch(r"(vfd|process)(_[a-z0-9]+)+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
        assert (metric.kind is Kind.HISTOGRAM) == bool(metric.buckets)
        assert list(metric.buckets) == sorted(metric.buckets)
        assert metric.meaning.endswith(".")
        if metric.unit in BASE_UNITS:
            assert metric.unit in metric.name.split("_")
        assert not re.search(r"_(ms|us|minutes|hours|kb|mb|percent)(_|$)", metric.name)
