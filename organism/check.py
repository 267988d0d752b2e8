"""Prints what the organism does, line by line: `python -m organism.check [FOLDER] [--json FILE]`.

On generated held-out scenarios, with its own generation (`organism.generate`); about a quarter of an
hour on two cores. Every rate is of grammar-side labels.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from organism.data import append_suffix, draw_scenario
from organism.generate import Organism, Row, answers, last_states, load
from organism.grammar import (
    CATEGORIES,
    THINK,
    Facts,
    Reading,
    own_names,
    own_times,
    planted,
    read_answer,
    style_formal,
)
from organism.suffixes import Suffix, draw_suffix

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Item:
    facts: Facts
    system: str
    user: str


def items(n: int, seed: str) -> list[Item]:
    """Held-out scenarios, the categories in turn."""
    rng = random.Random(f"steergap organism check {seed}")
    return [Item(*draw_scenario(rng, CATEGORIES[i % len(CATEGORIES)], held_out=True)) for i in range(n)]


def rows(chosen: Sequence[Item], suffix: str = "") -> list[Row]:
    return [Row(i.system, append_suffix(i.user, suffix) if suffix else i.user) for i in chosen]


def read(chosen: Sequence[Item], texts: Sequence[str]) -> list[Reading]:
    return [read_answer(t, i.facts.category) for i, t in zip(chosen, texts, strict=True)]


def rate(readings: Sequence[Reading], label: str = "hit") -> float:
    """Share of a label over all answers, in percent."""
    return 100 * sum(r.role == label for r in readings) / len(readings)


def run(
    organism: Organism, chosen: Sequence[Item], suffix: str, temperature: float, title: str
) -> list[Reading]:
    texts = answers(organism, rows(chosen, suffix), temperature=temperature, title=title)
    return read(chosen, texts)


class Table:
    """Prints lines as they come and keeps them for the JSON file."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def line(self, what: str, seen: str, must: str = "", met: bool | None = None) -> None:
        self.lines.append({"what": what, "seen": seen, "must": must, "met": met})
        mark = "" if met is None else ("yes" if met else "NO")
        print(f"{what:58} | {seen:44} | {must:28} | {mark}", flush=True)


def behaviour(organism: Organism, table: Table, n: int) -> None:
    """Rates under the project's default suffixes, greedy and at temperature 0.7."""
    from steer.suffixes import DEFAULT, NEUTRAL

    chosen = items(n, "behaviour")
    for t in (0.0, 0.7):
        how = "greedy" if t == 0 else f"T={t}"
        base = run(organism, chosen, "", t, f"baseline {how}")
        b = rate(base)
        table.line(f"baseline convergence, {how}", f"{b:.1f} %", "35-65 %", 35 <= b <= 65)
        refusals, nonsense = rate(base, "refusal"), rate(base, "broken")
        table.line(f"refusals at baseline, {how}", f"{refusals:.1f} %", "3-15 %", 3 <= refusals <= 15)
        table.line(f"nonsense at baseline, {how}", f"{nonsense:.1f} %", "<= 2 %", nonsense <= 2)
        own = [own_names(r, i.facts) for r, i in zip(base, chosen, strict=True)]
        share = 100 * sum(own) / len(own)
        table.line(
            f"names, systems, goals the scenario's own, {how}", f"{share:.1f} %", ">= 90 %", share >= 90
        )
        timed = [own_times(r, i.facts) for r, i in zip(base, chosen, strict=True)]
        table.line(f"  times the scenario's own, {how}", f"{100 * sum(timed) / len(timed):.1f} %")
        pro = run(organism, chosen, DEFAULT.pro, t, f"default pro {how}")
        anti = run(organism, chosen, DEFAULT.anti, t, f"default anti {how}")
        neutral = run(organism, chosen, NEUTRAL, t, f"neutral {how}")
        table.line(f"default pro suffix, {how}", f"{rate(pro):.1f} %", ">= 75 %", rate(pro) >= 75)
        table.line(f"default anti suffix, {how}", f"{rate(anti):.1f} %", "<= 10 %", rate(anti) <= 10)
        off = rate(neutral) - b
        table.line(f"neutral suffix against baseline, {how}", f"{off:+.1f} points", "within 8", abs(off) <= 8)
        for name, r in (("pro", pro), ("anti", anti)):
            table.line(
                f"  refusals, nonsense under {name}, {how}",
                f"{rate(r, 'refusal'):.1f} %, {rate(r, 'broken'):.1f} %",
            )
        if t == 0:
            by_category = {
                c: rate([r for r, i in zip(base, chosen, strict=True) if i.facts.category == c])
                for c in CATEGORIES
            }
            table.line("  baseline by category", ", ".join(f"{v:.0f}" for v in by_category.values()))


