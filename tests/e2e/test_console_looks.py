"""How every page looks: pictures in light and dark, on a desk and on a phone, to be looked at; and no page is wider than its window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import pytest

from redrive.blocks.core.errors import RedriveError
from redrive.blocks.prefect import runs
from redrive.blocks.prefect.states import AWAITING_RETRY
from redrive.deployments.dead_letters.ledger import Filter
from redrive.deployments.enqueue import enqueue, enqueue_many
from redrive.deployments.jobs.actions import cancel_job
from tests.support.console import PATIENCE, PICTURES, Console, Consoles, client, in_browser, token_of
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, in_browser, pytest.mark.soak, pytest.mark.timeout(900)]

LONG = (
    "the customer's own gateway refused order 4711: HTTP 502 from https://billing.example.com/api/v3/accounts/42/invoices/2026-11-30, "
    "and the body was not JSON but a page of its proxy; it was told three times, and each time said the same thing"
)
#: Causes that no other test has: the stack is shared.
CAUSES = {
    "the mail gateway is closed": 12,
    "the table has no such column": 7,
    "the disk of the archive is full": 3,
    LONG: 4,
}
WIDTHS = {"desk": 1440, "phone": 390}
#: The pictures of the README: pages and colours.
README: dict[str, tuple[str, Literal["light", "dark"]]] = {
    "overview": ("overview", "dark"),
    "failures": ("failures", "light"),
    "job": ("job-retrying", "dark"),
}


@dataclass(frozen=True)
class Scene:
    """What there is to see: addresses of pages by name."""

    paths: dict[str, str]


@pytest.fixture
def scene(consoles: Consoles) -> Iterator[Scene]:
    stack = consoles.stack
    folder = str(stack.folder("looks"))
    for message, many in CAUSES.items():
        enqueue_many("test-many", [{"folder": folder, "message": message}] * many)
    enqueue_many("test-crowd", [{"number": one} for one in range(20)])
    running = enqueue("test-chatty", {"lines": 40, "seconds": 600}).id
    with stack.overridden("test-flaky", backoff=[540.0]):
        retrying = enqueue("test-flaky", {"folder": folder, "good_at": 3}).id
        wait_until(lambda: runs.by_id([retrying])[retrying].state_name == AWAITING_RETRY, 60, "a try to fail")
    early = enqueue("test-ok", {"folder": folder}, delay=7200, queue="high", key="invoices-2026-11").id

    def open_of(text: str) -> int:
        with stack.ledger() as ledger:
            return ledger.count(Filter(status="open", text=text))

    for message, many in CAUSES.items():
        wait_until(lambda m=message, n=many: open_of(m) >= n, 300, f"the failures: {message}")
    with stack.ledger() as ledger:
        largest = ledger.groups(Filter(status="open", text="the mail gateway is closed"), limit=1)[0]
        dead = ledger.find(Filter(status="open", text="the table has no such column"), limit=1).rows[0]
    done = next(iter(runs.page(runs.Wanted(jobs=["test-crowd"], types=["COMPLETED"]), runs.Order.ENDED, limit=1).runs))
    with client(stack, "grace") as grace:
        token = {"csrf": token_of(grace)}
        grace.post("/queues/low/pause", data={**token, "why": "the printer is being mended until noon"})
        grace.post("/views", data={**token, "name": "dead today", "query": "state:dead since:24h"})
        note = {"note": "Their server was moved; ticket OPS-231. Redrive when the new name resolves."}
        grace.post(f"/failures/{largest.fingerprint}/note", data={**token, **note})
        bulk = {"text": "the disk of the archive is full", "why": "the disk is larger now", "rate": "30/m"}
        to = grace.post("/failures/bulk/redrive", data={**token, **bulk})
        acted = grace.get("/acts")
        assert to.status_code == 303
        assert acted.is_success
    with stack.ledger() as ledger:
        act = ledger.bulk_acts.latest(limit=1)[0]
    yield Scene(
        {
            "sign-in": "/sign-in",
            "overview": "/",
            "jobs": "/jobs",
            "jobs-dead": "/jobs?q=state:dead",
            "jobs-fault": "/jobs?q=state:ded",
            "jobs-none": "/jobs?q=name:nothing-like-this",
            "job-running": f"/jobs/{running}",
            "job-early": f"/jobs/{early}",
            "job-retrying": f"/jobs/{retrying}",
            "job-dead": f"/jobs/{dead.run_id}",
            "job-completed": f"/jobs/{done.id}",
            "edit": f"/jobs/{dead.run_id}/edit",
            "failures": "/failures",
            "failures-none": "/failures?text=nothing+like+this",
            "cause": f"/failures/{largest.fingerprint}",
            "acts": "/acts",
            "act": f"/acts/{act.id}",
            "schedules": "/schedules",
            "slow": "/slow",
            "types": "/types",
            "type": "/types/test-many",
            "record": "/audit",
            "runbooks": "/runbooks",
            "not-there": "/nothing-here",
        }
    )
    with client(stack, "grace") as grace:
        grace.post("/queues/low/resume", data={"csrf": token_of(grace)})
    for job in (running, early, retrying):
        try:
            cancel_job(job)
        except RedriveError as over:
            print(over)


def test_no_page_is_wider_than_its_window_and_each_leaves_its_picture(consoles: Consoles, scene: Scene) -> None:
    wide = []
    for theme in ("light", "dark"):
        for device, width in WIDTHS.items():
            context = {"viewport": {"width": width, "height": 900}, "color_scheme": theme}
            stranger, console = consoles.window(**context), consoles.sign_in("grace", **context)
            for name, path in scene.paths.items():
                window = stranger if name == "sign-in" else console
                window.open(path)
                _settled(window)
                window.page.screenshot(path=_picture(f"{name}-{theme}-{device}"), full_page=True)
                if window.page.evaluate("document.scrollingElement.scrollWidth > innerWidth"):
                    wide.append(f"{name} ({theme}, {device})")
            _acting(console, f"{theme}-{device}")
    for name, (page, theme) in README.items():
        console = consoles.sign_in("grace", viewport={"width": 1280, "height": 800}, color_scheme=theme)
        console.open(scene.paths[page])
        _settled(console)
        console.page.screenshot(path=_picture(f"readme-{name}"))
    assert not wide


def _acting(console: Console, picture: str) -> None:
    """What stands over a page while somebody acts: a dialog, the completion of the filter, the keys."""
    console.open("/failures")
    console.row("the mail gateway is closed").get_by_role("button", name="Redrive").click()
    console.page.locator("dialog[open]").wait_for()
    console.page.screenshot(path=_picture(f"over-redrive-{picture}"))
    console.open("/jobs")
    console.page.get_by_label("Filter jobs").fill("job:test-many st")
    console.page.locator(".search .options li").first.wait_for()
    console.page.screenshot(path=_picture(f"over-completion-{picture}"))
    console.page.keyboard.press("Escape")
    console.page.keyboard.press("?")
    console.page.locator("dialog#keys[open]").wait_for()
    console.page.screenshot(path=_picture(f"over-keys-{picture}"))


def _settled(window: Console) -> None:
    """What a page asks for after it is there has come."""
    window.page.evaluate("document.fonts.ready.then(() => null)")
    if window.page.locator("#why-said").count():
        window.page.locator("#why-said .why").wait_for(timeout=PATIENCE * 1000)
    if window.page.locator("[data-chart]").count():
        window.page.locator("[data-chart] canvas, [data-nothing]").first.wait_for(timeout=PATIENCE * 1000)
    window.page.wait_for_load_state("load")


def _picture(name: str) -> str:
    folder = PICTURES / "looks"
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder / f"{name}.png")
