"""Prefect's UI in a real browser, in both of its versions.

The UI is Prefect's and may change with it. What a newcomer reads is looked for by its words, not by its markup, where that is
possible.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from playwright.sync_api import Locator, Page, TimeoutError, sync_playwright  # noqa: A004  (Playwright's own)

from redrive.blocks.core.settings import Settings
from tests.support.waiting import wait_until

CHROMIUM = shutil.which("chromium")
#: Seconds a page, a worker or the keeper may take on a busy machine.
PATIENCE = 120
#: Seconds for one press while a page still builds up.
_PRESS = 5


class PrefectUI:
    """The UI as a person sees it who has signed in."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def press(self, *names: str) -> None:
        """Press controls one after the other.

        A page builds up in parts, and a click into what is replaced a moment later is lost: it begins again then.
        """

        def done() -> bool:
            with suppress(TimeoutError):
                for number, name in enumerate(names):
                    # What a press opened stands in front: the last of that name.
                    target = self._control(name).locator("visible=true")
                    (target.last if number else target.first).click(timeout=_PRESS * 1000)
                return True
            self.page.keyboard.press("Escape")
            return False

        wait_until(done, PATIENCE, f"{', '.join(names)} to be pressed")

    def show(self, tab: str) -> None:
        """Show a part of a run's page, which is a tab where there is no room for it beside the others."""
        with suppress(TimeoutError):
            self._control(tab).locator("visible=true").first.click(timeout=_PRESS * 1000)

    def read(self, text: str | re.Pattern[str]) -> None:
        """Wait until the page says something."""
        self.page.get_by_text(text).locator("visible=true").first.wait_for()

    def open_deployment(self, name: str) -> None:
        self.page.locator("a[href*='/deployments/deployment/']", has_text=name).locator("visible=true").first.click()

    def open_run(self, state: str) -> None:
        """Open the first run of a list that is in this state."""
        entry = self.page.locator("main li, .p-list-item").filter(has_text=state)
        entry.locator("a[href*='/runs/flow-run/']").first.click()

    def fill(self, field: str, text: str) -> None:
        """Write into a field of the form that is open."""
        title = re.compile(rf"^\s*{re.escape(field)}( \(Optional\))?\s*$")
        newer = self.page.get_by_role("textbox", name=title)
        older = self.page.locator(".schema-form-property", has=self.page.get_by_text(title)).last.locator("textarea")
        newer.or_(older).first.fill(text)

    def _control(self, name: str) -> Locator:
        """What carries that name: a button, a tab, a link or an entry of a menu."""
        if name == "⋮":
            return self.page.get_by_role("button", name="Open menu")
        found = self.page.get_by_role("menuitem", name=name, exact=True)
        for role in ("tab", "button", "link"):
            found = found.or_(self.page.get_by_role(role, name=name, exact=True))  # type: ignore[arg-type]  # one of three literals
        for part in ("li.p-tab", ".p-overflow-menu-item"):
            found = found.or_(self.page.locator(part, has_text=re.compile(rf"^\s*{re.escape(name)}\s*$")))
        return found


@contextmanager
def signed_in(settings: Settings, first: str = "/") -> Iterator[PrefectUI]:
    """A browser in which somebody opened a printed address (`first`, if it is not that of the start page) and signed in there, with
    the text in the printed file.
    """
    with sync_playwright() as playwright:
        # Chromium refuses to sandbox for root.
        program = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = program.new_context(base_url=settings.ui_url, viewport={"width": 1440, "height": 900})
        context.set_default_timeout(PATIENCE * 1000)
        page = context.new_page()
        try:
            page.goto(first)
            page.wait_for_url("**/v2/login**")
            page.locator("input").first.fill(settings.auth_string() or "")
            page.locator("button[type=submit]").first.click()
            page.get_by_role("link", name="Deployments").first.wait_for()
            yield PrefectUI(page)
        except BaseException:
            with suppress(Exception):
                page.screenshot(path=settings.home.parent / "ui.png")
                print(page.url, page.locator("body").aria_snapshot())
            raise
        finally:
            program.close()
