"""The frame of every page, and what a screen is given to build itself with.

A screen writes::

    async def build(page: Page) -> None:
        runs = await in_thread(page.workspace.runs.all)
        with page.title("Runs", "What was fitted, and what came of it."):
            ...

    SCREEN = Screen("Runs", "/runs", "r", "Go to runs", build)

The frame holds the name, the workspace, the navigation, the theme's switch, a skip link, the badge of honest evaluation
(for the first run of the state), a live region, and the dialog of keys that ``?`` opens. Screens are real pages with
real addresses; what they show depends on :class:`~whitecrow.dashboard.state.ViewState` alone.
"""

import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from nicegui import events, ui

from whitecrow.core.errors import WhitecrowError
from whitecrow.dashboard.parts import Text, button, details, facts, heading, notes, text_link
from whitecrow.dashboard.state import ViewState
from whitecrow.dashboard.threads import in_thread
from whitecrow.dashboard.uploads import UploadLimits
from whitecrow.workspace import Workspace
from whitecrow.workspace.honesty import Honesty, honesty, siblings

__all__ = ["Page", "Screen"]

Action = Callable[[], Awaitable[None] | None]


@dataclass(frozen=True)
class Screen:
    """A screen that the navigation leads to.

    Parameters
    ----------
    title, path : str
        Name in the navigation, and address.
    key : str
        Key that goes there from any screen, as its entry in the list of keys says; it is pressed alone.
    purpose : str
        What the screen is for, in a sentence.
    build : async function of Page
        Makes its content.
    takes : tuple of str
        Fields of the state that links of the navigation hand over to it.
    """

    title: str
    path: str
    key: str
    purpose: str
    build: Callable[["Page"], Awaitable[None]]
    takes: tuple[str, ...] = ("dataset", "runs")


