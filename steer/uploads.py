"""What the host makes, on its way to a device: the host does not wait until it is there.

It does not know what is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def upload(values: Sequence[object], device: torch.device | str, dtype: torch.dtype | None = None) -> Tensor:
    """`torch.tensor(values)` on a device, behind what that was already told to do."""
    import torch

    return send(torch.tensor(values, dtype=dtype), torch.device(device))


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the host on a device. CUDA copies behind the host's back only from pinned memory."""
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
