"""What the receiver's benchmark promised, what was measured, and whether that is enough."""

from typing import Any, NamedTuple

Row = dict[str, Any]

CPU = "cpu_ms_per_participant_second"
PROMISED_LOSS = 0.1  # what is promised of faces and of the quality of sound
MAX_SENDER_LATE_MS = 100.0  # a sender that is later than that is itself short of CPU
CPU_GOALS = (("VP8", 720, 12.0), ("H264", 720, 14.0), ("VP8", 360, 10.0), ("H264", 360, 10.0))


class Finding(NamedTuple):
    """One line of the report; `met` is None for what is shown for comparison."""

    what: str
    goal: str
    measured: str
    met: bool | None


def clean(row: Row) -> bool:
    """Whether nothing was lost for want of CPU, here or at the sender."""
    kept_up = row["hops_skipped"] == 0 and row["core_used"] < 0.97
    heard = row["audio_coverage"] > row["audio_delivered"] - 0.005
    return kept_up and heard and row.get("packets_dropped", 0) == 0


def findings(rows: list[Row]) -> list[Finding]:
    """Of the rows of one run, in the order of the goals."""
    special = {"burst_expected", "minutes"}
    kept = [r for r in rows if r["path"] == "keyframe" and not special & r.keys()]
    lossless = [r for r in kept if not r["loss"]]
    vp8 = [r for r in lossless if (r["codec"], r["height"]) == ("VP8", 720)]
    found = []
    for codec, height, goal in CPU_GOALS:
        row = of(lossless, codec=codec, height=height, participants=20)
        found.append(_at_most(f"CPU, {height}p {codec}, 20 participants", goal, row[CPU], "ms"))
    found.append(_plain(rows, of(vp8, participants=20)))
    for codec, height, _ in CPU_GOALS:
        row = of(lossless, codec=codec, height=height, participants=20)
        ratio = row[CPU] / row["floor_cpu_ms"]
        found.append(_at_most(f"keyframe path over floor, {height}p {codec}", 2.5, ratio))
    found.append(_ramp(vp8))
    forty, ten = of(vp8, participants=40), of(vp8, participants=10)
    found.append(_at_most("CPU a participant, 40 over 10", 1.2, forty[CPU] / ten[CPU]))
    memory = (forty["rss_mb"] - ten["rss_mb"]) / 30
    found.append(_at_most("memory a participant", 4.0, memory, "MB"))
    for row in (row for row in rows if "minutes" in row):
        what = f"growth of memory, 10 participants, {row['minutes']:.0f} minutes"
        found.append(_at_most(what, 1.0, row["rss_slope_mb_per_minute"], "MB a minute"))
    found.append(_correlation(of(vp8, participants=20), "no loss", promised=True))
    for row in rows:
        if row["loss"]:
            found += _loss(row)
    return found + [f for row in rows if "burst_expected" in row for f in _burst(row)]


def of(rows: list[Row], **wanted: object) -> Row:
    """The first row of this kind."""
    return next(r for r in rows if all(r.get(key) == value for key, value in wanted.items()))


def _at_most(what: str, goal: float, value: float, unit: str = "") -> Finding:
    return Finding(what, f"at most {goal:g} {unit}".strip(), f"{value:.2f} {unit}", value <= goal)


def _plain(rows: list[Row], twenty: Row) -> Finding:
    plain = [r for r in rows if r["path"] == "plain" and not r["loss"]]
    base = next((r for r in plain if clean(r)), plain[-1])
    ratio = base[CPU] / twenty[CPU]
    kept = "" if clean(base) else ", which was not clean"
    text = f"{ratio:.1f} (plain: {base[CPU]:.0f} ms at {base['participants']}{kept})"
    return Finding("plain path over keyframe path", "at least 6", text, ratio >= 6)


def _ramp(rows: list[Row]) -> Finding:
    """The largest number that lost nothing. Where the next one failed because the sender was late,
    what the core would carry is an extrapolation, and called one."""
    largest = max((r for r in rows if clean(r)), key=lambda r: r["participants"])
    text = f"{largest['participants']} ({largest['core_used']:.0%} of the core)"
    beyond = [r for r in rows if r["participants"] > largest["participants"]]
    if not beyond or beyond[0]["sender_late_p99_ms"] > MAX_SENDER_LATE_MS:
        carried = int(largest["participants"] / largest["core_used"])
        text += f"; the sender's limit, by extrapolation {carried}"
    return Finding("participants of 720p on one core", "at least 50", text, _number(largest) >= 50)


def _number(row: Row) -> int:
    return int(row["participants"])


def _loss(row: Row) -> list[Finding]:
    runs = f" in runs of {row['loss_run']}" if row["loss_run"] > 1 else ""
    what = f"{row['path']} path, {row['loss']:.0%} loss{runs}"
    covered, delivered = row["audio_coverage"], row["audio_delivered"]
    text = f"{covered:.3f} (delivered {delivered:.3f})"
    if row["path"] == "plain":
        return [Finding(f"sound covered, {what}", "for comparison", text, None)]
    kept = covered >= delivered - 0.01
    gap_s = row["picture_gap_max_s"]
    return [
        Finding(f"sound covered, {what}", "within 0.01 of delivered", text, kept),
        _at_most(f"longest wait for a face, {what}", 4.0, gap_s, "s")
        if row["loss"] <= PROMISED_LOSS
        else Finding(f"longest wait for a face, {what}", "for comparison", f"{gap_s:.2f} s", None),
        _correlation(row, what, promised=row["loss"] == PROMISED_LOSS),
    ]


def _correlation(row: Row, what: str, promised: bool) -> Finding:
    alike = row["sound_correlation"]
    goal, met = ("at least 0.95", alike >= 0.95) if promised else ("for comparison", None)
    return Finding(f"correlation of the sound, {what}", goal, f"{alike:.3f}", met)


def _burst(row: Row) -> list[Finding]:
    frames, expected = row["burst_frames"], row["burst_expected"]
    others = f"sound {row['others_coverage']:.3f}, longest wait {row['others_gap_max_s']:.1f} s"
    calm = row["others_coverage"] > 0.995 and row["others_gap_max_s"] <= 4 and clean(row)
    cost = f"{row['burst_cpu_ms_per_second']:.0f} ms a second"
    return [
        Finding("frames of a burst of 3 s", "all", f"{frames} of {expected}", frames >= expected),
        Finding("the other 19 during it", "undisturbed", others, calm),
        Finding("CPU of a burst, above keyframes", "reported", cost, None),
    ]
