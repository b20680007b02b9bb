"""What open pages cost Prefect's API: no two calls within a second, however many browsers are open and whatever they show."""

from __future__ import annotations

import threading
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Browser

from redrive.blocks.prefect import runs
from redrive.deployments.enqueue import enqueue
from redrive.deployments.jobs.actions import cancel_job
from tests.support.console import PATIENCE, in_browser, own_console, sign_in_link
from tests.support.counting_proxy import CountingProxy, counting
from tests.support.job_stack import JobStack
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, in_browser, pytest.mark.slow]

#: Pages that are open in a real browser, and those that are asked for as its pages ask.
WINDOWS, OTHERS = 5, 45
#: Calls of open pages that are looked at.
CALLS = 12


def asking(base: str, cookies: dict[str, str], path: str, stop: threading.Event) -> Callable[[], None]:
    """Reads a part of a page anew as an open page does, only more often."""

    def ask() -> None:
        with httpx.Client(base_url=base, cookies=cookies, trust_env=False, timeout=PATIENCE) as client:
            while not stop.wait(0.5):
                answer = client.get(path, headers={"HX-Request": "true", "X-Live": "1"})
                assert answer.status_code in {200, 204}, (path, answer.status_code)

    return ask


def following(base: str, cookies: dict[str, str], path: str, stop: threading.Event) -> Callable[[], None]:
    """Reads a stream."""

    def follow() -> None:
        with (
            httpx.Client(base_url=base, cookies=cookies, trust_env=False, timeout=PATIENCE) as client,
            client.stream("GET", path) as stream,
        ):
            for _ in stream.iter_raw():
                if stop.is_set():
                    return

    return follow


def since(proxy: CountingProxy, at: int) -> list[tuple[float, str]]:
    return proxy.log[at:]


def test_fifty_open_pages_of_every_kind_send_no_two_calls_within_a_second(
    job_stack: JobStack, chromium: Browser
) -> None:
    folder = str(job_stack.folder("budget"))
    running = enqueue("test-chatty", {"lines": 5, "seconds": 600}).id
    waiting = [enqueue("test-ok", {"folder": folder}, delay=3600).id for _ in range(8)]
    wait_until(lambda: runs.by_id([running])[running].state_type == "RUNNING", PATIENCE, "a job to run")
    stop = threading.Event()
    paths = [f"/jobs/{job}/now" for job in (running, *waiting)]
    paths += [f"/jobs/{job}/why" for job in waiting]
    paths += [f"/jobs?q=state:{state}" for state in ("running", "waiting", "dead", "completed", "cancelled")]
    paths += ["/schedules", "/jobs?q=text:nothing-like-this", "/failures", "/acts", "/"]
    streams = ["/live", f"/jobs/{running}/log", *[f"/jobs/{job}/log" for job in waiting[:4]]]
    try:
        with counting(job_stack.settings.api_url.removesuffix("/api")) as proxy, own_console(job_stack, proxy) as own:
            base, _ = own
            opened = chromium.new_context()
            link = sign_in_link(job_stack, "ada", "viewer").partition("/sign-in")[2]
            opened.new_page().goto(f"{base}/sign-in{link}")
            cookies = {one["name"]: one["value"] for one in opened.cookies()}
            for path in ("/", f"/jobs/{running}", f"/jobs/{waiting[0]}", "/jobs", "/schedules")[:WINDOWS]:
                page = opened.new_page()
                page.goto(f"{base}{path}")
                if path == f"/jobs/{waiting[0]}":
                    page.locator("#why-said .why").wait_for(timeout=PATIENCE * 1000)
            threads = [
                threading.Thread(target=following(base, cookies, path, stop)) for path in (streams * 3)[: OTHERS // 3]
            ]
            threads += [
                threading.Thread(target=asking(base, cookies, path, stop))
                for path in (paths * 3)[: OTHERS - len(threads)]
            ]
            for thread in threads:
                thread.start()
            begin = proxy.calls

            wait_until(lambda: proxy.calls - begin >= CALLS, 4 * PATIENCE, f"{CALLS} calls of open pages")

            stop.set()
            calls = since(proxy, begin)
            opened.close()
            for thread in threads:
                thread.join(PATIENCE)
    finally:
        for job in (running, *waiting):
            cancel_job(job)
    # Whatever stretch: fewer calls than seconds. (A call may be noted a moment later than it was sent, so one more is allowed.)
    for first, (begun, _) in enumerate(calls):
        for number, (at, path) in enumerate(calls[first:], first):
            assert number - first <= (at - begun) + 1, (path, calls)
    # And each kind had its turn.
    assert len({path for _, path in calls}) >= 3