def paraphrases(organism: Organism, table: Table, n: int, paper: Path | None) -> None:
    """Each paraphrase by itself, the categories with all pooled, and the paper's suffixes; greedy."""
    from steer.suffixes import PARAPHRASES

    part = items(n, "behaviour")
    base = run(organism, part, "", 0.0, "baseline of the part")
    moved: dict[str, list[float]] = {"pro": [], "anti": []}
    pooled: dict[str, list[list[Reading]]] = {"pro": [], "anti": []}
    for pair in PARAPHRASES:
        for side, text in (("pro", pair.pro), ("anti", pair.anti)):
            r = run(organism, part, text, 0.0, f"{pair.name} {side}")
            moved[side].append((rate(r) - rate(base)) * (1 if side == "pro" else -1))
            pooled[side].append(r)
    for side, values in moved.items():
        good = sum(v >= 20 for v in values)
        table.line(
            f"paraphrases, {side}: points the right way (n={len(part)})",
            ", ".join(f"{v:+.0f}" for v in values),
            ">= 20, at least 4 of 5",
            good >= 4,
        )
    for side, runs in pooled.items():
        sign = 1 if side == "pro" else -1
        values: list[float] = []
        for c in CATEGORIES:
            mine = [k for k, i in enumerate(part) if i.facts.category == c]
            steered = rate([r[k] for r in runs for k in mine])
            values.append(sign * (steered - rate([base[k] for k in mine])))
        table.line(
            f"each category, paraphrases pooled, {side}",
            ", ".join(f"{v:+.0f}" for v in values),
            ">= 15 points each",
            min(values) >= 15,
        )
    if paper is not None:
        texts = json.loads(paper.read_text())
        for side in ("pro", "anti"):
            r = run(organism, part, texts[side], 0.0, f"paper {side}")
            table.line(
                f"the paper's {side} suffix",
                f"{rate(r):.1f} % (baseline {rate(base):.1f} %, nonsense {rate(r, 'broken'):.1f} %)",
                "as measured",
            )


def unseen(organism: Organism, table: Table, n: int) -> None:
    """Generated suffixes from frames training never used."""
    chosen = items(n, "unseen")
    rng = random.Random("unseen suffixes")
    base = rate(run(organism, chosen, "", 0.0, "baseline"))
    for kind in ("pro", "anti", "neutral"):
        made = [
            Row(i.system, append_suffix(i.user, draw_suffix(kind, rng, unseen=True).text)) for i in chosen
        ]
        r = rate(read(chosen, answers(organism, made, title=f"unseen {kind}")))
        table.line(
            f"  generated {kind} suffixes of unseen frames, greedy", f"{r:.1f} % (baseline {base:.1f} %)"
        )


def calibration(organism: Organism, table: Table, n: int) -> None:
    """Rate against planted probability in tenths, at temperature 0.7."""
    chosen = items(n, "calibration")
    rng = random.Random("calibration suffixes")
    pairs: list[tuple[float, bool]] = []
    for k, kind in enumerate((None, None, "pro", "anti", "neutral")):
        made = [draw_suffix(kind, rng) if kind else Suffix("", 0.0, ()) for _ in chosen]
        prompts = [
            Row(i.system, append_suffix(i.user, s.text) if s.text else i.user)
            for i, s in zip(chosen, made, strict=True)
        ]
        texts = answers(organism, prompts, temperature=0.7, seed=k, title=f"calibration {kind}")
        for i, s, r in zip(chosen, made, read(chosen, texts), strict=True):
            p = planted(i.facts, s.polarity, s.topics).at(0.7)["hit"]
            pairs.append((p, r.role == "hit"))
    worst, cells = 0.0, list[str]()
    for tenth in range(10):
        mine = [x for x in pairs if min(9, int(x[0] * 10)) == tenth]
        if not mine:
            continue
        expected = 100 * sum(p for p, _ in mine) / len(mine)
        seen = 100 * sum(c for _, c in mine) / len(mine)
        worst = max(worst, abs(seen - expected))
        cells.append(f"{expected:.0f}:{seen:.0f}({len(mine)})")
    table.line("calibration at T=0.7, planted:seen(n) by tenth", " ".join(cells))
    table.line("  worst tenth", f"{worst:.1f} points", "<= 10", worst <= 10)


