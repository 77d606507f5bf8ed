"""The screen of alert rules: on which run, when, what is done then, and how the last delivery went."""

from collections.abc import Awaitable, Callable

from nicegui import ui

from whitecrow.dashboard.formats import NOTHING, moment
from whitecrow.dashboard.parts import Text, button, card, heading, small_table
from whitecrow.dashboard.run_parts import run_name
from whitecrow.dashboard.shell import Page, Screen
from whitecrow.dashboard.threads import in_thread
from whitecrow.workspace import RunRecord
from whitecrow.workspace.alert_rules import AlertRule

__all__ = ["SCREEN"]

_CONDITIONS = {"score": "Score of at least", "p_value": "p-value of at most", "count": "Number of alerts of at least"}
_ACTIONS = {"csv": "Append to a file in the workspace", "webhook": "Send to a webhook"}
_STATES = {"delivered": "✓ delivered", "failed": "✕ failed", "dropped": "✕ dropped"}


async def build(page: Page) -> None:
    """Make the screen."""
    await _Rules(page).show()


SCREEN = Screen("Rules", "/rules", "w", "What is done when new records meet a condition.", build)


class _Rules:
    def __init__(self, page: Page) -> None:
        self._page = page
        with page.title("Alert rules", "What is done when records that are scored meet a condition."):
            button("Refresh", self.show)
        self._body = ui.element("div").classes("wc-main").style("padding: 0")

    async def show(self) -> None:
        """Make all of it anew."""
        workspace = self._page.workspace
        rules, runs = await in_thread(lambda: (workspace.alerting.rules.all(), workspace.runs.all()))
        done = [run for run in runs if run.state == "done"]
        self._body.clear()
        with self._body:
            self._list(rules, {run.id: run for run in runs})
            with card("Add a rule"):
                if done:
                    _Form(self._page, done, self.show)
                else:
                    Text("A rule watches the scores of a run that is done. Fit one first.", "p").classes("wc-muted")

    def _list(self, rules: list[AlertRule], runs: dict[str, RunRecord]) -> None:
        with card("Rules", f"{len(rules)}"):
            Text(
                "Records are held against the rules when they are sent to the server to be scored, and on streams that "
                "ask for it. What cannot be delivered is tried again some times, and then seen here.",
                "p",
            ).classes("wc-muted")
            if not rules:
                Text("There are none yet.", "p")
                return
            small_table(
                ["Rule", "Run", "When", "What is done", "Delivered", "Given up", "Last delivery", ""],
                [self._row(rule, runs) for rule in rules],
                right=(4, 5),
                label="Alert rules",
            )

    def _row(self, rule: AlertRule, runs: dict[str, RunRecord]) -> list[str | Callable[[], object]]:
        last = NOTHING
        if rule.last_state is not None:
            last = f"{_STATES[rule.last_state]}, {moment(rule.last_at)}. {rule.last_detail}"

        def actions() -> None:
            with ui.element("div").classes("wc-row").style("flex-wrap: nowrap"):
                button("Test", lambda: self._test(rule), small=True, label=f"Test {rule.name}")
                button("Delete", lambda: self._remove(rule), kind="danger", small=True, label=f"Delete {rule.name}")

        return [
            lambda: Text(rule.name).classes("wc-break"),
            run_name(runs[rule.run]) if rule.run in runs else rule.run,
            rule.words,
            f"alerts/{rule.id}.csv" if (url := rule.url) is None else lambda: Text(url).classes("wc-break"),
            f"{rule.delivered:,}",
            f"{rule.failed:,}",
            lambda: Text(last).classes("wc-break"),
            actions,
        ]

    async def _test(self, rule: AlertRule) -> None:
        with self._page.main, self._page.errors_shown():
            outcome = await in_thread(self._page.workspace.alerting.test, rule.id)
            await self.show()
            if outcome.delivered:
                self._page.announce(f"{rule.name}: the test was delivered. {outcome.detail}")
            else:
                self._page.warn(f"{rule.name}: the test was not delivered. {outcome.detail}")

    async def _remove(self, rule: AlertRule) -> None:
        with self._page.main, self._page.errors_shown():
            if not await self._page.confirmed(
                "Delete this rule?", f"{rule.name}: {rule.words}. What it has written stays.", "Delete it"
            ):
                return
            await in_thread(self._page.workspace.alerting.remove, rule.id)
            await self.show()
            self._page.announce("The rule is deleted.")


