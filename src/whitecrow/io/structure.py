"""The networks of a detector from its class and its parameters, compared with tensors before any is made."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from whitecrow.core.errors import ModelFileError
from whitecrow.core.spec import InputSpec
from whitecrow.io.container import damaged, quoted
from whitecrow.nn import Networks, Noise
from whitecrow.train import Execution, Replicas

if TYPE_CHECKING:
    from whitecrow.detectors import Detector

__all__ = ["DTYPE_NAMES", "FAULTS", "Layout", "assemble", "blueprint"]

DTYPE_NAMES = {
    torch.bool: "BOOL",
    torch.uint8: "U8",
    torch.int16: "I16",
    torch.int32: "I32",
    torch.int64: "I64",
    torch.float32: "F32",
    torch.float64: "F64",
}

# What method code raises on parameters or buffers that it was not made for.
FAULTS = (ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)

_MAX_DERIVED = 1 << 30  # bytes of noise pools, which a file does not hold

Layout = dict[str, tuple[str, tuple[int, ...]]]  # name -> dtype and shape, the replica axis included


class _Budget(TorchFunctionMode):
    """Stops the construction of networks that are far larger than the file's: absurd numbers of layers."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.left = calls

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.left -= 1
        if self.left < 0:
            damaged("Its parameters describe networks that are larger than its tensors")
        return func(*args, **(kwargs or {}))


def blueprint(detector: "Detector", spec: InputSpec, layout: Layout, n: int) -> Networks:
    """Return the structure of one replica without storage, after comparing it with the tensors.

    Parameters
    ----------
    detector : Detector
        With its parameters set.
    spec : InputSpec
        Shape of an encoded row.
    layout : dict of str to (str, tuple of int)
        The dtype and the shape ``[R, ...]`` of each tensor.
    n : int
        Number of replicas R.

    Raises
    ------
    ModelFileError
        If names, dtypes or shapes differ from those that the detector would build.
    """
    if hasattr(detector, "inner"):
        return _of_members(detector, spec, layout, n)
    if not hasattr(detector, "networks"):
        if n != 1:
            damaged(f"It holds {n} replicas of a detector that has only one")
        return _of_buffers(layout)
    # Members whose buffers are learnt, so that only the fit knows which there are; check_buffers looks at them.
    learnt: dict[str, Layout] = {member: {} for member in getattr(detector, "learnt", ())}
    declared: Layout = {}
    for name, place in layout.items():
        member, _, rest = name.partition(".")
        learnt.get(member, declared)[rest if member in learnt else name] = place
    try:
        with torch.device("meta"), _Budget(2000 + 64 * len(declared)):
            net = detector.networks(spec)  # pyright: ignore[reportAttributeAccessIssue]
    except ModelFileError:
        raise
    except FAULTS as error:
        damaged(f"Its parameters describe no networks ({type(error).__name__}: {quoted(str(error), 300)})")
    expected = {name: (DTYPE_NAMES.get(t.dtype), (n, *t.shape)) for name, t in net.tensors(persistent=True)}
    if absent := sorted(expected.keys() - declared.keys()):
        damaged(f"It lacks tensors of the networks: {quoted(absent)}")
    if unknown := sorted(declared.keys() - expected.keys()):
        damaged(f"It holds tensors that the networks do not have: {quoted(unknown)}")
    for name, (dtype, shape) in declared.items():
        if expected[name] != (dtype, shape):
            damaged(
                f"The tensor {quoted(name)} is {dtype} of shape {quoted(shape)}; the parameters ask for "
                f"{expected[name][0]} of shape {quoted(expected[name][1])}"
            )
    derived = _derived(net)
    if n * sum(t.numel() * t.element_size() for t in derived.values()) > _MAX_DERIVED:
        damaged(f"The noise of its {n} replicas takes more than {_MAX_DERIVED:,} bytes")
    for member, buffers in learnt.items():
        net.add_module(member, _of_buffers(buffers))
    return net


