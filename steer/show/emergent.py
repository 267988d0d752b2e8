"""What a run with a narrow task says: spill-over, coherence, adapter against vector, energies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from steer.intervals import Interval
from steer.results import Result
from steer.results.emergent import Emergent
from steer.results.estimates import EqualEpochs, MatchedEffects, Spillover
from steer.show import measured, words
from steer.show.table import Headline, Section, Table

MAIN = ("trained", "mean-difference", "lora")
"""Arms of the headline, at the recipe's own setting."""

LISTED_COMPONENTS = 16
COHERENCE = (
    "relevance_above", "held_out_nll", "held_out_prefers", "fluency", "compression"
)  # fmt: skip
DIALS = ("layer", "magnitude", "epochs", "k", "kept")

Spills = Mapping[str, Mapping[str, Spillover]]
"""By broad set and arm."""


def headline(found: Emergent) -> Headline:
    """How far the trained vector moves the narrow task, and everything else."""
    trained = {broad: arms["trained"] for broad, arms in found.spillover.items()}
    narrow = next(iter(trained.values()))
    moved = [_said("the narrow task", narrow.narrow_points, narrow.narrow_ci)]
    moved += [_said(broad, one.broad_points, one.broad_ci) for broad, one in trained.items()]
    details = [
        f"{arm}: narrow {_narrow(arms[arm])}, {broad} {_broad(arms[arm])}, spill-over {_ratio(arms[arm])}."
        for broad, arms in found.spillover.items()
        for arm in MAIN
        if arm in arms
    ]
    return Headline(
        f"The trained vector {', '.join(moved[:-1])} and {moved[-1]}.",
        (*details, *_control_lines(found), _training(found)),
    )


def _said(items: str, value: float | None, ci: Interval | None) -> str:
    if value is None or ci is None:
        return f"has no estimate on {items}"
    if ci[0] <= 0 <= ci[1]:
        return f"has no clear effect on {items} ({words.points(value)} points)"
    return f"moves {items} by {words.points(value)} points"


def _control_lines(found: Emergent) -> Iterator[str]:
    for broad, one in found.control_range.items():
        if one.n and one.broad_points is not None:
            narrow = words.NONE if one.narrow_points is None else f"{one.narrow_points:.1f}"
            yield (
                f"Control directions as long ({one.n}) move the narrow task by up to {narrow} points, "
                f"{broad} by up to {one.broad_points:.1f}: less than that any push may do."
            )


def _training(found: Emergent) -> str:
    losses = found.training.losses
    return (
        f"Trained vector: mean loss {losses[0]:.3f} in the first epoch, {losses[-1]:.3f} in the last of "
        f"{len(losses)}."
    )


def emergent_sections(result: Result, found: Emergent) -> Iterator[Section]:
    """Effects on each broad set first, then all that they rest on."""
    for i, (broad, arms) in enumerate(found.spillover.items(), start=1):
        yield _spill_section(i, broad, arms, result, found)
    if found.dials:
        yield Section(
            "dials", "Narrow and broad by dial", "Points against baseline, all other dials as they were."
        )
    defended = [name for name, one in found.interventions.items() if one.method == "defended"]
    if defended:
        kept = ("trained", *defended)
        yield Section("defence", "The trained vector under a defence", table=_defence(found.spillover, kept))
    if (table := _versus_table(found)).rows:
        yield Section(
            "versus",
            "Adapter against vector, paired",
            "At the nearest narrow effect, chosen on one half and reported on the other; after equal epochs.",
            table,
            "\n".join(
                f"{words.capital(broad)}: no adapter and vector whose narrow effects both exclude 0 to match."
                for broad, pair in found.matched.items()
                if pair is None
            ),
        )
    yield _coherence_section(result, found)
    yield Section("made", "How each arm was made", table=_made_table(result, found), part=True)
    yield Section("energy", "Energy of the components", table=energy_table(found.energy), part=True)


def _spill_section(
    i: int, broad: str, arms: Mapping[str, Spillover], result: Result, found: Emergent
) -> Section:
    narrow = next(name for name in found.sets if name not in found.spillover)
    near, far = found.sets[narrow], found.sets[broad]
    rows = tuple(
        (
            name,
            words.percent(near[name].rate_all if name in near else None),
            _narrow(arms[name]) if name in arms else words.NONE,
            words.percent(far[name].rate_all if name in far else None),
            _broad(arms[name]) if name in arms else words.NONE,
            _ratio(arms[name]) if name in arms else words.NONE,
        )
        for name in result.arms
    )
    items = next(iter(arms.values()))
    columns = ("arm", "narrow %", "points", "broad %", "points", "spill-over, 95 %")
    return Section(
        f"spill-{i}",
        f"Narrow task ({items.narrow_items} items) and {broad} ({items.broad_items} items)",
        "Points against baseline, of all answers, with paired 95 % intervals; spill-over is broad by narrow.",
        Table(columns, rows, tuple(result.arms)),
        "" if i > 1 else "\n".join((*_control_lines(found), _training(found), *found.notes)),
    )


