"""What a comparison of suffix and vector says: sides, exchange rate, tug of war, frontier, transfer, cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from steer.results import Result
from steer.results.comparison import Comparison, Cost, Exchange, FrontierPoint, Sides, Transfer, Tries, Tug
from steer.results.estimates import Reached, TugOfWar
from steer.show import measured, words
from steer.show.table import Section, Table
from steer.show.tables import rate_table

SIDE_NAMES = {
    "suffix": "suffix: pro − anti",
    "suffix_tuned": "suffix, wording chosen out of fold",
    "vector": "vector: + against −, out of fold",
    "suffix pro-baseline": "suffix: pro − baseline",
    "vector plus-baseline": "vector: + against baseline",
    "suffix baseline-anti": "suffix: baseline − anti",
    "vector baseline-minus": "vector: baseline against −",
}
DIFFERENCE_NAMES = {
    "difference": "suffix − vector",
    "difference_tuned": "suffix, wording chosen, − vector",
    "difference_up": "suffix − vector, upwards",
    "difference_down": "suffix − vector, downwards",
}
WORDINGS = "suffix: mean of all wordings"
TWO_SIDED = (
    "An interval with two ends stands only where a dose is clearly beyond the suffix and few resamples never "
    "reach it: where the strongest dose only just reaches it that is rare, and then wrong."
)
"""Of the 95 %: intervals and bounds together hold the truth that often."""


def side_section(sides: Sides) -> Section:
    rows = [
        (title, *words.gap(sides.gaps[name]), words.p_value(sides.gaps[name].p_holm))
        for name, title in SIDE_NAMES.items()
        if name in sides.gaps
    ]
    means = (words.estimate(sides.wordings_all), words.estimate(sides.wordings_valid))
    rows.insert(1, (WORDINGS, *means, words.NONE))
    rows += [
        (title, *words.difference(sides.differences[name]), words.p_value(sides.differences[name].p))
        for name, title in DIFFERENCE_NAMES.items()
        if name in sides.differences
    ]
    columns = ("gap in points, paired", "of all", "of valid", "p (Holm; differences: own)")
    return Section(
        "sides",
        "Suffix and vector side by side (report)",
        "Differences between arms on the same scenarios, in percentage points, with paired 95 % intervals.",
        Table(columns, tuple(rows)),
    )


def tries_sections(tries: Tries) -> Iterator[Section]:
    """Gap against tries of both sides, and every pair of suffixes that was tried."""
    curves = {name: {point.tries: point.gap for point in points} for name, points in tries.curves.items()}
    steps = sorted({step for curve in curves.values() for step in curve})
    yield Section(
        "tries",
        "Gap against tries, out of fold (report)",
        "The gap to expect, in points of all, of the best of so many tries drawn at random. A try is a pair "
        "of arms on the same scenarios: two suffixes, or a layer at plus and minus a magnitude.",
        Table(
            ("tries", *curves),
            tuple(
                (str(step), *(words.estimate(c[step]) if step in c else words.NONE for c in curves.values()))
                for step in steps
            ),
        ),
        "\n".join(_tries_notes(tries)),
    )
    rows = tuple(
        (
            one.plus,
            one.made,
            str(one.seen_on) if one.seen_on else words.NONE,
            words.points(one.points) if one.points is not None else words.NONE,
            ("chosen" if one.chosen_on else "finalist") if one.finalist else "",
            one.pro,
            one.anti,
        )
        for one in tries.suffixes
    )
    columns = ("suffix", "made by", "halved on", "points there (selection)", "came", "pro", "anti")
    yield Section("every-try", "Every pair of suffixes that was tried", table=Table(columns, rows), part=True)


def _tries_notes(tries: Tries) -> Iterator[str]:
    made = Counter(one.made for one in tries.suffixes)
    seen = max(one.seen_on for one in tries.suffixes)
    finalists = sum(one.finalist for one in tries.suffixes)
    ways = ", ".join(f"{n} {how}" for how, n in made.items())
    yield (
        f"Suffixes: {ways}; the {finalists} to choose from were left by halving on {seen or 'no'} "
        "extraction scenarios."
    )
    if (asked := tries.rewrites) is not None:
        left_out = "".join(f", {n} {why}" for why, n in asked.left_out.items())
        spent = f"{asked.input_tokens:,} tokens in, {asked.output_tokens:,} out"
        asks = f"{asked.rewriter} was asked {asked.asked} times ({spent})"
        yield f"{asks}: {asked.usable} pairs of use{left_out}."


def comparison_sections(result: Result, found: Comparison) -> Iterator[Section]:
    """All but the sides; the parts that the run has."""
    if found.tries is not None:
        yield from tries_sections(found.tries)
    if found.exchange:
        yield from exchange_sections(found.exchange)
    for i, (name, tug) in enumerate(found.tug.items(), start=1):
        yield tug_section(i, name, tug)
    if found.together:
        noun = words.capital(result.task.words.noun)
        yield Section(
            "together",
            "Suffix and vector at once, every arm",
            table=rate_table({name: result.arms[name] for name in found.together}, noun),
            part=True,
        )
    if found.square:
        yield square_section(found, result.task.words.noun)
    if found.frontier:
        yield frontier_section(found.frontier)


def exchange_sections(exchange: Mapping[str, Exchange]) -> Iterator[Section]:
    """Per suffix the magnitude that does what it does, and half of it; the side effects of either there."""
    rows: list[tuple[str, ...]] = []
    costs: list[tuple[str, ...]] = []
    effects = list(dict.fromkeys(name for side in exchange.values() for name in side.side_effects))
    for suffix, side in exchange.items():
        for what, reached in ((f"{suffix} suffix", side.whole), (f"half of {suffix}'s effect", side.half)):
            distance = words.NONE if reached.distance is None else f"{reached.distance:.1f}"
            rows.append((what, distance, _size(reached), words.percent(reached.never)))
            costs.append((what, *(_beside(name, side, half=reached is side.half) for name in effects)))
    columns = ("as strong as", "points to go", "|magnitude| of the vector, 95 %", "never, % of resamples")
    yield Section(
        "exchange",
        "Exchange rate, on layers chosen out of fold (report)",
        "The smallest magnitude at which the vector's paired effect first reaches the suffix's; where "
        f"resamples often never reach it there is only a bound. {TWO_SIDED}",
        Table(columns, tuple(rows)),
        "\n".join(words.sentence(note) for note in words.uneven_doses(exchange)),
    )
    titles = ("side effects: suffix / vector there", *(measured.shown(name).title for name in effects))
    yield Section(
        "exchange-costs", "What either costs at that effect", table=Table(titles, tuple(costs)), part=True
    )


def _beside(name: str, side: Exchange, *, half: bool) -> str:
    """A side effect of the suffix, and of the vector at its size."""
    pair = side.side_effects[name]
    there = pair.vector_half if half else pair.vector
    return f"{measured.text(name, pair.suffix)} / {measured.text(name, there)}"


def _size(reached: Reached) -> str:
    """A magnitude with its interval or bound, or why there is none."""
    size = reached.reason if reached.size is None else words.number(reached.size)
    if reached.ci is not None:
        return f"{size} {words.open_limits(reached.ci)}"
    return size if reached.at_least is None else f"{size} (at least {words.number(reached.at_least)})"


def tug_section(i: int, name: str, tug: Tug) -> Section:
    """How much of the attack's effect a defence lets through, by dose and by who placed the suffix."""
    named = [(f"vector at {point.size:g}{words.over_cap(point)}", point.pull) for point in tug.curve]
    if tug.matched is not None:
        named.append((f"vector, matched: {words.matched_sizes(tug.matched)}", tug.matched.pull))
    who = {"vector": "by builder: vector, matched", "suffix": "by builder: suffix by user"}
    named += [(title, tug.builder[key]) for key, title in who.items() if key in tug.builder]
    rows = tuple(
        (title, words.kept(pull), *map(words.estimate, (pull.alone, pull.under_defence, pull.interaction)))
        for title, pull in named
    )
    columns = (f"{name} against", "U: effect kept", "alone, points", "under the defence", "interaction")
    return Section(
        f"tug-{i}",
        f"Tug of war: {name}, out of fold (report)",
        "Suffix and vector at once. U is the share of the attack's own effect that it keeps under the "
        "defence: 1, the defence takes nothing away; 0, it stops the attack.",
        Table(columns, rows),
        "\n".join((*_tug_notes(tug), *_reasons(named))),
    )


