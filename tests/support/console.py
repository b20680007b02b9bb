"""The operator's console in a real browser, and over plain HTTP for what no browser would send."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from redrive.deployments.people.people import People
from tests.support.counting_proxy import CountingProxy
from tests.support.job_stack import JobStack
from tests.support.stack import free_ports
from tests.support.waiting import wait_until

CHROMIUM = shutil.which("chromium")
#: Seconds a page, a worker or the keeper may take on a busy machine.
PATIENCE = 90
#: Where pictures of a failure, and those that a test keeps, go.
PICTURES = Path(__file__).resolve().parents[2] / "build" / "console"

in_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: as root, `make test` installs it")


class Console:
    """The console as one person sees it, in a browser window of their own."""

    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self.base = base
        #: What the page complained about: a refused script or style would be among it.
        self.complaints: list[str] = []
        #: Clicks so far, as the person counts them.
        self.clicks = 0
        page.on("console", lambda message: self._heard(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def open(self, path: str) -> None:
        self.page.goto(f"{self.base}{path}")

    def press(self, name: str | re.Pattern[str], *, within: Locator | None = None) -> None:
        """Press a button or a link of that name."""
        place = within or self.page
        if isinstance(name, str):
            # The whole name, behind which a number may stand.
            name = re.compile(rf"^\s*{re.escape(name)}(\s+[\d,]+( open)?)?\s*$")
        button = place.get_by_role("button", name=name).or_(place.get_by_role("link", name=name))
        button.locator("visible=true").first.click()
        self.clicks += 1

    def reads(self, text: str | re.Pattern[str], timeout: float = PATIENCE) -> None:
        """Wait until the page says something."""
        self.page.get_by_text(text).locator("visible=true").first.wait_for(timeout=timeout * 1000)

    def figure(self, name: str) -> str:
        """The number under that name in the row of figures."""
        figure = self.page.locator(".figure", has=self.page.locator("dt", has_text=re.compile(f"^{re.escape(name)}$")))
        return str(figure.locator("dd:not(.more)").inner_text())

    def row(self, text: str) -> Locator:
        """The row of a table that says something."""
        return self.page.locator("tr", has_text=text).first

    def keep(self, name: str) -> None:
        """Keep a picture of the page."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png")

    def _heard(self, kind: str, text: str) -> None:
        # What the network or a refusal did is told by the page itself, and is what some tests are about.
        if kind == "error" and not text.startswith(("Failed to load resource", "htmx:")):
            self.complaints.append(text)


class Consoles:
    """Opens windows for people, each with a session of their own."""

    def __init__(self, stack: JobStack, browser: Browser) -> None:
        self.stack = stack
        self.base = f"http://{stack.settings.host}:{stack.settings.console_port}"
        self._browser = browser
        self._pages: list[Console] = []

    def sign_in(self, who: str = "ada", role: Any = "editor", **context: Any) -> Console:
        """A window in which somebody is signed in by a link."""
        console = self.window(**context)
        console.page.goto(sign_in_link(self.stack, who, role))
        return console

    def window(self, **context: Any) -> Console:
        """A window in which nobody is signed in."""
        opened = self._browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **context})
        opened.set_default_timeout(PATIENCE * 1000)
        console = Console(opened.new_page(), self.base)
        self._pages.append(console)
        return console

    def close(self, *, broken: bool) -> list[str]:
        """Close all windows; what their pages complained about."""
        for number, one in enumerate(self._pages):
            if broken:
                with suppress(Exception):
                    one.keep(f"broken-{number}")
                    print(one.page.url, one.page.locator("body").aria_snapshot())
            one.page.context.close()
        return [complaint for one in self._pages for complaint in one.complaints]


def sign_in_link(stack: JobStack, who: str, role: Any) -> str:
    """As `redrive console link` prints it, without the start of an interpreter."""
    with People(stack.settings.ledger_url()) as people:
        token = people.link(who, role)
    return f"http://{stack.settings.host}:{stack.settings.console_port}/sign-in/link?token={token}"


@contextmanager
def client(stack: JobStack, who: str | None = "ada", role: Any = "editor") -> Iterator[httpx.Client]:
    """A client without a browser, signed in unless `who` is None; what its forms carry comes from `token_of`."""
    base = f"http://{stack.settings.host}:{stack.settings.console_port}"
    with httpx.Client(base_url=base, trust_env=False, timeout=PATIENCE) as made:
        if who is not None:
            assert made.get(sign_in_link(stack, who, role)).status_code == 303
        yield made


def token_of(signed_in: httpx.Client) -> str:
    """The token that forms of this session carry."""
    found = re.search(r'name="csrf" value="(\w+)"', signed_in.get("/acts").text)
    assert found
    return found[1]


@contextmanager
def own_console(stack: JobStack, proxy: CountingProxy | None, **more: str) -> Iterator[tuple[str, psutil.Process]]:
    """Another console of the stack, whose calls go through the proxy, with more in its environment; where it is, and its process."""
    (port,) = free_ports("port").values()
    environment = {**stack.env, "REDRIVE_CONSOLE_PORT": str(port), **more}
    if proxy is not None:
        environment |= {
            "PREFECT_API_URL": f"{proxy.url}/api",
            "PREFECT_API_AUTH_STRING": stack.settings.auth_string() or "",
        }
    with subprocess.Popen(
        [sys.executable, "-m", "redrive.dashboards.console"],
        env=environment,
        cwd=stack.project,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as started:
        base = f"http://127.0.0.1:{port}"
        try:
            wait_until(lambda: _is_up(base), 60, "the console to answer")
            yield base, psutil.Process(started.pid)
        finally:
            started.terminate()


def _is_up(base: str) -> bool:
    try:
        return httpx.get(f"{base}/alive", trust_env=False).is_success
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Chromium refuses to sandbox for root.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def consoles(request: pytest.FixtureRequest, job_stack: JobStack, chromium: Browser) -> Iterator[Consoles]:
    """Windows on the console of the session's stack; no page of a test may complain."""
    wait_until(lambda: job_stack.component("console")["healthy"], PATIENCE, "the console to be healthy")
    opened = Consoles(job_stack, chromium)
    before = request.session.testsfailed
    yield opened
    complaints = opened.close(broken=request.session.testsfailed > before)
    assert not complaints
