"""`vfd-monitor watch`: a recorded file or a stream URL, watched as a live call is."""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from engines.engine import Engine, EngineError
from monitor.alerts import Alerter
from monitor.assembly import (
    configured_checkpoint,
    configured_engine,
    decision_limits,
    face_finder,
    weights_note,
)
from monitor.config import Config, ConfigError
from monitor.config_file import load_config
from monitor.exemplars import Exemplars, RememberingScorer
from monitor.media_open import MediaError, is_url
from monitor.read_ahead import ReadAhead
from monitor.replay import Replay
from monitor.timeline import Hop
from vfd.checkpoint import Checkpoint, CheckpointError
from vfd.decision import DecisionLimits
from vfd.faces import DetectorError

STDOUT = "-"
EXIT_DONE, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 0, 2, 130


class WatchError(Exception):
    """The command cannot be carried out; the message names what is in the way."""


USER_ERRORS = (
    *(ConfigError, CheckpointError, DetectorError, EngineError),
    *(MediaError, WatchError),
)


@dataclass(slots=True)
class Watched:
    """What came of it. `media_s` of media took `wall_s`; `interrupted` by Ctrl-C; `problems` are
    sentences about what was wrong with media or engine."""

    hops: list[Hop] = field(default_factory=list)
    media_s: float = 0.0
    wall_s: float = 0.0
    interrupted: bool = False
    problems: list[str] = field(default_factory=list)

    @property
    def speed(self) -> float:
        """How many times faster than real time it ran."""
        return self.media_s / self.wall_s if self.wall_s > 0 else 0.0


def watch(media: ReadAhead, replay: Replay, on_hop: Callable[[Hop, float], None]) -> Watched:
    """Takes open media through `replay` to its end or to Ctrl-C. `on_hop` gets every hop of
    everybody and the media time reached. Raises MediaError, and what `on_hop` raises."""
    watched = Watched()
    begun = time.monotonic()
    with asyncio.Runner() as runner:

        def step() -> None:
            for hop in runner.run(replay.step()):
                watched.hops.append(hop)
                on_hop(hop, watched.media_s)

        try:
            for item in media:
                while replay.due(item):
                    step()
                replay.write(item)
                watched.media_s = max(watched.media_s, item.end_s)
            while replay.due_at_end(watched.media_s):
                step()
        except KeyboardInterrupt:
            watched.interrupted = True
    watched.wall_s = time.monotonic() - begun
    watched.problems = _problems(media, replay)
    return watched


def _problems(media: ReadAhead, replay: Replay) -> list[str]:
    problems = []
    if media.decode_errors:
        problems.append(f"{media.decode_errors} broken packets or frames were left out")
    if media.broke_off:
        problems.append(f"the media broke off: {media.broke_off}")
    if replay.engine_error is not None:
        problems.append(f"the engine failed: {replay.engine_error}")
    return problems


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("media", metavar="FILE_OR_URL", help="what to watch")
    parser.add_argument("--config", type=Path, help="configuration file (TOML)")
    parser.add_argument("--json", metavar="FILE", help="write one JSON line a hop; - is stdout")
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="FILE.png",
        help="draw the timeline; of several people, one each",
    )
    parser.add_argument(
        "--explain",
        type=Path,
        metavar="FILE.png",
        help="draw where on the face and in the voice the highest, a middle and the lowest score "
        "come from (the picture shows the face)",
    )
    parser.add_argument(
        "--loop-s", type=_positive, metavar="N", help="play again from the start for N seconds"
    )


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a positive number of seconds, not {text}")
    return value


