"""What is printed of choices: propensity in nats, the options' share of probability, slopes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from experiments.tables import evidence
from steer.screen import Screen, p_value, percent
from steer.show import words


def print_propensity(screen: Screen, summary: dict[str, Any], names: Iterable[str]) -> None:
    """Mean propensity of arms, paired differences, slopes; nothing where answers were judged."""
    found = summary.get("propensity")
    if found is None:
        return
    lost, arms = found["mass_lost"], summary["arms"]
    rows = [
        [name, nats(found["arms"][name]), f"{arms[name]['mass']:.3g}{' !' if name in lost else ''}"]
        for name in names
    ]
    screen.table("Propensity, nats" + evidence(summary), ["arm", "mean", "mass"], rows)
    gaps = found["gaps"] | {
        f"vector {words.GAPS[name]}, out of fold": gap
        for name, gap in summary.get("choice", {}).get("propensity", {}).items()
    }
    rows = [[name, nats(gap), p_value(gap["p"]), percent(gap["wrong_way"])] for name, gap in gaps.items()]
    screen.table("Propensity, paired" + evidence(summary), ["gap", "nats", "p (signs)", "wrong way %"], rows)
    _print_controls(screen, summary)
    for name, one in found["steerability"].items():
        screen.line(
            f"steerability of the {name}: {nats(one, 'slope')} nats a unit of magnitude, "
            f"{percent(one['wrong_way'])} % of {one['n']} scenarios the wrong way"
        )
    if shown := [name for name in lost if name in arms]:
        some = ", ".join(shown[:4]) + (f" and {len(shown) - 4} more" if len(shown) > 4 else "")
        screen.line(f"! options hold less than half of the mass that they hold at baseline: {some}")


def _print_controls(screen: Screen, summary: Mapping[str, Any]) -> None:
    controls = [one for one in summary.get("controls_out_of_fold", ()) if "propensity" in one]
    rows = [[one["control"], *(nats(one["propensity"][name]) for name in words.GAPS)] for one in controls]
    if rows:
        bounds = summary["beyond_random"].get("propensity", {})
        of = [bounds.get(name, {}).get("abs_nats_95") for name in words.GAPS]
        rows.append(["95th percentile of |random|", *("–" if b is None else f"{b:.2f}" for b in of)])
        screen.table("Controls in the vector's place, nats (report)", ["", *words.GAPS.values()], rows)


def nats(one: Mapping[str, Any], value: str = "nats") -> str:
    if one[value] is None:
        return words.NO_ESTIMATE
    low, high = one["ci"]
    return f"{one[value]:+.2f} [{low:.2f}, {high:.2f}]"
