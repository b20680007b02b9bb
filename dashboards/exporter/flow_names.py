"""The names of flows, which are the names of job types: runs and deployments carry ids only."""

from __future__ import annotations

from collections.abc import Iterable

from redrive.blocks.prefect.requests import flows
from redrive.dashboards.exporter.prefect import PrefectApi

UNKNOWN = "unknown"


class FlowNames:
    """Names by id, asked for once. Flows are not renamed."""

    def __init__(self, api: PrefectApi) -> None:
        self._api = api
        self._known: dict[str, str] = {}

    def learn(self, ids: Iterable[str]) -> None:
        """Ask for those that are not known yet, at most 200 at once."""
        if unknown := sorted(set(ids) - self._known.keys()):
            found = self._api.ask(flows.names(unknown))
            self._known |= found

    def __getitem__(self, flow_id: str) -> str:
        return self._known.get(flow_id, UNKNOWN)