def _of_members(detector: "Detector", spec: InputSpec, layout: Layout, n: int) -> Networks:
    """Return the structure of a committee: buffers of its own, and the replicas of each of its members."""
    own: Layout = {}
    members: dict[str, dict[str, Layout]] = {}
    for name, place in layout.items():
        member, inside, rest = name.partition(".")
        if not inside:
            own[name] = place
            continue
        replica, _, leaf = rest.partition(".")
        members.setdefault(member, {}).setdefault(replica, {})[leaf] = place
    net = _of_buffers(own)
    if strange := [name for name in members if not name.isidentifier() or hasattr(net, name)]:
        damaged(f"A member has the name {quoted(strange[0])}, which none can have")
    for name, inner in detector.inner(members, spec).items():  # pyright: ignore[reportAttributeAccessIssue]
        replicas = {f"r{r}": members[name].pop(f"r{r}", {}) for r in range(len(members[name]))}
        if members[name]:
            damaged(f"The replicas of the member {quoted(name)} are not numbered from 0")
        net.add_module(name, Networks(**{r: blueprint(inner, spec, part, n) for r, part in replicas.items()}))
    return net


def _of_buffers(layout: Layout) -> Networks:
    """Return the structure of what is learnt without gradients: buffers, whatever they are."""
    reserved = Networks()
    for name in layout:
        if not name.isidentifier() or hasattr(reserved, name):
            damaged(f"A buffer has the name {quoted(name)}, which none can have")
    types = {name: dtype for dtype, name in DTYPE_NAMES.items()}
    return Networks(
        **{name: torch.empty(shape[1:], dtype=types[dtype], device="meta") for name, (dtype, shape) in layout.items()}
    )


def _derived(net: Networks) -> dict[str, Tensor]:
    """Return the buffers that no file holds: pools of noise. Others could not be refilled."""
    kept = {name for name, _ in net.tensors(persistent=True)}
    derived = {name: tensor for name, tensor in net.tensors() if name not in kept}
    pools = {f"{name}.pool" for name, module in net.named_modules() if isinstance(module, Noise)}
    if strange := sorted(derived.keys() - pools):
        raise ModelFileError(
            f"The networks have buffers that a file does not keep: {quoted(strange)}. Register them as persistent."
        )
    return derived


def assemble(
    detector: "Detector", net: Networks, tensors: Mapping[str, Tensor], device: torch.device | str
) -> Replicas:
    """Return the replicas that stand on the tensors ``[R, ...]``, ready to score.

    Raises
    ------
    ModelFileError
        If the detector finds a fault in its buffers, or cannot score a row with them.
    """
    n = len(next(iter(tensors.values())))
    stacked = {name: tensors[name] for name, _ in net.tensors(persistent=True)}
    for name, pool in _derived(net).items():
        stacked[name] = torch.zeros((n, *pool.shape), dtype=pool.dtype)
    # Which ways of running are right is the class's to know, not the file's.
    execution: Execution = getattr(detector, "execution", "vmap")
    if getattr(detector, "learnt", ()):
        execution = "loop"  # what was learnt differs in size from replica to replica
    replicas = Replicas(net, stacked, execution)
    replicas.train(False)
    _check(detector, replicas)
    if torch.device(device).type != "cpu":
        replicas = Replicas(net, {name: t.to(device) for name, t in stacked.items()}, execution)
    replicas.train(False)
    replicas.draw_noise("score")
    replicas.seek_noise(0)
    return replicas


def _check(detector: "Detector", replicas: Replicas) -> None:
    """Let the detector check its buffers and score two rows, on the processor, where no fault is fatal."""
    rows = torch.zeros(2, detector.spec_.n_features)
    rows[1] = 1
    try:
        for r in range(replicas.n):
            detector.check_buffers(replicas.replica(r))
        with torch.inference_mode():
            scores = replicas.scores(detector.score_batch, rows)
    except ModelFileError:
        raise
    except FAULTS as error:
        damaged(f"Its tensors cannot score rows ({type(error).__name__}: {quoted(str(error), 300)})")
    if scores.shape[:2] != (replicas.n, 2) or scores.dim() > 2 + (detector.spec_.kind == "sequence"):
        damaged(f"Its tensors give scores of shape {quoted(tuple(scores.shape))} for two rows")
    if not scores.isfinite().all():
        damaged("Its tensors give scores that are not finite")
