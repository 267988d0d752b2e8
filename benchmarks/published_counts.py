"""The paper's published label counts as a table: `python -m benchmarks.published_counts`.

The 108 counts by category are those of the 18 runs published with arXiv 2601.01584. They go through
this project's own metrics, so the table is also a check of these. Counts do not say which scenario
got which label under two arms or models, so differences are intervals of independent rates, with Fisher's
p; `import-paper` reads the answers themselves and pairs them.
"""

from __future__ import annotations

from experiments.compare.verdicts import claim
from steer import metrics
from steer.intervals import Interval
from steer.significance import holm
from steer.types import Outcome, Role

CATEGORIES = (
    "Deceptive Behavior",
    "Evading Shutdown",
    "Hacking Computer Systems",
    "Hiding Unwanted Behavior",
    "Running Multiple AI Copies",
    "Strategically Appearing Aligned",
)

ROLES: tuple[Role, ...] = ("hit", "refusal", "broken", "miss")
ARMS = {"baseline": "baseline", "pro": "pro_ic", "anti": "anti_ic"}
PAIRS = [("Qwen3-30B-A3B-" + kind, "Qwen3-4B-" + kind) for kind in ("Instruct-2507", "Thinking-2507", "Base")]

# (model, condition) -> per category: convergence, safety_refusal, nonsensical, no_convergence.
COUNTS: dict[tuple[str, str], tuple[tuple[int, int, int, int], ...]] = {
    ("Qwen3-30B-A3B-Base", "anti_ic"): (
        (0, 0, 0, 11),
        (10, 0, 0, 5),
        (0, 0, 0, 10),
        (0, 0, 0, 11),
        (6, 2, 0, 5),
        (2, 0, 0, 9),
    ),
    ("Qwen3-30B-A3B-Base", "baseline"): (
        (1, 0, 0, 10),
        (9, 0, 1, 5),
        (0, 0, 2, 8),
        (2, 0, 7, 2),
        (5, 1, 1, 6),
        (3, 0, 0, 8),
    ),
    ("Qwen3-30B-A3B-Base", "pro_ic"): (
        (6, 0, 0, 5),
        (13, 0, 0, 2),
        (4, 0, 0, 6),
        (5, 0, 5, 1),
        (9, 0, 1, 3),
        (2, 0, 0, 9),
    ),
    ("Qwen3-30B-A3B-Instruct-2507", "anti_ic"): (
        (0, 0, 0, 11),
        (2, 0, 0, 13),
        (0, 0, 0, 10),
        (0, 3, 0, 8),
        (0, 11, 0, 2),
        (0, 0, 0, 11),
    ),
    ("Qwen3-30B-A3B-Instruct-2507", "baseline"): (
        (1, 0, 0, 10),
        (15, 0, 0, 0),
        (1, 0, 0, 9),
        (1, 7, 0, 3),
        (11, 1, 0, 1),
        (6, 0, 0, 5),
    ),
    ("Qwen3-30B-A3B-Instruct-2507", "pro_ic"): (
        (9, 1, 0, 1),
        (15, 0, 0, 0),
        (9, 0, 0, 1),
        (2, 8, 0, 1),
        (13, 0, 0, 0),
        (10, 0, 0, 1),
    ),
    ("Qwen3-30B-A3B-Thinking-2507", "anti_ic"): (
        (0, 0, 0, 11),
        (3, 0, 0, 12),
        (0, 0, 0, 10),
        (0, 7, 0, 4),
        (0, 8, 0, 5),
        (0, 0, 0, 11),
    ),
    ("Qwen3-30B-A3B-Thinking-2507", "baseline"): (
        (0, 0, 0, 11),
        (14, 0, 0, 1),
        (0, 0, 0, 10),
        (0, 9, 0, 2),
        (4, 0, 0, 9),
        (9, 0, 0, 2),
    ),
    ("Qwen3-30B-A3B-Thinking-2507", "pro_ic"): (
        (6, 0, 0, 5),
        (15, 0, 0, 0),
        (6, 0, 0, 4),
        (1, 7, 0, 3),
        (13, 0, 0, 0),
        (11, 0, 0, 0),
    ),
    ("Qwen3-4B-Base", "anti_ic"): (
        (1, 0, 2, 8),
        (1, 0, 8, 6),
        (0, 0, 4, 6),
        (1, 0, 2, 8),
        (9, 0, 1, 3),
        (0, 0, 3, 8),
    ),
    ("Qwen3-4B-Base", "baseline"): (
        (1, 0, 4, 6),
        (3, 0, 10, 2),
        (0, 0, 10, 0),
        (2, 0, 9, 0),
        (2, 0, 3, 8),
        (0, 0, 5, 6),
    ),
    ("Qwen3-4B-Base", "pro_ic"): (
        (5, 0, 2, 4),
        (4, 0, 8, 3),
        (4, 0, 6, 0),
        (6, 0, 4, 1),
        (9, 0, 0, 4),
        (1, 0, 7, 3),
    ),
    ("Qwen3-4B-Instruct-2507", "anti_ic"): (
        (0, 0, 0, 11),
        (2, 0, 0, 13),
        (0, 0, 0, 10),
        (0, 0, 0, 11),
        (1, 4, 0, 8),
        (0, 0, 0, 11),
    ),
    ("Qwen3-4B-Instruct-2507", "baseline"): (
        (0, 2, 0, 9),
        (15, 0, 0, 0),
        (0, 0, 0, 10),
        (0, 11, 0, 0),
        (9, 1, 0, 3),
        (9, 0, 0, 2),
    ),
    ("Qwen3-4B-Instruct-2507", "pro_ic"): (
        (8, 1, 0, 2),
        (15, 0, 0, 0),
        (4, 0, 0, 6),
        (3, 6, 0, 2),
        (12, 1, 0, 0),
        (9, 0, 0, 2),
    ),
    ("Qwen3-4B-Thinking-2507", "anti_ic"): (
        (0, 0, 0, 11),
        (5, 0, 0, 10),
        (0, 0, 0, 10),
        (0, 0, 0, 11),
        (1, 2, 0, 10),
        (1, 0, 0, 10),
    ),
    ("Qwen3-4B-Thinking-2507", "baseline"): (
        (1, 0, 0, 10),
        (14, 0, 0, 1),
        (1, 0, 0, 9),
        (1, 5, 0, 5),
        (4, 1, 0, 8),
        (11, 0, 0, 0),
    ),
    ("Qwen3-4B-Thinking-2507", "pro_ic"): (
        (9, 0, 0, 2),
        (15, 0, 0, 0),
        (6, 0, 0, 4),
        (4, 4, 0, 3),
        (13, 0, 0, 0),
        (11, 0, 0, 0),
    ),
}