def _tug_notes(tug: Tug) -> Iterator[str]:
    matched = tug.matched
    if matched is None:
        yield "Matched: nothing; on a half the suffix has no effect or no dose is under the cap."
    else:
        alone = words.points(matched.pull.alone.points) if matched.pull.alone else words.NONE
        suffix = words.NONE if matched.suffix_points is None else words.points(matched.suffix_points)
        short = f"; {words.stands_in(matched)}" if words.stands_in(matched) else ""
        yield (
            f"Matched on the half that is not reported: alone, the vector does {alone} points, the "
            f"{matched.suffix} suffix {suffix}{short}."
        )
    if tug.break_even is not None:
        yield f"Break-even |magnitude|, back at the baseline: {_size(tug.break_even)}."
    yield "U = effect under the defence / alone; no estimate where the interval of the latter includes 0."


def _reasons(named: Sequence[tuple[str, TugOfWar]]) -> Iterator[str]:
    """What is to be said of a U that there is; of one that there is not, the last note does."""
    for title, pull in named:
        if pull.u is not None and pull.reason:
            yield words.sentence(f"{title}: {pull.reason}")


def square_section(found: Comparison, noun: str) -> Section:
    """Every suffix with every vector at matched solo effect, if there was one to match."""
    square = {(one.suffix, one.vector): one.arm for one in found.square}
    suffixes, vectors = (list(dict.fromkeys(key[i] for key in square)) for i in (0, 1))
    rows = tuple(
        (
            suffix,
            *(
                words.rate(arm.rate_all, arm.rate_all_ci) if (arm := square.get((suffix, v))) else words.NONE
                for v in vectors
            ),
        )
        for suffix in suffixes
    )
    matched = [tug.matched for tug in found.tug.values() if tug.matched is not None]
    at = "; ".join(["at matched solo effect", *filter(None, map(words.stands_in, matched))])
    return Section(
        "square",
        f"{words.capital(noun)} %, of all: suffix and vector together, "
        f"{at if matched else 'no effect to match'} (report)",
        table=Table(("suffix", *vectors), rows),
    )


