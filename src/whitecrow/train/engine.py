"""The training loop: data as one resident tensor, R replicas at once, everything per replica that must be."""

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from itertools import compress
from statistics import fmean
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from whitecrow.core.errors import TrainingError, WhitecrowWarning
from whitecrow.core.spec import InputSpec
from whitecrow.nn import Networks, derive_seed
from whitecrow.train.average import MovingAverage
from whitecrow.train.checkpoint import Checkpoint
from whitecrow.train.monitor import Progress, Reporter
from whitecrow.train.optimiser import Adam
from whitecrow.train.plan import Batch, Schedule, Stage, is_idle
from whitecrow.train.replicas import Execution, Replicas

__all__ = ["Method", "Settings", "Training", "threads_for", "train"]

_GATHERED_ROWS = 1 << 11  # rows copied out of the data at once, so few that they are still in the cache as batches
_VALIDATION_CHUNK = 4096
_WATCHED_ROWS = 64
_LEAST_IMPROVEMENT = 1e-4  # relative; below it an epoch does not count as better


class Method(Protocol):
    """What the engine asks of a method; the hooks are described in :class:`whitecrow.detectors.DeepDetector`."""

    execution: ClassVar[Execution]
    uses_labels: ClassVar[bool]

    def networks(self, spec: InputSpec) -> Networks: ...
    def stages(self) -> Sequence[Stage]: ...
    def gradient(self, net: Networks, batch: Batch) -> tuple[Tensor, dict[Tensor, Tensor]] | None: ...
    def prepare(self, net: Networks, X: Tensor, y: Tensor) -> None: ...
    def after_epoch(self, net: Networks, X: Tensor, epoch: int) -> Tensor | None: ...
    def watch(self, net: Networks, X: Tensor) -> dict[str, Tensor]: ...
    def finish(self, net: Networks, X: Tensor) -> None: ...
    def row_losses(self, net: Networks, x: Tensor) -> Tensor: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How long and how fast to train; the parameters of :class:`whitecrow.detectors.DeepDetector` name them."""

    epochs: int
    batch_size: int
    lr: float
    lr_schedule: Schedule = "constant"
    weight_decay: float = 0.0
    clip_norm: float | None = None
    n_validation: int = 0
    patience: int = 10
    trim: float = 0.0
    gap: int | None = None  # of rows in time between training and the last ones, which validate; None takes any
    verbose: bool = False


@dataclass(slots=True)
class Training:
    """What a fit leaves behind.

    Attributes
    ----------
    replicas : Replicas
        The trained networks.
    history : dict of str to list of list of float
        Per stage and objective, ``"fit.loss"`` for instance, and for ``"fit.validation"``: one list per epoch with
        one mean loss per replica. After a replica has stopped, its entries are those of a training that went on
        without being kept.
    n_epochs : list of int [R]
        Epochs, over all stages, whose result each replica kept.
    diverged : list of bool [R]
        Whether a replica met numbers that are not finite, and was set back and frozen.
    """

    replicas: Replicas
    history: dict[str, list[list[float]]]
    n_epochs: list[int]
    diverged: list[bool]


@dataclass(slots=True)
class _Status:
    """Per-replica bookkeeping of the running stage."""

    best: dict[str, Tensor]
    best_loss: Tensor
    waited: Tensor
    stopped: Tensor
    diverged: Tensor
    kept_epochs: Tensor
    epoch: int = 0  # over all stages
    weights: Tensor | None = None  # [R, N], from the method
    kept_rows: Tensor | None = None  # bool [R, N], those that are not trimmed
    history: dict[str, list[list[float]]] = field(default_factory=dict)

    _TENSORS: ClassVar = ("best_loss", "waited", "stopped", "diverged", "kept_epochs")

    def row_weights(self) -> Tensor | None:
        """Return the weights ``[R, N]`` of the rows, or None if all are equal."""
        if self.weights is None or self.kept_rows is None:
            return self.weights if self.kept_rows is None else self.kept_rows.float()
        return self.weights * self.kept_rows


@contextmanager
def threads_for(rows: int, *, heavy: bool = False) -> Iterator[None]:
    """Compute small steps on one thread: a second one gains nothing there and collapses under load.

    Parameters
    ----------
    rows : int
        Rows per step, over all replicas; up to 1,024 take one thread, more take what torch is set to.
    heavy : bool, default=False
        Whether the layers compute so much per row (convolutions) that even small steps gain from more threads.
    """
    before = torch.get_num_threads()
    if rows <= 1024 and not heavy:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def train(
    method: Method,
    X: Tensor,
    y: Tensor,
    *,
    spec: InputSpec,
    seeds: Sequence[int],
    settings: Settings,
    rows: Tensor | None = None,
    checkpoint: Checkpoint | None = None,
) -> Training:
    """Train one replica per seed, each as a solo fit with its seed would.

    Parameters
    ----------
    method : Method
        Networks, losses and hooks.
    X : Tensor [N, ...]
        Encoded training rows, on the device to train on.
    y : Tensor [N]
        Labels: 1 anomaly, 0 normal, -1 unlabelled.
    spec : InputSpec
        Shape of one row.
    seeds : sequence of int
        One per replica.
    settings : Settings
        Epochs, batch size, rates, early stopping.
    rows : Tensor [R, n], int64, optional
        The rows of ``X`` that each replica trains on; all of them by default. Where a method learns from labels, each
        replica must have as many known anomalies as the others.
    checkpoint : Checkpoint, optional
        File to resume from, and to write after epochs. It is removed when the fit is complete.

    Raises
    ------
    TrainingError
        If every replica diverges before it has completed an epoch.
    FitCancelled
        If the observer of :func:`~whitecrow.train.monitor` asks to stop.
    """
    if rows is None:
        rows = torch.arange(len(X), device=X.device).expand(len(seeds), -1)
    run = _Run(method, X, y, spec, seeds, settings, rows, checkpoint)
    with threads_for(settings.batch_size * len(seeds), heavy=run.replicas.foreign):
        return run.run()


class _Run:
    def __init__(
        self,
        method: Method,
        X: Tensor,
        y: Tensor,
        spec: InputSpec,
        seeds: Sequence[int],
        settings: Settings,
        rows: Tensor,
        checkpoint: Checkpoint | None,
    ) -> None:
        self.method, self.X, self.y = method, X, y
        self.seeds, self.settings, self.checkpoint = seeds, settings, checkpoint
        self.replicas = Replicas.build(method.networks, spec, seeds, method.execution, X.device)
        self.stages = list(method.stages())
        splits = [
            self._split(own[self._permutation(seed, "validation", n=len(own))])
            if settings.gap is None
            else _in_time(own, settings.n_validation, settings.gap)
            for seed, own in zip(seeds, rows, strict=True)
        ]
        self.validation_rows = torch.stack([validation for validation, _ in splits])
        self.training_rows = torch.stack([training for _, training in splits])
        n = self.training_rows.shape[1]
        self.batch_size = min(settings.batch_size, n)
        self.steps_per_epoch = math.ceil(n / self.batch_size)
        self.epochs = [settings.epochs if stage.epochs is None else stage.epochs for stage in self.stages]
        self.report = Reporter(settings.verbose)
        self.mean_loss = math.nan

    def _permutation(self, seed: int, *counters: int | str, n: int) -> Tensor:
        generator = torch.Generator().manual_seed(derive_seed(seed, *counters))
        return torch.randperm(n, generator=generator).to(self.X.device)

    def _split(self, order: Tensor) -> tuple[Tensor, Tensor]:
        """Return the validation rows and the training rows out of all rows in random order."""
        n_validation = self.settings.n_validation
        if not self.method.uses_labels:
            return order[:n_validation], order[n_validation:]
        # Known anomalies are few: both parts get their share of them, rounded in favour of training.
        known = self.y[order] == 1
        n_known = int(known.sum())
        n_first = min(n_validation * n_known // len(order), max(n_known - 1, 0))
        n_others = min(n_validation - n_first, max(len(order) - n_known - 1, 0))
        rank = torch.where(known, known.cumsum(0) - n_first, (~known).cumsum(0) - n_others)
        return order[rank <= 0], order[rank > 0]

    def run(self) -> Training:
        resumed = self.checkpoint.read() if self.checkpoint is not None else None
        first_stage, first_epoch = 0, 0
        status = self._fresh_status()
        if resumed is None:
            self._call(self.replicas, "prepare", "prepare", self.y)
        else:
            first_stage, first_epoch = resumed[1]["stage"], resumed[1]["epoch"]
        try:
            for index in range(first_stage, len(self.stages)):
                optimisers = self._optimisers(index)
                decay = self.stages[index].average
                average = MovingAverage(self.replicas, decay, self.stages[index].members) if decay else None
                if resumed is not None:
                    self._resume(status, optimisers, average, *resumed)
                elif index > first_stage:
                    self._begin_stage(status)
                self._stage(index, first_epoch, optimisers, average, status)
                resumed, first_epoch = None, 0
            self._call(self.replicas, "finish", "score")
        except BaseException:
            # Whatever stops the fit, Ctrl-C included, leaves the last completed epoch to resume from.
            if self.checkpoint is not None:
                self.checkpoint.flush()
            raise
        finally:
            self.report.close()
        if self.checkpoint is not None:
            self.checkpoint.remove()
        return Training(self.replicas, status.history, status.kept_epochs.tolist(), status.diverged.tolist())

    @torch.no_grad()
    def _call(self, replicas: Replicas, name: str, noise: str, *more: Tensor) -> None:
        """Call a hook on each replica with its training rows of X, and of what else it takes."""
        replicas.train(False)
        replicas.draw_noise(noise)
        replicas.seek_noise(0)
        hook = getattr(self.method, name)
        if is_idle(hook):
            return
        for r, rows in enumerate(self.training_rows):
            hook(replicas.replica(r), *(t[rows] for t in (self.X, *more)))
            replicas.gather(r)

    def _fresh_status(self) -> _Status:
        n = self.replicas.n
        return _Status(
            best={},
            best_loss=torch.full((n,), math.inf),
            waited=torch.zeros(n, dtype=torch.int64),
            stopped=torch.zeros(n, dtype=torch.bool),
            diverged=torch.zeros(n, dtype=torch.bool),
            kept_epochs=torch.zeros(n, dtype=torch.int64),
        )

    def _begin_stage(self, status: _Status) -> None:
        status.best_loss.fill_(math.inf)
        status.waited.zero_()
        status.stopped.copy_(status.diverged)  # a replica that diverged stays as it was

    def _optimisers(self, index: int) -> list[Adam]:
        settings = self.settings
        return [
            Adam(
                self.replicas,
                objective,
                lr=settings.lr,
                weight_decay=settings.weight_decay,
                clip_norm=settings.clip_norm,
                schedule=settings.lr_schedule,
                n_steps=self.epochs[index] * self.steps_per_epoch,
            )
            for objective in self.stages[index].objectives
        ]

    def _stage(
        self, index: int, first_epoch: int, optimisers: list[Adam], average: MovingAverage | None, status: _Status
    ) -> None:
        stage, epochs = self.stages[index], self.epochs[index]
        if not status.best:
            status.best = self.replicas.snapshot()
        for epoch in range(first_epoch, epochs):
            if bool(status.stopped.all()):
                break

            def progress(share: float, *, force: bool = False, epoch: int = epoch, **ended: Any) -> None:
                done = sum(self.epochs[:index]) + epoch + share
                at = epoch + int(share)
                fraction = done / sum(self.epochs)
                self.report(Progress(stage.name, at, epochs, fraction, self.mean_loss, **ended), force=force)

            losses = self._epoch(index, epoch, optimisers, average, status.row_weights(), progress)
            self._record(status, f"{stage.name}.", [o.objective.loss for o in optimisers], losses)
            # Before the hook, which may factorise a matrix of the networks' outputs.
            self._rescue(status, losses.isfinite().all(0))
            self._after_epoch(status, epoch)
            with nullcontext() if average is None else average.applied():
                self._watch(stage, status)
                self._trim(status)
                self._judge(stage, status)
            self.mean_loss = float(losses[:, ~status.diverged].mean())
            if self.checkpoint is not None:
                self._offer(self.checkpoint, status, optimisers, average, index, epoch + 1)
            if self.report.observed:
                measured, networks = self._measured(stage, status), partial(self._as_they_stand, average)
                progress(1.0, force=True, measured=measured, networks=networks)
            else:
                progress(1.0, force=True)
        self.replicas.restore(status.best)

    def _measured(self, stage: Stage, status: _Status) -> dict[str, float]:
        """Return what the history keeps of the last epoch, the mean over the replicas that go on."""
        going, prefix = (~status.diverged).tolist(), f"{stage.name}."
        if not any(going):
            return {}
        return {
            name.removeprefix(prefix): fmean(compress(epochs[-1], going))
            for name, epochs in status.history.items()
            if name.startswith(prefix)
        }

    def _as_they_stand(self, average: MovingAverage | None) -> Replicas:
        """Return a copy of the networks with what ``finish`` sets, as if the fit ended here."""
        with nullcontext() if average is None else average.applied():
            copied = self.replicas.copy()
        self._call(copied, "finish", "score")
        return copied

    def _epoch(
        self,
        index: int,
        epoch: int,
        optimisers: list[Adam],
        average: MovingAverage | None,
        weights: Tensor | None,
        progress: Callable[[float], None],
    ) -> Tensor:
        """Run one epoch and return the mean training loss per objective and replica, ``[objectives, R]``."""
        replicas, n = self.replicas, self.replicas.n
        replicas.train()
        replicas.settle([stage.members for stage in self.stages[index:]])
        replicas.draw_noise("train", index, epoch)
        order = torch.stack([self._order(r, index, epoch) for r in range(n)])
        losses = [getattr(self.method, o.objective.loss) for o in optimisers]
        totals = [torch.zeros((n,) if n > 1 else (), device=self.X.device) for _ in optimisers]
        one = torch.ones((), device=self.X.device)
        alone = len(optimisers) == 1
        if alone:
            replicas.freeze_all_but(optimisers[0].leaves)
        # By hand only where the one loss is that of the hook and the networks run as they are.
        by_hand = alone and optimisers[0].objective.loss == "loss" and replicas.execution == "direct"
        by_hand = by_hand and not is_idle(self.method.gradient)
        step = first = epoch * self.steps_per_epoch
        done, seen = 0, [0] * len(optimisers)
        for batches in self._batches(order, weights):
            for batch in batches:
                n_rows = batch.x.shape[0 if n == 1 else 1]
                replicas.seek_noise(step)
                for k, (loss, optimiser, total) in enumerate(zip(losses, optimisers, totals, strict=True)):
                    if (step - first) % optimiser.objective.every:
                        continue
                    if not alone:
                        replicas.freeze_all_but(optimiser.leaves)
                    written = replicas.gradient(self.method.gradient, batch) if by_hand else None
                    if written is not None:
                        value, gradient = written
                        optimiser.step([gradient[leaf] for leaf in optimiser.leaves])
                    else:
                        value = replicas.losses(loss, batch)
                        # Replicas share no parameter, so the gradient of the sum is each one's own.
                        whole = value.sum() if n > 1 else value
                        optimiser.step(torch.autograd.grad(whole, optimiser.leaves, one))
                    total.add_(value.detach(), alpha=n_rows)
                    seen[k] += n_rows
                if average is not None:
                    average.update()
                step += 1
                done += n_rows
            progress(min(done / order.shape[1], 0.999))
        return torch.stack(totals).reshape(-1, n).cpu() / torch.tensor(seen).reshape(-1, 1)

    def _order(self, r: int, index: int, epoch: int) -> Tensor:
        """Return the training rows of replica ``r`` in the order of this epoch."""
        rows, seed = self.training_rows[r], self.seeds[r]
        order = rows[self._permutation(seed, "order", index, epoch, n=len(rows))]
        known = self.y[order] == 1
        if not self.stages[index].balanced or not known.any() or known.all():
            return order
        others, known = order[~known], order[known]
        generator = torch.Generator().manual_seed(derive_seed(seed, "known anomalies", index, epoch))
        draws = torch.randint(len(known), (len(order) // 2,), generator=generator).to(self.X.device)
        balanced = torch.empty_like(order)
        balanced[0::2] = others[torch.arange(len(balanced[0::2]), device=self.X.device) % len(others)]
        balanced[1::2] = known[draws]
        return balanced

    def _batches(self, order: Tensor, weights: Tensor | None) -> Iterator[Iterator[Batch]]:
        """Yield groups of batches: one gather per group, a slice per batch."""
        n_replicas, n = order.shape
        size = self.batch_size
        steps = max(1, _GATHERED_ROWS // (size * n_replicas))
        whole = n // size * size
        if n - whole == 1 and whole and self.replicas.foreign:
            whole -= size  # one row alone has no variance that batch normalisation could divide by
        starts = [(s, min(s + steps * size, whole), size) for s in range(0, whole, steps * size)]
        if whole < n:
            starts.append((whole, n, n - whole))
        for start, stop, b in starts:
            # [R, steps * b] -> [steps, R, b], so that each step's rows lie together.
            index = order[:, start:stop].reshape(n_replicas, -1, b).transpose(0, 1)
            shape = index.shape if n_replicas > 1 else (index.shape[0], b)
            x = self.X.index_select(0, index.reshape(-1)).reshape(*shape, *self.X.shape[1:])
            y = self.y[index].reshape(shape) if self.method.uses_labels else None
            w = None
            if weights is not None:
                w = weights.gather(1, order[:, start:stop]).reshape(n_replicas, -1, b).transpose(0, 1).reshape(shape)
            yield (Batch(x[i], None if y is None else y[i], None if w is None else w[i]) for i in range(len(x)))

    @torch.no_grad()
    def _validate(self, loss: Callable[[Networks, Batch], Tensor], kept_rows: Tensor | None) -> Tensor:
        """Return the mean loss of each replica on its validation rows (on those kept, if some are trimmed), ``[R]``."""
        n, rows = self.replicas.n, self.validation_rows
        self.replicas.train(False)
        self.replicas.draw_noise("validation")  # the same for every epoch, or a lucky draw would choose it
        self.replicas.seek_noise(0)
        total, count = torch.zeros(2, n, device=self.X.device)
        for chunk in rows.split(_VALIDATION_CHUNK, dim=1):
            chosen = chunk if n > 1 else chunk[0]
            y = self.y[chosen] if self.method.uses_labels else None
            weight, n_rows = None, torch.full((n,), chunk.shape[1], device=self.X.device)
            if kept_rows is not None:
                weight = kept_rows.gather(1, chunk).float()
                weight, n_rows = weight.reshape(chosen.shape), weight.sum(1)
            total += self.replicas.losses(loss, Batch(self.X[chosen], y, weight)).reshape(n) * n_rows
            count += n_rows
        return (total / count).cpu()

    def _record(self, status: _Status, prefix: str, names: list[str], losses: Tensor) -> None:
        for name, values in zip(names, losses, strict=True):
            status.history.setdefault(prefix + name, []).append(values.tolist())

    def _judge(self, stage: Stage, status: _Status) -> None:
        """Keep what improved, with the state that the hook gave it; stop what has waited long enough."""
        if self.settings.n_validation and stage.early_stop:
            value = self._validate(getattr(self.method, stage.objectives[0].loss), status.kept_rows)
            self._record(status, f"{stage.name}.", ["validation"], value.unsqueeze(0))
            self._rescue(status, value.isfinite())
            margin = _LEAST_IMPROVEMENT * status.best_loss.abs().nan_to_num(posinf=0.0)
            better = ~status.stopped & (value < status.best_loss - margin)
            status.best_loss = torch.where(better, value, status.best_loss)
            status.waited = torch.where(better, 0, status.waited + 1)
            status.stopped |= status.waited >= self.settings.patience
        else:
            self._rescue(status, torch.ones_like(status.stopped))
            better = ~status.stopped
        status.epoch += 1
        status.kept_epochs = torch.where(better, status.epoch, status.kept_epochs)
        self._keep(status, better)

    def _keep(self, status: _Status, better: Tensor) -> None:
        for name, tensor in self.replicas.stacked.items():
            kept = status.best[name]
            if bool(better.all()):
                kept.copy_(tensor)
            else:
                kept[better] = tensor[better]

    def _rescue(self, status: _Status, finite: Tensor) -> None:
        """Set back and freeze the replicas whose losses (``finite [R]``) or tensors are not finite."""
        finite = finite & self.replicas.finite().cpu()
        if bool(finite.all()):
            return
        diverged = ~finite & ~status.stopped
        if bool(diverged.any()):
            self._freeze(status, diverged)
        # Also those that had stopped: no hook and no later stage should meet such numbers.
        self.replicas.restore(status.best, ~finite)

    def _freeze(self, status: _Status, diverged: Tensor) -> None:
        status.diverged |= diverged
        status.stopped |= diverged
        which = ", ".join(str(r) for r in diverged.nonzero().flatten().tolist())
        if bool((status.diverged & (status.kept_epochs == 0)).all()):
            raise TrainingError(
                f"{type(self.method).__name__}: the loss is not finite in the first epoch. Lower lr (now "
                f"{self.settings.lr:g}), or set clip_norm."
            )
        warnings.warn(
            f"{type(self.method).__name__}: replica {which} diverged and keeps its last finite state. Lower lr (now "
            f"{self.settings.lr:g}), or set clip_norm.",
            WhitecrowWarning,
            stacklevel=2,
        )

    @torch.no_grad()
    def _after_epoch(self, status: _Status, epoch: int) -> None:
        """Let the method update its state, and take the weights of its training rows if it gives any."""
        if is_idle(self.method.after_epoch):
            return
        self.replicas.train(False)
        self.replicas.seek_noise(0)
        for r, rows in enumerate(self.training_rows):
            weights = self.method.after_epoch(self.replicas.replica(r), self.X[rows], epoch)
            self.replicas.gather(r)
            if weights is not None:
                if status.weights is None:
                    status.weights = torch.ones(self.replicas.n, len(self.X), device=self.X.device)
                status.weights[r, rows] = weights.to(status.weights.dtype)

    @torch.no_grad()
    def _watch(self, stage: Stage, status: _Status) -> None:
        """Record what the method measures of its networks after an epoch."""
        if is_idle(self.method.watch):
            return
        self.replicas.train(False)
        self.replicas.seek_noise(0)
        seen = [
            self.method.watch(self.replicas.replica(r), self.X[rows[:_WATCHED_ROWS]])
            for r, rows in enumerate(self.training_rows)
        ]
        for name in seen[0]:
            values = torch.tensor([float(measured[name]) for measured in seen])
            self._record(status, f"{stage.name}.", [name], values.unsqueeze(0))

    @torch.no_grad()
    def _trim(self, status: _Status) -> None:
        """Leave out of the next epochs the rows with the largest losses, of the training and the validation rows."""
        if not self.settings.trim:
            return
        self.replicas.train(False)
        kept = torch.ones(self.replicas.n, len(self.X), dtype=torch.bool, device=self.X.device)
        for rows in (self.training_rows, self.validation_rows):
            if not rows.shape[1]:
                continue
            losses = []
            for chunk in rows.split(_VALIDATION_CHUNK, dim=1):
                self.replicas.seek_noise(0)
                losses.append(self.replicas.own_scores(self.method.row_losses, self.X[chunk]))
            row_losses = torch.cat(losses, 1)
            if self.method.uses_labels:  # known anomalies are what such a method learns from
                row_losses = row_losses.masked_fill(self.y[rows] == 1, -math.inf)
            worst = row_losses.topk(int(self.settings.trim * rows.shape[1]), dim=1).indices
            kept.scatter_(1, rows.gather(1, worst), value=False)
        status.kept_rows = kept

    def _offer(
        self,
        checkpoint: Checkpoint,
        status: _Status,
        optimisers: list[Adam],
        average: MovingAverage | None,
        stage: int,
        epoch: int,
    ) -> None:
        tensors = {f"networks.{k}": t for k, t in self.replicas.stacked.items()}
        tensors |= {f"best.{k}": t for k, t in status.best.items()}
        tensors |= {f"status.{k}": getattr(status, k) for k in _Status._TENSORS}
        for i, optimiser in enumerate(optimisers):
            tensors |= optimiser.state(f"optimiser.{i}")
        if average is not None:
            tensors |= average.state()
        for name in ("weights", "kept_rows"):
            if getattr(status, name) is not None:
                tensors[f"status.{name}"] = getattr(status, name)
        history = {name: list(values) for name, values in status.history.items()}
        counters: dict[str, Any] = {"stage": stage, "epoch": epoch, "epochs_in_all": status.epoch}
        checkpoint.offer(tensors, {**counters, "history": history})

    def _resume(
        self,
        status: _Status,
        optimisers: list[Adam],
        average: MovingAverage | None,
        tensors: dict[str, Tensor],
        document: dict[str, Any],
    ) -> None:
        self.replicas.restore({k: tensors[f"networks.{k}"] for k in self.replicas.stacked})
        status.best = {k: tensors[f"best.{k}"].to(self.X.device) for k in self.replicas.stacked}
        for name in _Status._TENSORS:
            setattr(status, name, tensors[f"status.{name}"])
        for name in ("weights", "kept_rows"):
            if f"status.{name}" in tensors:
                setattr(status, name, tensors[f"status.{name}"].to(self.X.device))
        if average is not None:
            average.load(tensors)
        status.history, status.epoch = document["history"], document["epochs_in_all"]
        for i, optimiser in enumerate(optimisers):
            optimiser.load(f"optimiser.{i}", tensors)


def _in_time(rows: Tensor, n_validation: int, gap: int) -> tuple[Tensor, Tensor]:
    """Return the last rows to validate on, and those to train on, which end ``gap`` rows before."""
    n = len(rows) - n_validation
    return rows[n:], rows[: max(n - gap, 2)] if n_validation else rows
