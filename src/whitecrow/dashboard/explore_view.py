"""What the Explore screen shows at one moment: a run, its rows in view, and the state of the address."""

from dataclasses import dataclass

from whitecrow.dashboard.explore_curves import CurveData
from whitecrow.dashboard.explore_state import ExploreState
from whitecrow.dashboard.state import DEFAULT_COSTS
from whitecrow.metrics import Costs
from whitecrow.metrics.alert_table import AlertTable
from whitecrow.workspace import RunRecord

__all__ = ["View"]


@dataclass(frozen=True, eq=False)
class View:
    """What the panel shows.

    Parameters
    ----------
    run : RunRecord
        That is done.
    table : AlertTable
        Of its rows in view.
    curves : CurveData
        Of the same rows.
    state : ExploreState
    """

    run: RunRecord
    table: AlertTable
    curves: CurveData
    state: ExploreState

    @property
    def own(self) -> float:
        """The model's own threshold."""
        return self.run.threshold if self.run.threshold is not None else 0.0

    @property
    def labelled(self) -> bool:
        """Whether both classes are known."""
        return bool(self.table.anomalies[0] and self.table.normals[0])

    @property
    def copies(self) -> bool:
        """Whether rows in view are copies of others, which the intervals count once."""
        known = int(self.table.anomalies[0] + self.table.normals[0])
        distinct, anomalies = int(self.table.distinct_known[0]), int(self.table.anomalies[0])
        return distinct < known or self.table.n_distinct_anomalies < anomalies

    @property
    def costs(self) -> Costs:
        """What outcomes cost, with the base rate."""
        given = self.state.costs or DEFAULT_COSTS
        return Costs(given.miss, given.false_alarm, given.alert, given.catch, self.state.base_rate)
