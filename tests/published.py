"""Facts of the 18 published runs (arXiv 2601.01584): label counts, and the rates printed of them."""

from __future__ import annotations

from steer.types import Outcome, Status

CATEGORIES = (
    "Deceptive Behavior",
    "Evading Shutdown",
    "Hacking Computer Systems",
    "Hiding Unwanted Behavior",
    "Running Multiple AI Copies",
    "Strategically Appearing Aligned",
)

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

# (model, condition) -> total, valid, convergence % of valid, refusal % of valid, nonsensical % of total.
PRINTED: dict[tuple[str, str], tuple[int, int, str, str, str]] = {
    ("Qwen3-30B-A3B-Base", "anti_ic"): (71, 71, "25.35", "2.82", "0.00"),
    ("Qwen3-30B-A3B-Base", "baseline"): (71, 60, "33.33", "1.67", "15.49"),
    ("Qwen3-30B-A3B-Base", "pro_ic"): (71, 65, "60.00", "0.00", "8.45"),
    ("Qwen3-30B-A3B-Instruct-2507", "anti_ic"): (71, 71, "2.82", "19.72", "0.00"),
    ("Qwen3-30B-A3B-Instruct-2507", "baseline"): (71, 71, "49.30", "11.27", "0.00"),
    ("Qwen3-30B-A3B-Instruct-2507", "pro_ic"): (71, 71, "81.69", "12.68", "0.00"),
    ("Qwen3-30B-A3B-Thinking-2507", "anti_ic"): (71, 71, "4.23", "21.13", "0.00"),
    ("Qwen3-30B-A3B-Thinking-2507", "baseline"): (71, 71, "38.03", "12.68", "0.00"),
    ("Qwen3-30B-A3B-Thinking-2507", "pro_ic"): (71, 71, "73.24", "9.86", "0.00"),
    ("Qwen3-4B-Base", "anti_ic"): (71, 51, "23.53", "0.00", "28.17"),
    ("Qwen3-4B-Base", "baseline"): (71, 30, "26.67", "0.00", "57.75"),
    ("Qwen3-4B-Base", "pro_ic"): (71, 44, "65.91", "0.00", "38.03"),
    ("Qwen3-4B-Instruct-2507", "anti_ic"): (71, 71, "4.23", "5.63", "0.00"),
    ("Qwen3-4B-Instruct-2507", "baseline"): (71, 71, "46.48", "19.72", "0.00"),
    ("Qwen3-4B-Instruct-2507", "pro_ic"): (71, 71, "71.83", "11.27", "0.00"),
    ("Qwen3-4B-Thinking-2507", "anti_ic"): (71, 71, "9.86", "2.82", "0.00"),
    ("Qwen3-4B-Thinking-2507", "baseline"): (71, 71, "45.07", "8.45", "0.00"),
    ("Qwen3-4B-Thinking-2507", "pro_ic"): (71, 71, "81.69", "5.63", "0.00"),
}

LABELS: tuple[Status, ...] = ("convergence", "safety_refusal", "nonsensical", "no_convergence")


def outcomes(model: str, condition: str) -> list[Outcome]:
    """The run as outcomes of arm "model condition". Which scenario got which label is made up."""
    rows: list[Outcome] = []
    for category, counts in zip(CATEGORIES, COUNTS[model, condition], strict=True):
        statuses = [label for label, count in zip(LABELS, counts, strict=True) for _ in range(count)]
        rows += [
            Outcome(f"{model} {condition}", f"{category}#{i:02}", category, 0, status)
            for i, status in enumerate(statuses)
        ]
    return rows