def _coherence_section(result: Result, found: Emergent) -> Section:
    """Whether answers still make sense and keep to their question."""
    rows = tuple(
        (
            name,
            *(words.percent(of[name].broken_all if name in of else None) for of in found.sets.values()),
            *(measured.text(one, arm.measures.get(one)) for one in COHERENCE),
        )
        for name, arm in result.arms.items()
    )
    columns = ("arm", *found.sets, *(measured.shown(one).title for one in COHERENCE))
    note = measured.notes(COHERENCE)
    return Section(
        "coherence",
        "Nonsense % in each set, relevance, held-out narrow items, coherence",
        "",
        Table(columns, rows, tuple(result.arms)),
        note,
    )


def _made_table(result: Result, found: Emergent) -> Table:
    relevance = ("relevance", "relevance_shuffled")
    rows = tuple(
        (
            name,
            made.method,
            *(
                "" if value is None else words.number(value)
                for value in (getattr(made, dial) for dial in DIALS)
            ),
            *(measured.text(one, result.arms[name].measures.get(one)) for one in relevance),
        )
        for name, made in found.interventions.items()
    )
    columns = ("arm", "method", *DIALS, *(measured.shown(one).title for one in relevance))
    return Table(columns, rows, tuple(found.interventions))


def _defence(spillover: Spills, kept: Sequence[str]) -> Table:
    found = [(arm, broad, arms[arm]) for broad, arms in spillover.items() for arm in kept if arm in arms]
    rows = tuple((arm, broad, _narrow(one), _broad(one), _ratio(one)) for arm, broad, one in found)
    columns = ("arm", "broad set", "narrow, points", "broad, points", "spill-over, 95 %")
    return Table(columns, rows, tuple(arm for arm, *_ in found))


def _versus_table(found: Emergent) -> Table:
    pairs: list[tuple[str, str, MatchedEffects | EqualEpochs]] = []
    for broad, pair in found.matched.items():
        pairs += [("matched narrow effect", broad, pair)] if pair is not None else []
    for broad, equal in found.equal_epochs.items():
        pairs += [(f"equal epochs: {pair.epochs}", broad, pair) for pair in equal]
    rows = tuple(
        (f"{pair.first} − {pair.second}", how, broad, _narrow(pair), _broad(pair))
        for how, broad, pair in pairs
    )
    columns = ("difference", "compared at", "broad set", "narrow, points", "broad, points")
    return Table(columns, rows, tuple(pair.first for *_, pair in pairs))


def energy_table(energy: Mapping[str, Sequence[float]]) -> Table:
    """Share of the summed squares in each component, the strongest first."""
    rows: list[tuple[str, ...]] = []
    for name, shares in energy.items():
        for k, share in enumerate(shares[:LISTED_COMPONENTS], start=1):
            rows.append((name, str(k), words.percent(share), words.percent(sum(shares[:k]))))
        if (rest := len(shares) - LISTED_COMPONENTS) > 0:
            rows.append((name, f"{rest} more", words.percent(sum(shares[LISTED_COMPONENTS:])), "100.0"))
    return Table(("subspace of", "component", "energy %", "up to here %"), tuple(rows))


def models_section(runs: Sequence[tuple[str, str, Spills]]) -> Section | None:
    """The main arms of several runs (model, evidence, spill-over) beside each other; None of fewer."""
    if len(runs) < 2:
        return None
    rows = tuple(
        (model + (f" ({evidence})" if evidence else ""), arm, broad, _narrow(one), _broad(one), _ratio(one))
        for model, evidence, spillover in runs
        for broad, arms in spillover.items()
        for arm in MAIN
        if (one := arms.get(arm)) is not None
    )
    columns = ("model", "arm", "broad set", "narrow, points", "broad, points", "spill-over, 95 %")
    return Section(
        "models",
        "Narrow and broad by model",
        "The same narrow set and recipe on every model. Filled: the narrow task; hollow: what the model was "
        "not steered towards.",
        Table(columns, rows),
    ).shown(())


def _narrow(found: Spillover | MatchedEffects | EqualEpochs) -> str:
    return words.with_limits(found.narrow_points, found.narrow_ci)


def _broad(found: Spillover | MatchedEffects | EqualEpochs) -> str:
    return words.with_limits(found.broad_points, found.broad_ci)


def _ratio(found: Spillover) -> str:
    if found.ratio is None:
        return words.NO_ESTIMATE
    return f"{words.fixed(found.ratio)} {words.open_limits(found.ratio_ci)}"
