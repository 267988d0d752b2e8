"""What a page says of a run with a narrow task: spill-over, defence, coherence, comparisons, energies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from steer.screen import plain
from steer.show import words
from steer.show.table import Table
from steer.show.words import Headline

MAIN = ("trained", "mean-difference", "lora")
"""Arms of the headline, at the recipe's own setting."""

LISTED_COMPONENTS = 16

Effects = Mapping[str, Any]
"""Narrow and broad points with intervals, and their ratio, as the summary has them of an arm."""


def headline(summary: Mapping[str, Any]) -> Headline:
    """How far the trained vector moves the narrow task, and everything else."""
    spill: Mapping[str, Mapping[str, Effects]] = summary["spillover"]
    trained = {broad: arms["trained"] for broad, arms in spill.items()}
    narrow = next(iter(trained.values()))
    moved = [_said("the narrow task", narrow, "narrow")]
    moved += [_said(broad, found, "broad") for broad, found in trained.items()]
    details = [
        f"{arm}: narrow {_effect(arms[arm], 'narrow')}, {broad} {_effect(arms[arm], 'broad')}, "
        f"spill-over {_ratio(arms[arm])}."
        for broad, arms in spill.items()
        for arm in MAIN
        if arm in arms
    ]
    details += [
        f"Control directions as long ({found['n']}) move {broad} by up to {found['broad_points']:.1f} "
        "points: less than that any push may do."
        for broad, found in summary["control_range"].items()
        if found["n"] and found["broad_points"] is not None
    ]
    losses = summary["training"]["losses"]
    details.append(
        f"Training: mean loss {words.number(losses[0])} at first, {words.number(losses[-1])} in the "
        f"last of {len(losses)} epochs."
    )
    return Headline(f"The trained vector {', '.join(moved[:-1])} and {moved[-1]}.", tuple(details))


def emergent_tables(summary: Mapping[str, Any]) -> dict[str, Table]:
    tables = {"spillover": spillover_table(summary["spillover"]), "coherence": coherence_table(summary)}
    defended = [name for name, one in summary["interventions"].items() if one["method"] == "defended"]
    if defended:
        kept = ["trained", *defended]
        tables["defence"] = spillover_table(
            {broad: {arm: arms[arm] for arm in kept} for broad, arms in summary["spillover"].items()}
        )
    versus = versus_table(summary)
    if versus.rows:
        tables["versus"] = versus
    tables["energy"] = energy_table(summary["energy"])
    return tables


def spillover_table(spillover: Mapping[str, Mapping[str, Effects]]) -> Table:
    """Narrow and broad effect of every intervention, and their ratio."""
    rows: list[tuple[str, ...]] = []
    links: list[str] = []
    for broad, arms in spillover.items():
        for arm, found in arms.items():
            rows.append((arm, broad, _effect(found, "narrow"), _effect(found, "broad"), _ratio(found)))
            links.append(arm)
    columns = ("arm", "broad set", "narrow, points", "broad, points", "spill-over, 95 %")
    return Table(columns, tuple(rows), tuple(links))


MEASURES = (
    ("relevance", "relevance"),
    ("relevance_shuffled", "to other questions"),
    ("relevance_above", "own question first %"),
    ("held_out_nll", "held-out loss"),
    ("held_out_prefers", "prefers unwanted %"),
    ("fluency", "fluency"),
    ("compression", "compression"),
)


def coherence_table(summary: Mapping[str, Any]) -> Table:
    """How each arm was made, and whether its answers still make sense and keep to their question."""
    sets: Mapping[str, Mapping[str, Mapping[str, Any]]] = summary["sets"]
    rows: list[tuple[str, ...]] = []
    for name, made in summary["interventions"].items():
        arm = summary["arms"][name]
        measured = (
            words.percent(arm.get(key)) if title.endswith("%") else words.number(arm.get(key))
            for key, title in MEASURES
        )
        dials = (made[key] for key in ("layer", "magnitude", "epochs", "k", "kept"))
        rows.append(
            (
                name,
                *("" if value is None else words.number(value) for value in dials),
                *(words.percent(found[name]["broken_all"]) for found in sets.values()),
                *measured,
            )
        )
    nonsense = tuple(f"nonsense %, {name}" for name in sets)
    columns = ("arm", "layer", "magnitude", "epochs", "k", "kept", *nonsense, *(t for _, t in MEASURES))
    return Table(columns, tuple(rows), tuple(summary["interventions"]))


def versus_table(summary: Mapping[str, Any]) -> Table:
    """Adapter against vector: at the nearest narrow effect, and after equal epochs."""
    found: list[tuple[str, str, Mapping[str, Any]]] = []
    for broad, pair in summary["matched"].items():
        if pair is not None:
            found.append(("matched narrow effect (chosen on one half, narrow of the other)", broad, pair))
    for broad, pairs in summary["equal_epochs"].items():
        found += [(f"equal epochs: {pair['epochs']}", broad, pair) for pair in pairs]
    rows = tuple(
        (
            f"{pair['first']} − {pair['second']}",
            how,
            broad,
            _effect(pair, "narrow"),
            _effect(pair, "broad"),
        )
        for how, broad, pair in found
    )
    columns = ("difference", "compared at", "broad set", "narrow, points", "broad, points")
    return Table(columns, rows, tuple(pair["first"] for _, _, pair in found))


def energy_table(energy: Mapping[str, list[float]]) -> Table:
    """Share of the summed squares in each component, the strongest first."""
    rows: list[tuple[str, ...]] = []
    for name, shares in energy.items():
        for k, share in enumerate(shares[:LISTED_COMPONENTS], start=1):
            rows.append((name, str(k), words.percent(share), words.percent(sum(shares[:k]))))
        if (rest := len(shares) - LISTED_COMPONENTS) > 0:
            rows.append((name, f"{rest} more", words.percent(sum(shares[LISTED_COMPONENTS:])), "100.0"))
    return Table(("subspace of", "component", "energy %", "up to here %"), tuple(rows))


def models_table(runs: Sequence[tuple[str, str, Mapping[str, Any]]]) -> Table | None:
    """The main arms of several runs (model, evidence, spill-over) beside each other; None of fewer."""
    if len(runs) < 2:
        return None
    rows = tuple(
        (
            plain(model) + (f" ({plain(evidence)})" if evidence else ""),
            arm,
            broad,
            _effect(arms[arm], "narrow"),
            _effect(arms[arm], "broad"),
            _ratio(arms[arm]),
        )
        for model, evidence, spillover in runs
        for broad, arms in spillover.items()
        for arm in MAIN
        if arm in arms
    )
    return Table(("model", "arm", "broad set", "narrow, points", "broad, points", "spill-over, 95 %"), rows)


def _said(items: str, found: Effects, which: str) -> str:
    value, ci = found[f"{which}_points"], found[f"{which}_ci"]
    if value is None or ci is None:
        return f"has no estimate on {items}"
    if ci[0] <= 0 <= ci[1]:
        return f"has no clear effect on {items} ({words.points(value)} points)"
    return f"moves {items} by {words.points(value)} points"


def _effect(found: Effects, which: str) -> str:
    return words.with_limits(found[f"{which}_points"], found[f"{which}_ci"])


def _ratio(found: Effects) -> str:
    if found["ratio"] is None:
        return "no estimate"
    return f"{words.number(found['ratio'])} {words.open_limits(found['ratio_ci'])}"