class Page:
    """One page that is open in one browser, and what its screen may use.

    Parameters
    ----------
    workspace : Workspace
        What is shown.
    screen : Screen
        Which screen this is.
    screens : sequence of Screen
        All that there are.
    state : ViewState
        Of the URL.
    limits : UploadLimits
        What uploads may be.

    Attributes
    ----------
    main : ui.element
        Where the content goes.
    """

    def __init__(
        self, workspace: Workspace, screen: Screen, screens: Sequence[Screen], state: ViewState, limits: UploadLimits
    ) -> None:
        self.workspace, self.screen, self.state, self.limits = workspace, screen, state, limits
        self._screens = screens
        self._keys: dict[str, tuple[str, Action | None, str | None]] = {}
        self._changed: Callable[[ViewState], Awaitable[None] | None] | None = None
        self._connected = False
        self._later: list[Action] | None = []
        self._links: dict[Screen, Text] = {}
        self.main: ui.element
        self._live: ui.label
        self._alert: ui.label
        self._help: ui.dialog
        self._badge: ui.element

    # ---- the frame ------------------------------------------------------------------------------------------------

    async def build(self) -> None:
        """Make the frame and the screen within it."""
        # Before anything is waited for: a browser that is quick would connect unheard.
        ui.context.client.on_connect(self._tell_keys)
        self._header()
        self.main = ui.element("div").classes("wc-main")
        ui.skip_link("Skip to content", target=self.main)
        with self.main:
            # Filled only when something is said: a live region has to be there before its text.
            self._alert = ui.label("").classes("wc-alert").props("role=alert")
        self._live = ui.label("").classes("wc-hidden").props("role=status aria-live=polite")
        with self.main:
            await self.screen.build(self)
        await self.refresh_badge()
        for screen in self._screens:
            self.key(screen.key, f"Go to {screen.title}", link=self._link_to(screen))
        self.key("?", "List these keys", self._open_help)
        ui.on("wc-key", self._pressed)
        ui.on("wc-address", self._moved)
        waiting, self._later = self._later or [], None
        for action in waiting:
            self.when_shown(action)

    def _header(self) -> None:
        with ui.header(fixed=False).classes("wc-header"):
            with ui.element("div").classes("wc-bar"):
                with ui.element("div").classes("wc-name"):
                    text_link("whitecrow", "/")
                    name = self.workspace.folder.name
                    ui.label(name).classes("wc-workspace").props["title"] = f"Workspace {name}"
                with ui.element("nav").classes("wc-nav").props('aria-label="Screens"'), ui.element("ul"):
                    for screen in self._screens:
                        with ui.element("li"):
                            link = self._links[screen] = text_link(screen.title, self._link_to(screen))
                            if screen is self.screen:
                                link.props("aria-current=page")
                with ui.element("div").classes("wc-tools"):
                    theme = button("Dark", small=True).props("aria-pressed=false data-wc-theme")
                    theme.on("click", js_handler="() => whitecrow.toggleTheme()")
                    button("Keys", self._open_help, small=True).props("aria-keyshortcuts=?")
            self._badge = ui.element("div").classes("wc-badge").props('role=region aria-label="Honest evaluation"')

    def link(self, title: str, state: ViewState) -> str | None:
        """Return the address of a state on the screen of this title; None while there is no such screen."""
        screen = next((one for one in self._screens if one.title == title), None)
        return None if screen is None else state.link(screen.path)

    def _link_to(self, screen: Screen) -> str:
        return self.state.only(*screen.takes).link(screen.path)

    def _lead_on(self) -> None:
        """Let the navigation and its keys hand over the state as it is now."""
        for screen, link in self._links.items():
            address = self._link_to(screen)
            if link.props["href"] != address:
                link.props["href"] = address
                if screen.key in self._keys:
                    self.key(screen.key, self._keys[screen.key][0], link=address)

    # ---- what a screen says ---------------------------------------------------------------------------------------

    @contextmanager
    def title(self, text: str, lede: str = "") -> Iterator[None]:
        """Head the screen; within the block come buttons that stand beside the heading."""
        with ui.element("div").classes("wc-title"):
            with ui.element("div"):
                heading(1, text)
                if lede:
                    ui.label(lede).classes("wc-lede")
            with ui.element("div").classes("wc-row"):
                yield

    def when_shown(self, action: Action) -> None:
        """Do something in a moment, once the browser has the page: what is below, and need not be waited for.

        A timer of NiceGUI that is made while the page is built sends the page as it is at that time, and the rest
        bit by bit; so what is asked for then waits until the page is whole.
        """
        if self._later is not None:
            self._later.append(action)
        else:
            # What asked for it may be taken away meanwhile.
            with self.main:
                ui.timer(0.01, action, once=True)

    def announce(self, text: str) -> None:
        """Say something to who listens to the page; of several in a moment the last is heard."""
        self._live.set_text(text)

    def warn(self, text: str) -> None:
        """Show and say what went wrong, at the top of the page."""
        self._alert.set_text(text)
        ui.run_javascript(f"getElement({self._alert.id})?.$el?.scrollIntoView({{block: 'center'}})")

    @contextmanager
    def errors_shown(self) -> Iterator[None]:
        """Show the user an error of whitecrow that comes up in the block, the rest of which is left out then.

        Its message says what to do. Any other error is a fault of ours, and goes on.
        """
        self._alert.set_text("")
        try:
            yield
        except WhitecrowError as error:
            self.warn(str(error))

    async def confirmed(self, question: str, consequence: str, do: str) -> bool:
        """Ask before something that cannot be undone; return whether it is to be done."""
        with ui.dialog() as dialog, ui.card().classes("wc-dialog"):
            heading(2, question)
            ui.label(consequence)
            with ui.element("div").classes("wc-row"):
                button("Keep it", lambda: dialog.submit(False)).props("autofocus")
                button(do, lambda: dialog.submit(True), kind="danger")
        dialog.props["aria-label"] = question
        answer = await dialog
        dialog.delete()
        return answer is True

    # ---- the address ----------------------------------------------------------------------------------------------

    def show(self, state: ViewState, *, step: bool = True) -> None:
        """Put a state into the address.

        Parameters
        ----------
        state : ViewState
            What is shown now; the screen has shown it already, or does next.
        step : bool, default=True
            Whether the back button returns from it. Not while a slider is dragged.
        """
        self.state = state
        ui.run_javascript(f"whitecrow.show({json.dumps(state.query())}, {str(step).lower()})")
        self._lead_on()

    def on_address(self, changed: Callable[[ViewState], Awaitable[None] | None]) -> None:
        """Call a function with the state that the back or forward button leads to; without one the page loads again."""
        self._changed = changed

    async def _moved(self, event: events.GenericEventArguments) -> None:
        if self._changed is None:
            ui.navigate.reload()
            return
        self.state = ViewState.of(str(event.args or ""))
        self._lead_on()
        answer = self._changed(self.state)
        if answer is not None:
            await answer

    # ---- keys -----------------------------------------------------------------------------------------------------

    def key(self, name: str, does: str, action: Action | None = None, *, link: str | None = None) -> None:
        """Let a key do something while no field has the focus; the dialog of keys lists it.

        Parameters
        ----------
        name : str
            One character in lower case, or the name of a key such as ``Escape``.
        does : str
            What it does, in the imperative.
        action : function, optional
            What is called; it may be asynchronous.
        link : str, optional
            Address that it goes to instead.
        """
        self._keys[name] = does, action, link
        if self._connected:
            self._tell_keys()

    def _tell_keys(self) -> None:
        self._connected = True
        ui.run_javascript(
            f"whitecrow.keys({json.dumps({name: {'link': link} for name, (_, _, link) in self._keys.items()})})"
        )

    async def _pressed(self, event: events.GenericEventArguments) -> None:
        known = self._keys.get(str(event.args))
        if known is None or known[1] is None:
            return
        answer = known[1]()
        if answer is not None:
            await answer

    def _open_help(self) -> None:
        with ui.dialog() as dialog, ui.card().classes("wc-dialog"):
            heading(2, "Keys")
            ui.label("They work while no field has the focus.").classes("wc-muted")
            with ui.element("dl").classes("wc-facts"):
                for name, (does, _, _) in self._keys.items():
                    with ui.element("dt"), ui.element("kbd"):
                        Text(name.upper() if len(name) == 1 else name)
                    Text(does, "dd")
            button("Close", dialog.close).props("autofocus")
        dialog.props["aria-label"] = "Keys"
        dialog.on("hide", dialog.delete)
        dialog.open()

    # ---- the badge ------------------------------------------------------------------------------------------------

    async def refresh_badge(self) -> None:
        """Say anew how honest the figures of the run are that is looked at, the first of the state."""
        found = await in_thread(self._honesty)
        self._badge.clear()
        self._badge.props(f"data-level={'plain' if found is None else found.level}")
        with self._badge:
            if found is None:
                with ui.element("div").classes("wc-bar"):
                    Text("Evaluation: no finished run is looked at, so no figures are shown.")
                return
            with details(("Evaluation: ", found.summary)):
                facts(dict(found.facts))
                notes(found.doubts)

    def _honesty(self) -> Honesty | None:
        runs = self.workspace.runs.all()
        run = next((one for one in runs if one.id in self.state.runs[:1] and one.state == "done"), None)
        if run is None:
            return None
        datasets = {one.id: one for one in self.workspace.datasets.all()}
        seeds = {one.request.seed for one in siblings(run, runs)}
        return honesty(run, datasets.get(run.dataset or ""), len(seeds), self.state.threshold)
