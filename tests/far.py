"""A device that is not there: tensors that say they lie elsewhere, so that every wait for them is seen.

Their numbers lie on the CPU, and every operation on them runs there. Counted is what makes a host wait
for a real device: a number read, a result whose size depends on numbers, a copy to the host, `.tolist()`
included, and a copy of what the host made that does not say it need not be waited for.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("meta")
"""Where they say they lie: a device that every build of PyTorch knows, and has nothing on."""

WAITING = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "equal", "repeat_interleave"}


class Far(torch.Tensor):
    """A tensor elsewhere; `near` holds its numbers."""

    near: torch.Tensor

    @staticmethod
    def __new__(cls, near: torch.Tensor) -> Any:
        place = {"strides": near.stride(), "storage_offset": near.storage_offset()}
        far = torch.Tensor._make_wrapper_subclass(cls, near.shape, dtype=near.dtype, device=DEVICE, **place)
        far.near = near
        return far

    def tolist(self) -> Any:
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise AssertionError(f"{function} on a far tensor outside of Waits")


class Waits(TorchDispatchMode):
    """Runs what is far, and keeps the names of the operations that waited, in order."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.names: list[str] = []
        make = torch.tensor

        def tensor(*args: Any, device: Any = None, **more: Any) -> torch.Tensor:
            made = make(*args, **more)  # made whole, then moved, as on a device that is there
            return made if device is None else made.to(device)

        patch.setattr(torch, "tensor", tensor)
        patch.setattr(torch, "inference_mode", torch.no_grad)  # which hands composite operations on whole

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = function.overloadpacket.__name__
        of_far = any(isinstance(leaf, Far) for leaf in tree_leaves((args, kwargs)))
        target = kwargs.get("device")
        to_far = of_far if target is None else torch.device(target) == DEVICE
        if target is not None:
            kwargs["device"] = torch.device("cpu")
        if of_far and (not to_far or name in WAITING or _host_index(name, args)):
            self.names.append(name)
        if name == "_to_copy" and to_far and not of_far and not kwargs.get("non_blocking"):
            self.names.append("upload")
        args, kwargs = tree_map(_near, (args, kwargs))
        found = function(*args, **kwargs)
        return tree_map(_far, found) if to_far else found


def _near(value: Any) -> Any:
    return value.near if isinstance(value, Far) else value


def _far(value: Any) -> Any:
    return Far(value) if isinstance(value, torch.Tensor) else value


def _host_index(name: str, args: Any) -> bool:
    """Whether a far tensor is indexed by what must be counted or moved first: a mask, or the host's own."""
    if not name.startswith(("index", "_index")) or len(args) < 2 or not isinstance(args[1], list | tuple):
        return False
    indices = [index for index in args[1] if isinstance(index, torch.Tensor)]
    return any(index.dtype == torch.bool or not isinstance(index, Far) for index in indices)