def run(arguments: argparse.Namespace) -> int:
    """The command; returns its exit code. An error is one line on stderr that names its cause."""
    try:
        return _run(arguments)
    except USER_ERRORS as error:
        print(f"vfd-monitor watch: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:  # before there was anything to sum up
        return EXIT_INTERRUPTED


def _run(arguments: argparse.Namespace) -> int:
    _check_outputs(arguments)
    config = load_config(arguments.config, os.environ)
    checkpoint = configured_checkpoint(config)
    limits = decision_limits(config, checkpoint)
    faces = config.join.faces
    interval_s, closely = config.scoring.face_interval_s, faces != "one"
    media = ReadAhead(arguments.media, interval_s, arguments.loop_s, closely=closely)
    with ExitStack() as stack:
        stack.enter_context(closing(media)).open()
        engine = configured_engine(config, checkpoint)
        stack.enter_context(closing(engine))
        exemplars = Exemplars()
        front_end = checkpoint.info.config.front_end
        scorer = RememberingScorer(engine, config.scoring.faces_per_window, front_end, exemplars)
        replay = Replay(
            participant_name(arguments.media),
            face_finder(config),
            scorer,
            Alerter(checkpoint, limits, ()),
            limits,
            config.scoring,
            faces,
        )
        write_line = stack.enter_context(_json_lines(arguments.json))
        watched = _watch_with_progress(media, replay, write_line)
        if arguments.explain:
            watched.problems += _explain(arguments, exemplars, engine, checkpoint)
    _report(arguments, watched, config, limits, weights_note(checkpoint))
    return EXIT_INTERRUPTED if watched.interrupted else EXIT_DONE


def participant_name(location: str) -> str:
    """The file's name, or the URL without what may be secret in it: user, password and query."""
    if not is_url(location):
        return Path(location).name
    parts = urlsplit(location)
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"


def _check_outputs(arguments: argparse.Namespace) -> None:
    """Before an hour of work, not after it."""
    drawn = arguments.plot or arguments.explain
    if drawn and find_spec("matplotlib") is None:
        raise WatchError("matplotlib is not installed: pip install 'vfd-monitor[demo]'")
    for path in (arguments.plot, arguments.explain, arguments.json):
        if path and str(path) != STDOUT and not Path(path).absolute().parent.is_dir():
            raise WatchError(f"{path}: there is no folder {Path(path).parent}")


@contextmanager
def _json_lines(target: str | None) -> Iterator[Callable[[Hop], None]]:
    """Gives a function that writes one hop as a line, at once: a reader may follow a live stream.
    Raises WatchError where `target` cannot be written."""
    if target is None:
        yield lambda hop: None
        return
    try:
        with nullcontext(sys.stdout) if target == STDOUT else open(target, "w") as file:
            yield lambda hop: print(json.dumps(hop.as_json()), file=file, flush=True)
    except OSError as error:
        raise WatchError(f"{target}: cannot be written: {error.strerror}") from error


def _watch_with_progress(
    media: ReadAhead, replay: Replay, write_line: Callable[[Hop], None]
) -> Watched:
    from rich.console import Console

    from monitor.watch_report import progress_bar

    with progress_bar(Console(stderr=True), replay.name, media.duration_s) as bar:

        def on_hop(hop: Hop, media_s: float) -> None:
            write_line(hop)
            bar(hop, media_s)

        return watch(media, replay, on_hop)


def _explain(
    arguments: argparse.Namespace, exemplars: Exemplars, engine: Engine, checkpoint: Checkpoint
) -> list[str]:
    """Draws it; what went wrong, in sentences: the report is wanted all the same. Raises WatchError
    where the picture cannot be written."""
    from rich.console import Console

    from monitor.explain_plot import explained, plot_explanations

    chosen = exemplars.chosen()
    if not chosen:
        return ["no window was scored, so there is nothing to explain"]
    try:
        with Console(stderr=True).status(f"explaining {len(chosen)} scores"):
            front_end = checkpoint.info.config.front_end
            rows = [explained(exemplar, engine, front_end) for exemplar in chosen]
        title = f"{participant_name(arguments.media)}: where do the scores come from?"
        plot_explanations(arguments.explain, rows, title=title, note=weights_note(checkpoint))
    except EngineError as error:
        return [f"the scores could not be explained: {error}"]
    except OSError as error:
        raise WatchError(f"{arguments.explain}: cannot be written: {error.strerror}") from error
    return []


def _report(
    arguments: argparse.Namespace,
    watched: Watched,
    config: Config,
    limits: DecisionLimits,
    note: str,
) -> None:
    from rich.console import Console

    from monitor.watch_report import print_report

    name = participant_name(arguments.media)
    # Lines of JSON on stdout must stay nothing but lines of JSON.
    console = Console(stderr=arguments.json == STDOUT, highlight=False)
    print_report(console, name, watched, config.scoring.hop_s, note)
    if arguments.plot:
        _plot(arguments.plot, name, watched.hops, config, limits, note)


def _plot(
    path: Path,
    name: str,
    hops: Sequence[Hop],
    config: Config,
    limits: DecisionLimits,
    note: str,
) -> None:
    from monitor.watch_plots import plot_everybody

    try:
        plot_everybody(path, name, hops, config.scoring, limits, note)
    except OSError as error:
        raise WatchError(f"{path}: cannot be written: {error.strerror}") from error
