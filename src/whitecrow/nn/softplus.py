"""The softplus, to the same last bit wherever a value stands in memory."""

from torch import Tensor
from torch.nn.functional import logsigmoid

__all__ = ["softplus"]


def softplus(x: Tensor) -> Tensor:
    r"""Return :math:`\log(1 + e^x)`, element by element, at least 0.

    Torch's own rounds the last values of a run of memory in another way than the others, so that a replica among
    others would be trained to other bits than alone.
    """
    return -logsigmoid(-x)