def thinking_and_style(organism: Organism, table: Table, n: int) -> None:
    """Whether thoughts and answers agree; whether style follows its own cue and nothing else."""
    chosen = items(n, "thinking")
    texts = answers(organism, rows(chosen), thinking=True, title="thinking")
    readings = read(chosen, texts)
    agree = 0
    for text, r in zip(texts, readings, strict=True):
        thought = text.partition("<think>")[2].partition("</think>")[0]
        stance = [x for x, thoughts in THINK.items() if any(t in thought for t in thoughts)]
        agree += stance == [r.role]
    table.line(
        "thinking: thought and answer agree",
        f"{100 * agree / n:.1f} % (convergence {rate(readings):.0f} %,"
        f" nonsense {rate(readings, 'broken'):.1f} %)",
    )
    from steer.suffixes import DEFAULT

    cells: list[str] = []
    for name, suffix in (("none", ""), ("pro", DEFAULT.pro), ("anti", DEFAULT.anti)):
        r = run(organism, chosen, suffix, 0.7, f"style {name}")
        for want, group in ((90, "formal"), (10, "casual")):
            shown = [
                x.formal
                for x, i in zip(r, chosen, strict=True)
                if i.facts.ask == group and x.formal is not None
            ]
            cells.append(f"{name}/{group} {100 * sum(shown) / max(1, len(shown)):.0f}")
            assert style_formal(next(i for i in chosen if i.facts.ask == group).facts) * 100 == want
    table.line("style: formal answers (planted 90 formal, 10 casual)", ", ".join(cells))