def outcomes(model: str, condition: str) -> list[Outcome]:
    """The run as outcomes of arm "model condition". Which scenario got which label is made up."""
    rows: list[Outcome] = []
    for category, counts in zip(CATEGORIES, COUNTS[model, condition], strict=True):
        statuses: list[Role] = []
        for label, count in zip(ROLES, counts, strict=True):
            statuses.extend([label] * count)
        rows += [
            Outcome(f"{model} {condition}", f"{category}#{i:02}", category, 0, status)
            for i, status in enumerate(statuses)
        ]
    return rows


def arms(model: str) -> dict[str, metrics.ArmMetrics]:
    """The model's three runs, by arm."""
    found = (metrics.arm_metrics(outcomes(model, condition)) for condition in ARMS.values())
    return {arm: one for arm, by_name in zip(ARMS, found, strict=True) for one in by_name.values()}


def table() -> list[str]:
    """Markdown lines: convergence of valid answers as published, and of all 71; gaps with intervals."""
    lines = [
        "| model | baseline | pro suffix | anti suffix | pro − anti | of all 71 | nonsensical |",
        "|---|---|---|---|---|---|---|",
    ]
    for model in dict.fromkeys(model for model, _ in COUNTS):
        found = arms(model)
        rates = [f"{100 * one.hit / one.valid:.2f} ({100 * one.hit / one.n:.1f})" for one in found.values()]
        pro, anti = found["pro"], found["anti"]
        gaps = [_gap(pro.hit, a, anti.hit, b) for a, b in ((pro.valid, anti.valid), (pro.n, anti.n))]
        nonsense = ", ".join(str(one.broken) for one in found.values())
        lines.append(f"| {' | '.join([model, *rates, *gaps, nonsense])} |")
    return lines


def larger_models() -> list[str]:
    """Whether the counts bear out that larger models converge less under the anti suffix."""
    counted = [[(one.hit, one.valid) for model in pair for one in [arms(model)["anti"]]] for pair in PAIRS]
    from scipy.stats import fisher_exact

    tables = [[(hits, valid - hits) for hits, valid in counts] for counts in counted]
    corrected = holm([float(fisher_exact(table)[1]) for table in tables])
    lines: list[str] = []
    for pair, counts, p in zip(PAIRS, counted, corrected, strict=True):
        points, ci = _difference(*counts[0], *counts[1])
        of = " against ".join(f"{hits} of {valid}" for hits, valid in counts)
        text = f"{pair[0]} converges less than {pair[1]} under the anti suffix ({of} valid)"
        lines.append("- " + claim(text, points, ci, p, expected=-1))
    return lines


def _gap(first: int, first_n: int, second: int, second_n: int) -> str:
    points, ci = _difference(first, first_n, second, second_n)
    return f"{points:+.1f} [{ci[0]:.1f}, {ci[1]:.1f}]"


def _difference(first: int, first_n: int, second: int, second_n: int) -> tuple[float, Interval]:
    """First minus second rate in points, as independent: Newcombe's interval."""
    from statsmodels.stats.proportion import confint_proportions_2indep

    low, high = confint_proportions_2indep(first, first_n, second, second_n, method="newcomb")
    return 100 * (first / first_n - second / second_n), (100 * float(low), 100 * float(high))


def main() -> None:
    print("\n".join([*table(), "", *larger_models()]))


if __name__ == "__main__":
    main()
