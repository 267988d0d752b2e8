"""Answers side by side: rows of one prompt and one steering, fed as one.

    what others share | the rest of the prompt | answer 1 | answer 2 | ...

Every answer has the positions that follow the prompt, and attends to the prompt and to itself alone (the
attention of a tree, as in SpecInfer, Miao et al. 2023, arXiv 2305.09781). Trees whose prompts begin alike are
put together here. It does not know models or what is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steer.engines.prefill import Share, reaching, share
from steer.prefixes import common
from steer.types import Addition, ScoreRow
from steer.uploads import upload

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SIDE_BY_SIDE = 64
"""Tokens of answers in one tree, unless one answer alone is longer."""
WORTH = 64
"""Tokens to be spared before a beginning is computed apart."""


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """answers: what is fed of an answer (all but its last token) -> the numbers of the rows that have it."""

    prompt: tuple[int, ...]
    additions: tuple[Addition, ...]
    answers: dict[tuple[int, ...], list[int]]

    def columns(self, since: int) -> list[tuple[int, int, int]]:
        """Each column's token, position, and answer (from 1; the prompt's are 0); `since`: tokens shared."""
        end = len(self.prompt)
        return [(self.prompt[at], at, 0) for at in range(since, end)] + [
            (token, end + at, number)
            for number, answer in enumerate(self.answers, 1)
            for at, token in enumerate(answer)
        ]

    def predicting(self) -> Iterator[tuple[list[int], list[int]]]:
        """The columns from the prompt's last token on whose logits predict an answer and its last token, and
        the rows that have it."""
        start = 1
        for answer, rows in self.answers.items():
            yield [0, *range(start, start + len(answer))], rows
            start += len(answer)

    @property
    def predicted(self) -> int:
        """Columns from the prompt's last token on."""
        return 1 + sum(map(len, self.answers))

    def size(self, since: int = 0) -> int:
        return len(self.prompt) - since - 1 + self.predicted


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """Trees that share their first `since` tokens, and what is added there.

    same: they differ in what is added after those alone, and may be one row until then.
    """

    since: int
    trees: tuple[Tree, ...]
    same: bool = False


def families(rows: Sequence[tuple[int, ScoreRow]]) -> Iterator[Family]:
    """Numbered rows, put together so that little is computed twice."""
    alike: dict[tuple[Share, tuple[tuple[int, ...], ...]], list[Tree]] = {}
    for tree in _trees(rows):
        key = share(ScoreRow(tree.prompt, (), tree.additions)), tuple(tree.answers)
        alike.setdefault(key, []).append(tree)
    alone: list[Tree] = []
    for same in alike.values():
        if len(same) > 1:
            yield Family(len(same[0].prompt) - 1, tuple(same), same=True)
        else:
            alone += same
    unshared: list[Tree] = []
    for since, part in _beginnings(alone):
        if (len(part) - 1) * since < WORTH:
            unshared += part
        else:
            yield Family(since, tuple(part))
    if unshared:
        yield Family(0, tuple(unshared))


def _trees(rows: Sequence[tuple[int, ScoreRow]]) -> Iterator[Tree]:
    arms: dict[tuple[object, ...], list[tuple[int, ScoreRow]]] = {}
    for number, row in rows:
        arms.setdefault((row.prompt_ids, *map(id, row.additions)), []).append((number, row))
    for same in arms.values():
        prompt, additions = same[0][1].prompt_ids, same[0][1].additions
        answers: dict[tuple[int, ...], list[int]] = {}
        for number, row in same:
            fed = row.answer_ids[:-1]
            if answers and fed not in answers and sum(map(len, answers)) + len(fed) > SIDE_BY_SIDE:
                yield Tree(prompt, additions, answers)
                answers = {}
            answers.setdefault(fed, []).append(number)
        yield Tree(prompt, additions, answers)


def _beginnings(trees: Sequence[Tree]) -> Iterator[tuple[int, list[Tree]]]:
    """Trees with the number of tokens that they share, parted where more is lost by sharing less.

    Of n trees that share s tokens, n - 1 compute none of them; one more that shares but c of them has those
    for nothing, and each of the n computes s - c.
    """
    part: list[Tree] = []
    shared = 0
    for tree in sorted(trees, key=lambda tree: tree.prompt):
        most = _shareable(tree)
        alike = min(shared, most, common(part[-1].prompt, tree.prompt)) if part else 0
        if part and alike <= (len(part) - 1) * (shared - alike):
            yield shared, part
            part = []
        shared = alike if part else most
        part.append(tree)
    if part:
        yield shared, part


def _shareable(tree: Tree) -> int:
    """How many of a tree's first tokens nothing is added to: all but the last, or none."""
    return 0 if reaching(ScoreRow(tree.prompt, (), tree.additions)) else len(tree.prompt) - 1


def lay_out(
    trees: Sequence[Tree], since: int, device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Ids [tree, column], positions (-1 at pads), additive mask [tree, 1, column, since + column].

    Trees are left-padded: they end in the columns whose logits are read.
    """
    import torch

    width = max(tree.size(since) for tree in trees)
    rows = [tree.columns(since) for tree in trees]
    ids, positions, answers = upload([[(0, -1, -1)] * (width - len(r)) + r for r in rows], device).unbind(-1)
    order = torch.arange(width, device=device)
    own = (answers[:, None] == 0) | (answers[:, None] == answers[:, :, None])
    seen = torch.nn.functional.pad(own & (order <= order[:, None]), (since, 0), value=True)
    mask = torch.zeros(seen.shape, dtype=dtype, device=device).masked_fill(~seen, float("-inf"))
    return ids, positions, mask[:, None]
