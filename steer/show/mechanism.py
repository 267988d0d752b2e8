"""How suffix and vector work: what carries their gaps, where they move the stream, what a direction says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from steer.results.mechanism import Mechanism, Mediation, Share, StreamShift, TokensAt
from steer.show import words
from steer.show.table import Headline, Section, Table

TITLES = {
    "suffix": "The suffix's gap, the vector's direction taken out",
    "vector": "The vector's gap, the suffix's shift taken out",
}
WHERE = {"on": "from it on", "alone": "at it alone"}


def headline(found: Mechanism) -> Headline:
    """The word, and what it rests on."""
    told = [found.suffix, *([found.vector] if found.vector is not None else [])]
    sentence = {
        "shared path": "Suffix and vector share a path",
        "partly": "Suffix and vector share a part of their path",
        "apart": "Suffix and vector go apart",
        "not shown": "Whether suffix and vector share a path was not shown",
    }[found.word]
    lines = [f"Of the {one.of}, {one.word}: {one.sentence}." for one in told]
    return Headline(f"{sentence}.", tuple(lines))


def mechanism_sections(found: Mechanism) -> Iterator[Section]:
    yield mediation_section(found.suffix)
    if found.suffix.by_layer:
        table = Table(_columns(found.suffix), tuple(map(_share, found.suffix.by_layer)))
        yield Section("mediation-layers", "At every layer of the grid", table=table, part=True)
    if found.vector is not None:
        yield mediation_section(found.vector)
    layers = [one.layer for one in found.lens]
    for i, read in enumerate(dict.fromkeys(one.read for one in found.shifts), start=1):
        own = [one for one in found.shifts if one.read == read]
        yield stream_section(f"stream-{i}", own, layers, found.notes)
        yield along_section(f"stream-{i}-layers", own)
    if found.lens:
        yield lens_section(found.lens)


def lens_section(found: Sequence[TokensAt]) -> Section:
    """Tokens with their spaces as dots."""
    rows = tuple(
        (
            str(one.layer),
            *(
                " ".join(repr(text)[1:-1].replace(" ", "·") for text in side)
                for side in (one.raises, one.lowers)
            ),
            words.fixed(one.strongest),
            words.fixed(one.random),
        )
        for one in found
    )
    return Section(
        "lens",
        "What the direction says",
        "Tokens that the vector's direction raises and lowers most, through final norm and unembedding. "
        "Strongest: the most that one is raised, in standard deviations over the vocabulary; beside it what "
        "a random direction raises.",
        Table(("layer", "raises", "lowers", "strongest", "random"), rows),
    )


def mediation_section(found: Mediation) -> Section:
    """Shares left, what the verdict is of first."""
    return Section(
        f"mediation-{found.of}",
        f"{TITLES[found.of]}: {found.word} (report)",
        "How much of the gap is left while something is taken out of the stream: 0, it carries the gap; 100, "
        "it has no part in it. Layers were chosen on one half of the scenarios and reported on the other.",
        Table(_columns(found), tuple(map(_share, found.report))) if found.report else None,
        words.sentence(found.sentence),
    )


def _columns(found: Mediation) -> tuple[str, ...]:
    return ("taken out", "layer", "where", f"gap, {found.unit}", f"left, {found.unit}", "left, % of the gap")


def _share(one: Share) -> tuple[str, ...]:
    return (
        one.what,
        " / ".join(map(str, one.layers)),
        WHERE[one.where],
        words.with_limits(one.gap, one.gap_ci),
        words.with_limits(one.left, one.left_ci),
        words.share(one.share, one.share_ci),
    )


def stream_section(
    name: str, shifts: Sequence[StreamShift], layers: Sequence[int], notes: Sequence[str]
) -> Section:
    """Where either moves the stream, at some layers."""
    axes = list(dict.fromkeys(axis for one in shifts for at in one.layers for axis in at.axes))
    rows = tuple(
        (
            _title(one),
            str(at.layer),
            words.between(at.size, at.size_ci),
            words.between(at.vector.cosine, at.vector.cosine_ci),
            words.between(None, at.random_cosine),
            *(words.fixed(at.axes[axis].cosine) if axis in at.axes else "" for axis in axes[1:]),
        )
        for one in shifts
        for at in one.layers
        if at.layer in layers
    )
    return Section(
        name,
        f"Where either moves the residual stream, at the {shifts[0].read}",
        "The mean shift over scenarios: its size in mean residual norms, its cosine with directions. "
        "Random: where 95 % of random directions have theirs.",
        Table(("shift", "layer", "size", "cosine with the vector", "random", *axes[1:]), rows),
        "\n".join(map(words.sentence, notes)),
    )


def along_section(name: str, shifts: Sequence[StreamShift]) -> Section:
    """Of every layer, how the shift varies over scenarios."""
    rows = tuple(
        (
            _title(one),
            str(at.layer),
            words.fixed(at.size),
            words.fixed(at.vector.cosine),
            words.rate(at.vector.share, at.vector.share_ci),
            words.limits(at.random_share, scale=100),
        )
        for one in shifts
        for at in one.layers
    )
    columns = ("shift", "layer", "size", "cosine", "variance along the vector, %", "random, %")
    return Section(
        name, "At every layer, and how it varies over scenarios", table=Table(columns, rows), part=True
    )


def _title(one: StreamShift) -> str:
    return f"{one.arm} − {one.against}"
