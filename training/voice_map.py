"""A map of voices, as in Fig. 4: do clips of one person lie together?"""

from typing import Final

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.manifold import TSNE

from training.evidence import Evidence, Vectors
from training.plots import DPI, FAKE, GRID, INK, REAL

MOST_POINTS: Final = 2000
SEXES: Final = {"female": FAKE, "male": REAL, "": INK}
Strings = NDArray[np.str_]


def voice_map(evidence: Evidence, title: str, seed: int = 0) -> Figure:
    """t-SNE of the voices of real clips; colours are sexes, and the clips of a person are joined to
    their centre. Raises ValueError for fewer than five windows."""
    rows = np.flatnonzero(evidence.clips.real[evidence.voice_clip])[:MOST_POINTS]
    if len(rows) < 5:
        raise ValueError("a map of voices wants five windows at least")
    clip = evidence.voice_clip[rows]
    records = list(evidence.clips.records)
    sexes = np.array([records[c].clip.sex for c in clip])
    return drawn(positions(evidence.voice[rows], seed), evidence.clips.identity[clip], sexes, title)


def positions(vectors: Vectors, seed: int = 0) -> NDArray[np.float32]:
    """(n, D) unit vectors to (n, 2): cosine neighbours stay neighbours."""
    perplexity = min(30.0, (len(vectors) - 1) / 3)
    tsne = TSNE(metric="cosine", perplexity=perplexity, init="random", random_state=seed)
    return np.asarray(tsne.fit_transform(vectors), dtype=np.float32)


def drawn(
    places: NDArray[np.float32], identity: NDArray[np.int64], sexes: Strings, title: str
) -> Figure:
    """`places` (n, 2), whose they are, and their sexes."""
    figure = Figure(figsize=(6.4, 5.4), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=10, color=INK, loc="left")
    spokes = [
        (places[identity == person].mean(axis=0), place)
        for person in np.unique(identity)
        for place in places[identity == person]
    ]
    axes.add_collection(LineCollection(spokes, colors=INK, linewidths=0.6, alpha=0.6))
    for sex in sorted(set(sexes.tolist())):
        at = places[sexes == sex]
        axes.scatter(
            at[:, 0],
            at[:, 1],
            s=9,
            color=SEXES.get(sex, INK),
            alpha=0.6,
            label=sex or "not labelled",
        )
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(GRID)
    axes.legend(frameon=True, framealpha=0.85, edgecolor="none", fontsize=8)
    return figure