class _Form:
    """The fields of a new rule, within the element that is being filled."""

    def __init__(self, page: Page, runs: list[RunRecord], added: Callable[[], Awaitable[None]]) -> None:
        self._page, self._added = page, added
        allowed = sorted(page.workspace.alerting.allowed)
        chosen = next((run.id for run in runs if run.id in page.state.runs[:1]), runs[0].id)
        with ui.element("div").classes("wc-form"):
            self._name = ui.input("Name (may be empty)").props("outlined dense maxlength=200")
            self._run = ui.select({run.id: run_name(run) for run in runs}, label="Run", value=chosen)
            self._kind = ui.select(_CONDITIONS, label="When", value="score")
            self._value = ui.number("Value", value=next(run.threshold for run in runs if run.id == chosen))
            self._seconds = ui.number("Within seconds", value=60, min=1, max=7 * 86_400)
            self._action = ui.select(_ACTIONS, label="What is done", value="csv")
            self._url = ui.input("Address of the webhook", placeholder="https://HOST/PATH").props("maxlength=2000")
            for field in (self._run, self._kind, self._action):
                field.props("options-dense")
            for field in (self._run, self._kind, self._value, self._seconds, self._action, self._url):
                field.props("outlined dense")
        hosts = ", ".join(allowed) or "none: the operator names them with whitecrow serve --allow-webhook HOST"
        self._hint = Text(f"Hosts that webhooks may reach: {hosts}.", "p").classes("wc-muted")
        self._runs = {run.id: run for run in runs}
        for field in (self._kind, self._run):
            field.on_value_change(self._suggest)
        for field in (self._kind, self._action):
            field.on_value_change(self._fit_fields)
        self._fit_fields()
        with ui.element("div").classes("wc-row"):
            button("Add the rule", self._add, kind="primary")

    def _suggest(self) -> None:
        own = self._runs[str(self._run.value)].threshold
        self._value.set_value({"score": own, "p_value": 0.01, "count": 10}[str(self._kind.value)])

    def _fit_fields(self) -> None:
        self._seconds.set_visibility(self._kind.value == "count")
        for one in (self._url, self._hint):
            one.set_visibility(self._action.value == "webhook")

    async def _add(self) -> None:
        kind, given = self._kind.value, self._value.value
        page = self._page
        if given is None or (kind == "count" and given != int(given)):
            page.warn("Give a number as the value; a number of alerts is a whole one.")
            return
        url = str(self._url.value or "").strip() if self._action.value == "webhook" else None
        with page.main, page.errors_shown():
            rule, secret = await in_thread(
                page.workspace.alerting.add,
                str(self._run.value),
                kind,
                int(given) if kind == "count" else float(given),
                name=str(self._name.value or ""),
                seconds=float(self._seconds.value or 0) if kind == "count" else None,
                url=url,
            )
            await self._added()
            page.announce(f"The rule is added: {rule.name}.")
            if url is not None:
                _tell_secret(rule, secret)


def _tell_secret(rule: AlertRule, secret: str) -> None:
    with ui.dialog() as dialog, ui.card().classes("wc-dialog"):
        heading(2, "Secret of the rule")
        ui.label(
            f"Deliveries of {rule.name} are signed with it: HMAC-SHA256 of X-Whitecrow-Timestamp, a point, and the "
            "body. Keep it with the receiver; it is not shown again."
        )
        Text(secret, "code").classes("wc-break").props("data-wc-secret")
        button("I have kept it", dialog.close).props("autofocus")
    dialog.props["aria-label"] = "Secret of the rule"
    dialog.on("hide", dialog.delete)
    dialog.open()