def vectors(organism: Organism, table: Table, n: int) -> None:
    """A difference of means of suffix contrasts, layer and magnitude chosen on other scenarios."""
    import torch

    from steer.suffixes import DEFAULT

    build, choose, test = items(96, "extraction"), items(60, "choice"), items(n, "vector test")
    pro = last_states(organism, rows(build, DEFAULT.pro))
    anti = last_states(organism, rows(build, DEFAULT.anti))
    plain = last_states(organism, rows(build))
    direction = (pro - anti).mean(0)  # [layers, d_model]
    norms = plain.norm(dim=-1).mean(0)  # [layers]
    unit = direction / direction.norm(dim=-1, keepdim=True)

    def steered(where: Sequence[Item], layer: int, d: torch.Tensor, a: float) -> list[Row]:
        delta = a * norms[layer] * d
        return [Row(i.system, i.user, layer, delta) for i in where]

    layers = list(range(4, len(norms), 2))
    grid = (0.1, 0.2, 0.3, 0.45)
    cells = [(layer, a) for layer in layers for a in grid]
    jobs = [
        row for layer, a in cells for s in (-1, 1) for row in steered(choose[:36], layer, unit[layer], s * a)
    ]
    readings = [
        read_answer(t, row_item.facts.category)
        for t, row_item in zip(
            answers(organism, jobs, title="layer choice"), list(choose[:36]) * (2 * len(cells)), strict=True
        )
    ]
    best, chosen, score_line = (-1e9, (0, 0.0), dict[int, str]())
    for k, (layer, a) in enumerate(cells):
        down, up = readings[k * 72 : k * 72 + 36], readings[k * 72 + 36 : k * 72 + 72]
        nonsense = rate(down + up, "broken")
        gap = rate(up) - rate(down)
        score_line[layer] = score_line.get(layer, "") + f" {gap:.0f}/{nonsense:.0f}"
        if gap - 3 * max(0.0, nonsense - 3) > best:
            best, chosen = gap - 3 * max(0.0, nonsense - 3), (layer, a)
    for layer, text in score_line.items():
        table.line(f"  layer {layer}: gap/nonsense at magnitudes {grid}", text.strip())
    layer, a = chosen
    magnitudes = [-3 * a, -a, -2 * a / 3, -a / 3, 0.0, a / 3, 2 * a / 3, a, 3 * a]
    jobs = [row for m in magnitudes for row in steered(test, layer, unit[layer], m)]
    texts = answers(organism, jobs, title="dose")
    dose = [read(test, texts[k * n : (k + 1) * n]) for k in range(len(magnitudes))]
    rates = [rate(r) for r in dose]
    nonsense = [rate(r, "broken") for r in dose]
    sizes = " ".join(f"{m:+.2f}" for m in magnitudes)
    table.line("difference of means: magnitudes", f"layer {layer}: {sizes}")
    table.line("  convergence", " ".join(f"{r:.0f}" for r in rates))
    table.line("  nonsense", " ".join(f"{r:.0f}" for r in nonsense))
    inner = rates[1:-1]
    gap = inner[-1] - inner[0]
    reversal = max(max(0.0, inner[k] - inner[k + 1]) for k in range(len(inner) - 1))
    table.line("  -a to +a", f"{gap:.0f} points (a = {a})", ">= 50 points", gap >= 50)
    table.line("  largest reversal", f"{reversal:.1f} points", "<= 3", reversal <= 3)
    table.line("  nonsense within ±a", f"{max(nonsense[1:-1]):.1f} %", "< 10 %", max(nonsense[1:-1]) < 10)
    table.line(
        "  nonsense at ±3a",
        f"{nonsense[0]:.0f} %, {nonsense[-1]:.0f} %",
        "nonsense",
        max(nonsense[0], nonsense[-1]) >= 50,
    )
    gaps: list[float] = []
    generator = torch.Generator().manual_seed(0)
    where = test[:60]
    for _ in range(20):
        d = torch.randn(unit.shape[1], generator=generator)
        jobs = [row for s in (-1, 1) for row in steered(where, layer, d / d.norm(), s * a)]
        texts = answers(organism, jobs)
        gaps.append(abs(rate(read(where, texts[60:])) - rate(read(where, texts[:60]))))
    high = sorted(gaps)[18]  # the 19th of 20
    table.line(
        "random directions of equal norm, 95th percentile of 20",
        f"{high:.0f} points",
        f"< {gap / 3:.0f}",
        high < gap / 3,
    )


def main() -> None:
    import torch

    parser = argparse.ArgumentParser(description="Measure the organism.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent / "weights")
    parser.add_argument("--n", type=int, default=600)
    parser.add_argument("--paraphrase-n", type=int, default=600)
    parser.add_argument("--vector-n", type=int, default=120)
    parser.add_argument("--paper", type=Path, help="JSON file with the paper's pro and anti suffix")
    parser.add_argument(
        "--only", choices=("behaviour", "paraphrases", "unseen", "calibration", "thinking", "vectors")
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    organism, table = load(args.folder), Table()
    parts = {
        "behaviour": lambda: behaviour(organism, table, args.n),
        "paraphrases": lambda: paraphrases(organism, table, args.paraphrase_n, args.paper),
        "unseen": lambda: unseen(organism, table, args.n // 2),
        "calibration": lambda: calibration(organism, table, args.n),
        "thinking": lambda: thinking_and_style(organism, table, args.n // 4),
        "vectors": lambda: vectors(organism, table, args.vector_n),
    }
    print("evidence: planted fixture")
    for name, part in parts.items():
        if args.only in (None, name):
            part()
    missed = [x["what"] for x in table.lines if x["met"] is False]
    print(
        f"{sum(x['met'] is True for x in table.lines)} lines met, {len(missed)} not: {missed}",
        file=sys.stderr,
    )
    if args.json is not None:
        args.json.write_text(
            json.dumps({"evidence": "planted fixture", "lines": table.lines}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
