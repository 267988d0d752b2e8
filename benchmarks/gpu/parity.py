"""Whether both engines give, on this device, what plain `generate` with hooks of its own gives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from benchmarks.gpu.sections import Keep, Setup

if TYPE_CHECKING:
    from collections.abc import Generator

    from steer.engines.slots import Fast
    from steer.types import LoadedModel, Request, Response

FAMILIES = ("qwen3", "qwen3_moe")
TIE = 1e-4
"""Top-2 gap of log-probabilities under which fp32 texts may part."""


def run(setup: Setup, keep: Keep) -> None:
    import torch

    wrong: list[str] = []
    for family in FAMILIES:
        for dtype in (torch.float64, torch.float32):
            name = f"{family} {dtype}".replace("torch.", "")
            keep(name, found := texts(setup, family, dtype, ("slots", "nnsight")))
            wrong += [name] if found["wrong"] else []
    keep("qwen3 bfloat16", found := scores(setup))
    wrong += [] if found["within"] else ["qwen3 bfloat16"]
    for name, check in (("memory", _memory), ("device map", _device_map)):
        keep(name, found := check(setup))
        wrong += [name] if found["rows that differ"] else []
    if wrong:
        raise AssertionError(f"not the same: {', '.join(wrong)}")


def _tiny(setup: Setup, family: str, dtype: Any) -> LoadedModel:
    from tests.engine_cases import tiny_model

    with TemporaryDirectory() as folder:
        loaded = tiny_model(Path(folder), family, dtype)
    loaded.module.to(setup.device)
    return replace(loaded, device=str(loaded.module.device))


def _by_key(responses: Iterable[Response]) -> dict[str, tuple[int, ...]]:
    return {response.key: response.output_ids for response in responses}


def texts(setup: Setup, family: str, dtype: Any, kinds: Sequence[str]) -> dict[str, Any]:
    """Ids of engines against plain generation; in fp64 they are exact, in fp32 up to ties."""
    import torch

    from steer.engines import bare_engine
    from tests.engine_cases import plain_generate, requests

    loaded, exact = _tiny(setup, family, dtype), dtype == torch.float64
    rows = requests(21, 6 if setup.quick else 32, sampled=exact)
    plain = {row.key: tuple(plain_generate(loaded, row)[0]) for row in rows}
    found: dict[str, Any] = {"rows": len(rows), "wrong": 0}
    for kind in kinds:
        engine = bare_engine(kind, loaded, batch=6 if kind == "nnsight" else 11)
        said = _by_key(engine.generate(rows))
        parted = [row for row in rows if said[row.key] != plain[row.key]]
        found[f"{engine.name} differ"] = len(parted)
        gaps = [_gap(loaded, row, said[row.key], plain[row.key]) for row in parted]
        found["wrong"] += len(gaps) if exact else sum(gap >= TIE for gap in gaps)
        found["largest gap"] = max([*gaps, found.get("largest gap", 0.0)])
    return found


def _gap(loaded: LoadedModel, row: Request, left: Sequence[int], right: Sequence[int]) -> float:
    """Between the two likeliest tokens where two answers part."""
    from steer.engines.reference import ReferenceEngine
    from steer.types import ScoreRow

    same = next(i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b)
    scored = ScoreRow(row.prompt_ids, tuple(left[: same + 1]), row.additions)
    (last,) = ReferenceEngine(loaded).score([scored], lambda _row, log_probs: log_probs[-1])
    first, second = last.topk(2).values.tolist()
    return first - second


def scores(setup: Setup, fast: Fast | None = None) -> dict[str, Any]:
    """|Δ log p| in bf16 of the same answers: the slot engine's steered steps against one forward, beside
    what batching and the kind of attention change without steering."""
    import torch

    from steer.engines.reference import ReferenceEngine
    from steer.types import ScoreRow
    from tests.engine_cases import decoded, requests

    loaded = _tiny(setup, "qwen3", torch.bfloat16)
    rows = requests(31, 8 if setup.quick else 60, sampled=False, new=40)
    answers = {r.key: r for r in ReferenceEngine(loaded, batch=24).generate(rows)}

    def log_p(row: ScoreRow, log_probs: Any) -> Any:
        ids = torch.tensor(row.answer_ids, device=log_probs.device)
        return log_probs.gather(-1, ids[:, None])[:, 0].cpu()

    def scored(batch: int, *, steered: bool) -> Any:
        asked = [
            ScoreRow(r.prompt_ids, answers[r.key].output_ids, r.additions if steered else ()) for r in rows
        ]
        return torch.cat(list(ReferenceEngine(loaded, batch=batch).score(asked, log_p)))

    slots = (decoded(loaded, rows, answers, fast) - scored(24, steered=True)).abs()
    batched = scored(24, steered=False)
    spread = {"batching": (scored(1, steered=False) - batched).abs()}
    loaded.module.set_attn_implementation("eager")
    spread["attention"] = (scored(24, steered=False) - batched).abs()
    largest = max(float(values.mean()) for values in spread.values())
    return {
        "tokens": len(slots),
        "slots mean": float(slots.mean()),
        "slots most": float(slots.max()),
        **{f"{name} mean": float(values.mean()) for name, values in spread.items()},
        "within": float(slots.mean()) <= 1.5 * largest,
    }


def _memory(setup: Setup) -> dict[str, Any]:
    """Memory runs out in the middle: fewer slots, the same texts."""
    import torch

    from steer.engines.slots import SlotEngine
    from tests.engine_cases import requests

    loaded = _tiny(setup, "qwen3", torch.float64)
    rows = requests(41, 12 if setup.quick else 512, new=24 if setup.quick else 200)
    expected = _by_key(SlotEngine(loaded, batch=4 if setup.quick else 32).generate(rows))
    widths: list[int] = []

    def width(_module: Any, _args: Any, kwargs: Any) -> None:
        if kwargs["input_ids"].shape[1] == 1:
            widths.append(len(kwargs["input_ids"]))
            if setup.device == "cpu" and len(kwargs["input_ids"]) > 6:
                raise torch.OutOfMemoryError("out of memory, on purpose")

    hook = loaded.module.register_forward_pre_hook(width, with_kwargs=True)
    try:
        with _little_memory(setup):
            found = _by_key(SlotEngine(loaded, batch=len(rows)).generate(rows))
    finally:
        hook.remove()
    return {
        "rows": len(rows),
        "rows that differ": sum(found.get(key) != ids for key, ids in expected.items()),
        "begun again": sum(after > before for before, after in pairwise(widths)),
        "most rows": max(widths, default=0),
    }


@contextmanager
def _little_memory(setup: Setup) -> Generator[None]:
    """A GPU that has 48 MiB more than what is held."""
    import torch

    if setup.device == "cpu":
        yield
        return
    torch.cuda.empty_cache()
    whole = torch.cuda.get_device_properties(setup.device).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 48 * 2**20) / whole)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def _device_map(setup: Setup) -> dict[str, Any]:
    """A model that accelerate has spread over what there is."""
    from steer import models
    from steer.engines.slots import SlotEngine
    from tests.engine_cases import requests
    from tests.tiny import checkpoint

    rows = requests(51, 8)
    with TemporaryDirectory() as folder:
        checkpoint(Path(folder), "qwen3")
        alone = models.load(folder, dtype="float64", device=setup.device)
        spread = models.load(folder, dtype="float64", device=setup.device, device_map="auto")
    expected = _by_key(SlotEngine(alone).generate(rows))
    found = _by_key(SlotEngine(spread).generate(rows))
    devices = {str(parameter.device) for parameter in spread.module.parameters()}
    return {"devices": sorted(devices), "rows that differ": sum(found[k] != v for k, v in expected.items())}
