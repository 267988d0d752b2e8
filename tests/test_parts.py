"""Parts: every row comes once, whatever worker is faster or lost, and a row that ends workers is named."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from benchmarks.scaling import Costs, simulate
from steer.engines.parts import LOSSES, InOrder, Part, Parts, RowError, Rows
from steer.errors import UserError
from steer.types import Request, Response


def rows(prompts: int, cells: int) -> list[Request]:
    return [Request(f"{p}/{c}", (1, p), ()) for c in range(cells) for p in range(prompts)]


def response(key: str) -> Response:
    return Response(key, (1, 2), "stop")


def lose_all(work: Parts, *, most: int) -> None:
    """Every worker is lost, so many at most."""
    for _ in range(most):
        part = work.take(2)
        assert part is not None
        work.lost(part, "broken")


@pytest.mark.parametrize("seed", range(30))
def test_every_row_comes_once_in_any_order_of_workers_and_losses(seed: int) -> None:
    draw = random.Random(seed)
    asked = rows(draw.randrange(1, 20), draw.randrange(1, 30))
    workers = draw.randrange(1, 9)
    work = Rows(asked)
    busy: list[Part] = []
    seen: Counter[str] = Counter()
    lives = draw.randrange(0, 12)
    while True:
        while len(busy) < workers and (part := work.take(workers - len(busy))) is not None:
            busy.append(part)
        if not busy:
            break
        part = draw.choice(busy)
        some = draw.sample(sorted(part.rows), draw.randrange(1, len(part.rows) + 1))
        seen.update(r.key for r in work.came(part, [response(key) for key in some]))
        alone = len(part.rows) == 1
        if not part.done and lives and not alone and draw.random() < 0.3:
            lives -= 1
            busy.remove(part)
            work.lost(part, "killed")
        elif part.done:
            busy.remove(part)
    work.conclude()
    assert seen == Counter(request.key for request in asked)


def test_free_workers_get_equal_parts_and_a_prompt_is_with_one_of_them() -> None:
    work = Rows(rows(76, 66))
    parts = [work.take(free) for free in range(8, 0, -1)]
    assert work.take(8) is None
    held = [part.rows for part in parts if part is not None]
    assert [len(rows) for rows in held] == [76 * 66 // 8] * 8
    where = Counter(prompt for rows in held for prompt in {request.prompt_ids for request in rows.values()})
    assert len(where) == 76
    assert where.total() <= 76 + 7  # but where one part ends and the next begins


@pytest.mark.parametrize("poison", ["3/2", "0/0", "9/4"])
def test_a_row_that_ends_workers_is_found_after_three_and_all_others_are_done(poison: str) -> None:
    asked = rows(10, 5)
    work = Rows(asked)
    done: set[str] = set()
    losses = 0
    while (part := work.take(2)) is not None:
        if poison in part.rows:  # whatever else is in the part dies with it
            losses += 1
            work.lost(part, "IndexError: out of range")
            continue
        done |= {r.key for r in work.came(part, [response(key) for key in list(part.rows)])}
    assert losses == LOSSES
    assert done == {request.key for request in asked} - {poison}
    with pytest.raises(RowError, match="IndexError") as error:
        work.conclude()
    assert error.value.key == poison


def test_where_every_row_ends_its_worker_the_run_stops_soon() -> None:
    work = Rows(rows(40, 5))
    with pytest.raises(RowError):
        lose_all(work, most=60)


@pytest.mark.parametrize("seed", range(5))
def test_answers_go_on_in_the_order_of_the_parts(seed: int) -> None:
    draw = random.Random(seed)
    work = InOrder((("call", (n,)) for n in range(50)), workers=3)
    busy: list[Part] = []
    found: list[int] = []
    lives = 2
    while True:
        while len(busy) < 3 and (part := work.take(3 - len(busy))) is not None:
            busy.append(part)
        if not busy:
            break
        part = busy.pop(draw.randrange(len(busy)))
        if lives and draw.random() < 0.3:
            lives -= 1
            work.lost(part, "killed")
        else:
            found += work.came(part, part.arguments[0])
    assert found == list(range(50))


def test_a_part_that_ends_three_workers_is_not_tried_again() -> None:
    work = InOrder([("call", ())], workers=2)
    with pytest.raises(UserError, match="the same part"):
        lose_all(work, most=LOSSES)


def test_a_simulated_driver_feeds_eight_workers_and_is_the_limit_of_a_thousand() -> None:
    spent = {"row": 5e-4, "message": 1e-3, "message_row": 1e-5, "wait": 1e-3, "wait_stream": 5e-6}
    costs = Costs(**spent, sent=3e-5, bytes_out=2e3, bytes_back=1e3)
    one, eight, many = (simulate(workers, costs, rows_each=512) for workers in (1, 8, 200))
    assert (one["rows"], eight["rows"], many["rows"]) == (512, 8 * 512, 200 * 512)
    assert eight["rows a second"] > 7 * one["rows a second"]
    assert many["driver works"] > 0.95
    assert many["rows a second"] == pytest.approx(1 / (5e-4 + 1e-5 + 3e-5), rel=0.1)
    assert simulate(8, costs, rows_each=512, halves=True)["seconds"] > 1.5 * eight["seconds"]
