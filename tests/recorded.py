"""A CUDA graph on a CPU: operations recorded once and repeated in the memory they were recorded with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Recorded(TorchDispatchMode):
    """What is done inside is undone by `undo`, and done again by `replay`, whatever the memory then holds."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[Any, Any, Any, Any]] = []
        self.before: list[tuple[torch.Tensor, torch.Tensor]] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for declared, given in zip(function._schema.arguments, args, strict=False):
            if declared.alias_info is not None and declared.alias_info.is_write:
                self.before.append((given, given.clone()))
        found = function(*args, **(kwargs or {}))
        self.done.append((function, args, kwargs or {}, found))
        return found

    def undo(self) -> None:
        for tensor, held in reversed(self.before):
            tensor.copy_(held)

    def replay(self) -> None:
        for function, args, kwargs, found in self.done:
            for old, new in zip(tree_leaves(found), tree_leaves(function(*args, **kwargs)), strict=True):
                if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():  # no view, no write
                    old.copy_(new)


def capture(work: Callable[[], object], _pool: object) -> Callable[[], None]:
    """As `steer.engines.graphs.capture`."""
    with Recorded() as recorded:
        work()
    recorded.undo()
    return recorded.replay
