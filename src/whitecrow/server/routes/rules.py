"""Alert rules: what is done when records that are scored meet a condition."""

from typing import Any

from fastapi import APIRouter

from whitecrow.core.errors import ParameterError
from whitecrow.server.errors import OverloadedError
from whitecrow.server.routes.context import Context, Here
from whitecrow.server.schemas.rules import Delivery, RuleAnswer, RuleMade, RulesAnswer, RuleWish

__all__ = ["router"]

router = APIRouter(prefix="/api/rules", tags=["rules"])
_TESTS_AT_ONCE = 2


@router.get("", response_model=RulesAnswer, summary="List the alert rules")
async def rules(here: Here) -> dict[str, Any]:
    """Return the rules, each with the state of its last delivery; secrets are not among them."""
    return await here.work.light(_listed, here)


@router.post("", status_code=201, response_model=RuleMade, summary="Add an alert rule")
async def add(here: Here, wish: RuleWish) -> dict[str, Any]:
    """Add a rule; records that are scored from now on are held against it.

    A webhook gets a POST with JSON: `at`, `rule`, `run`, `version`, `test`, `count` of the records that met the rule in
    one request, and the most anomalous of them as `records`. `X-Whitecrow-Signature` is `sha256=` and the hexadecimal
    HMAC-SHA256, by the rule's secret, of the header `X-Whitecrow-Timestamp`, a point, and the body.
    `X-Whitecrow-Delivery` stays the same when a delivery is tried again.
    """
    return await here.work.light(_added, here, wish)


@router.get("/{rule}", response_model=RuleAnswer, summary="Look at an alert rule")
async def rule(here: Here, rule: str) -> dict[str, Any]:
    """Return a rule with the state of its last delivery."""
    return (await here.work.light(here.workspace.alerting.rules.get, rule)).document()


@router.delete("/{rule}", status_code=204, summary="Delete an alert rule")
async def remove(here: Here, rule: str) -> None:
    """Delete a rule; what it has written stays."""
    await here.work.light(here.workspace.alerting.remove, rule)


@router.post("/{rule}/test", response_model=Delivery, summary="Make a test delivery")
async def test(here: Here, rule: str) -> dict[str, Any]:
    """Make one delivery without records at once, and say what came of it."""
    # It may take as long as a timeout, and must not take all threads.
    if here.rule_tests >= _TESTS_AT_ONCE:
        raise OverloadedError("Other test deliveries are under way. Try again in some seconds.", retry_after=5)
    here.rule_tests += 1
    try:
        outcome = await here.work.heavy(here.workspace.alerting.test, rule)
    finally:
        here.rule_tests -= 1
    return {"delivered": outcome.delivered, "detail": outcome.detail}


def _listed(here: Context) -> dict[str, Any]:
    alerting = here.workspace.alerting
    return {"rules": [one.document() for one in alerting.rules.all()], "allowed_hosts": sorted(alerting.allowed)}


def _added(here: Context, wish: RuleWish) -> dict[str, Any]:
    value = wish.value
    if wish.condition == "count":
        if value != int(value):
            raise ParameterError(f"A number of alerts is a whole number, not {value:g}.")
        value = int(value)
    made, secret = here.workspace.alerting.add(
        wish.run, wish.condition, value, name=wish.name, seconds=wish.seconds, url=wish.url
    )
    return {**made.document(), "secret": secret}
