"""The networks and the state of one replica, or of R replicas stacked."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor, nn

__all__ = ["Networks"]


class Networks(nn.Module):
    """Named networks, parameters and buffers of a detector.

    Parameters
    ----------
    **members : torch.nn.Module, torch.nn.Parameter or torch.Tensor
        Modules and parameters are trained by the objectives that name them; plain tensors are buffers: state that
        no gradient reaches (a centre, a mixture, a reference sample).

    Attributes
    ----------
    stacked : bool
        Whether each tensor carries a leading replica axis. A stacked parameter or buffer with at most one axis of
        its own is read with an axis for the batch, ``[R, 1, n]``, so that ``x - net.c`` means the same for one
        replica ``[B, n]`` and for many ``[R, B, n]``.
    """

    def __init__(self, **members: nn.Module | Tensor) -> None:
        super().__init__()
        self.stacked = False
        for name, member in members.items():
            if isinstance(member, nn.Module):
                self.add_module(name, member)
            elif isinstance(member, nn.Parameter):
                self.register_parameter(name, member)
            else:
                self.register_buffer(name, member)

    def __getattr__(self, name: str) -> Any:
        value = super().__getattr__(name)
        if isinstance(value, Tensor) and self.stacked and value.dim() <= 2:
            return value.unsqueeze(1)
        return value

    def forward(self, function: Callable[..., Tensor], *arguments: Any) -> Tensor:
        """Call ``function(self, *arguments)``; ``torch.func.functional_call`` swaps the tensors around it."""
        return function(self, *arguments)

    def tensors(self, *, persistent: bool = False) -> Iterator[tuple[str, Tensor]]:
        """Yield every parameter and buffer by its dotted name, as it is stored.

        Parameters
        ----------
        persistent : bool, default=False
            Leave out the buffers that can be derived from others, as a file does.
        """
        kept = set(self.state_dict(keep_vars=True)) if persistent else None
        for name, tensor in (*self.named_parameters(), *self.named_buffers()):
            if kept is None or name in kept:
                yield name, tensor

    def swap(self, name: str, tensor: Tensor) -> None:
        """Put ``tensor`` in the place of the parameter or buffer called ``name``, without a copy.

        A parameter that several modules share (tied weights) is replaced in all of them.
        """
        path, _, leaf = name.rpartition(".")
        home = self.get_submodule(path)
        old = home._parameters[leaf] if leaf in home._parameters else home._buffers[leaf]
        if isinstance(old, nn.Parameter) and not isinstance(tensor, nn.Parameter):
            tensor = nn.Parameter(tensor, requires_grad=tensor.is_floating_point())
        for module in self.modules():
            for members in (module._parameters, module._buffers):
                for key, value in members.items():
                    if value is old:
                        members[key] = tensor  # type: ignore[assignment]

    def swap_all(self, tensors: Mapping[str, Tensor]) -> None:
        """Do what :meth:`swap` does for each of these, in one pass over the modules."""
        old, new = dict(self.tensors()), {}
        for name, tensor in tensors.items():
            if isinstance(old[name], nn.Parameter) and not isinstance(tensor, nn.Parameter):
                tensor = nn.Parameter(tensor, requires_grad=tensor.is_floating_point())
            new[id(old[name])] = tensor
        for module in self.modules():
            for members in (module._parameters, module._buffers):
                for key, value in members.items():
                    members[key] = new.get(id(value), value)

    def mark_stacked(self) -> "Networks":
        """Declare that the tensors carry a leading replica axis."""
        self.stacked = True
        return self
