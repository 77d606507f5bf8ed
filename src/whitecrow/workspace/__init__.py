"""What faces share: data sets, runs, models and feedback kept in one folder, and fits in the background."""

from whitecrow.workspace.audit import AuditLine
from whitecrow.workspace.database import WorkspaceError
from whitecrow.workspace.dataset_record import DatasetRecord
from whitecrow.workspace.dataset_settings import DatasetSettings
from whitecrow.workspace.feedback import Verdict
from whitecrow.workspace.request import Budget, FitRequest, SplitRule
from whitecrow.workspace.results import RunScores
from whitecrow.workspace.runs import Epoch, RunRecord
from whitecrow.workspace.workspace import Workspace

__all__ = [
    "AuditLine",
    "Budget",
    "DatasetRecord",
    "DatasetSettings",
    "Epoch",
    "FitRequest",
    "RunRecord",
    "RunScores",
    "SplitRule",
    "Verdict",
    "Workspace",
    "WorkspaceError",
]
