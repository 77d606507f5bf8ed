"""Alert rules: what a request may ask for, and what is told of them."""

from typing import Annotated

from pydantic import Field

from whitecrow.server.schemas.records import Answer
from whitecrow.server.schemas.requests import Given
from whitecrow.workspace.alert_rules import Condition, DeliveryState

__all__ = ["Delivery", "RuleAnswer", "RuleMade", "RuleWish", "RulesAnswer"]

RunId = Annotated[str, Field(min_length=1, max_length=100)]


class RuleWish(Given):
    """A rule on the records that a run scores."""

    run: RunId
    condition: Condition
    """Records with a score of at least the value, a p-value of at most it, or so many alerts within the seconds."""
    value: float
    seconds: float | None = Field(default=None, ge=1, le=7 * 86_400)
    """Of a count of alerts."""
    name: str = Field(default="", max_length=200)
    url: str | None = Field(default=None, max_length=2000)
    """Webhook, on a host that the operator has allowed; without one a file of the workspace is appended to."""


class RuleAnswer(Answer):
    """One rule, and how its last delivery went."""

    id: str
    name: str
    run: str
    condition: Condition
    value: float
    seconds: float | None
    action: str
    url: str | None
    created: str
    delivered: int
    failed: int
    """Deliveries that were given up or dropped."""
    last_state: DeliveryState | None
    last_detail: str | None
    last_at: str | None


class RuleMade(RuleAnswer):
    """A new rule."""

    secret: str
    """Key of the HMAC-SHA256 that signs what is sent. It is not told again."""


class RulesAnswer(Answer):
    """The rules, the newest first."""

    rules: list[RuleAnswer]
    allowed_hosts: list[str]
    """Hosts that webhooks may reach."""


class Delivery(Answer):
    """What came of a test delivery."""

    delivered: bool
    detail: str
