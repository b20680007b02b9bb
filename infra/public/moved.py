"""Modules under the names they had before 0.2, for what was written then: entrypoints of deployments, stored results, job modules.

Danger: a deployment names its flow by module, and a pickled result its class. Without these names, jobs that were waiting during
an upgrade would find no flow, and a redrive none of its steps' results.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

#: Old name, without `redrive.`, and today's; a package stands for all that is in it.
MOVED = {
    "blocks.errors": "blocks.core.errors",
    "blocks.file_access": "blocks.access.local_files",
    "blocks.fingerprint": "blocks.core.fingerprint",
    "blocks.http_access": "blocks.access.http_sources",
    "blocks.masking": "blocks.core.masking",
    "blocks.payloads": "blocks.core.payloads",
    "blocks.retry": "blocks.core.retry",
    "blocks.retry_block": "blocks.retry_policy",
    "blocks.settings": "blocks.core.settings",
    "deployments.exit_codes": "blocks.core.exit_codes",
    "deployments.job": "deployments.jobs.job",
    "deployments.ledger": "deployments.dead_letters.ledger",
    "deployments.redrive": "deployments.dead_letters.redrive",
    "flows.attempt": "flows.engine.attempt",
    "flows.dead_letters": "flows.dead_letter_review",
    "flows.document_text": "flows.documents",
    "flows.job": "flows.engine.job",
    "flows.mail_letter": "flows.mail",
    "flows.report_pages": "flows.reports",
    "flows.step": "flows.engine.step",
    "flows.sync_source": "flows.sync.source",
    "flows.sync_table": "flows.sync.table",
}


class MovedModules(MetaPathFinder, Loader):
    """Finds today's module under its old name: one module with two names, never two copies."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        return ModuleSpec(fullname, self) if _now(fullname) else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        name = _now(spec.name) or spec.name
        warnings.warn(f"{spec.name} is {name} now", DeprecationWarning, stacklevel=2)
        module = importlib.import_module(name)
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to do: it was executed under its own name, to which its specification is given back."""
        spec = module.__spec__
        if spec is not None and spec.loader is self:
            module.__spec__ = spec.loader_state


def install() -> None:
    """Find modules under their old names from now on."""
    if not any(isinstance(one, MovedModules) for one in sys.meta_path):
        # First: the others would load what lies in a moved package once more, under its old name.
        sys.meta_path.insert(0, MovedModules())


def _now(name: str) -> str | None:
    if not name.startswith("redrive."):
        return None
    old = name.removeprefix("redrive.")
    while old:
        if new := MOVED.get(old):
            return f"redrive.{new}{name.removeprefix(f'redrive.{old}')}"
        old = old.rpartition(".")[0]
    return None
