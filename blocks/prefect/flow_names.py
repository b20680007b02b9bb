"""The names of flows, which are the names of job types: runs and deployments carry ids only."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from redrive.blocks.prefect.request import Request
from redrive.blocks.prefect.requests import flows

UNKNOWN = "unknown"


class FlowNames:
    """Names by id, asked for once. Flows are not renamed.

    Args:
        ask: gives the answer of a server.
    """

    def __init__(self, ask: Callable[[Request[dict[str, str]]], dict[str, str]]) -> None:
        self._ask = ask
        self._known: dict[str, str] = {}

    def learn(self, ids: Iterable[str]) -> None:
        """Ask for those that are not known yet, at most 200 at once.

        Raises:
            httpx.HTTPError: no answer, or a refusal.
        """
        if unknown := sorted(set(ids) - self._known.keys()):
            self._known |= self._ask(flows.names(unknown))

    def __getitem__(self, flow_id: str) -> str:
        return self._known.get(flow_id, UNKNOWN)
