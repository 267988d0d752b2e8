"""What arXiv 2601.01584 prints of its 18 runs; their counts are in benchmarks/published_counts.py."""

from __future__ import annotations

from benchmarks.published_counts import CATEGORIES, COUNTS, ROLES, outcomes

__all__ = ["CATEGORIES", "COUNTS", "PRINTED", "ROLES", "outcomes"]

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