def frontier_section(frontier: Sequence[FrontierPoint]) -> Section:
    """The arms that no other beats in effect and in one side effect, each side effect a column."""
    effects = list(dict.fromkeys(point.side_effect for point in frontier))
    best: dict[tuple[str, str], list[FrontierPoint]] = {}
    for point in frontier:
        if point.undominated:
            best.setdefault((point.arm, point.direction), []).append(point)
    strongest = sorted(best.values(), key=lambda found: (found[0].direction != "up", -found[0].effect_points))
    rows = tuple(
        (
            found[0].arm,
            words.points(found[0].effect_points * (1 if found[0].direction == "up" else -1)),
            *(
                next((measured.text(name, p.value) for p in found if p.side_effect == name), "")
                for name in effects
            ),
            found[0].role,
        )
        for found in strongest
    )
    columns = ("undominated arm", "points against baseline", *(measured.shown(n).title for n in effects), "")
    return Section(
        "frontier",
        "Frontier: effect against side effect (cells: selection)",
        "Away from 0 is more effect, right is more damage. Strong points are undominated: no other arm has "
        "as much effect in that direction at less of the side effect. Diamonds are suffixes.",
        Table(columns, rows, tuple(found[0].arm for found in strongest)),
        "A side effect stands where no other arm has as much effect in that direction at less of it.",
    )


def transfer_section(transfer: Transfer) -> Section:
    """Rows: the behaviour a vector was made of; columns: the behaviour it was measured on."""
    places = " and ".join(words.places(transfer.places))
    count = dict(zip(transfer.measured_on, transfer.n, strict=True))
    every = list(dict.fromkeys([*transfer.measured_on, *transfer.made_of]))
    letter = {name: chr(ord("a") + i) for i, name in enumerate(every)}
    rows = tuple(
        (f"of {letter[name]}", *map(words.whole_points, values, limits))
        for name, values, limits in zip(transfer.made_of, transfer.points, transfer.ci, strict=True)
    )
    return Section(
        "transfer",
        f"Transfer: points of + against −, {places}, out of fold (report)",
        "A vector built from one behaviour alone, measured on every other; the diagonal is its own "
        "behaviour, on scenarios it was not made from. With 95 % intervals.",
        Table(("vector", *(f"on {letter[name]}" for name in transfer.measured_on)), rows),
        "; ".join(f"{at}: {name}, n = {count.get(name, 0)}" for name, at in letter.items()) + ".",
    )


def cost_section(costs: Mapping[str, Cost]) -> Section:
    """What each way of steering costs, a way a column."""
    rows = tuple(
        (one.replace("_", " "), *(words.number(getattr(cost, one)) for cost in costs.values()))
        for one in Cost.model_fields
    )
    return Section("costs", "What it costs", table=Table(("", *costs), rows))
