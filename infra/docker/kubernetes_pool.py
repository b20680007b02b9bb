"""Pool `jobs` of Prefect's type `kubernetes`: each job in a pod of its own, made from the template of infra/k8s/isolated.

Danger: Prefect cannot change the type of a pool, and deleting one deletes the runs that wait in it; so one of another type is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from string import Template

from redrive.blocks.core.errors import SettingsError
from redrive.blocks.core.pool_names import POOL
from redrive.blocks.prefect.client import ask, prefect_settings, reachable
from redrive.blocks.prefect.request import Json
from redrive.blocks.prefect.requests import pools

KIND = "kubernetes"


def read_template(path: Path, environ: Mapping[str, str]) -> Json:
    """The pool's form, with `${NAME}` filled in from the environment.

    Raises:
        SettingsError: it cannot be read, or names what the environment has not.
    """
    try:
        found: Json = json.loads(Template(path.read_text()).substitute(environ))
    except KeyError as error:
        raise SettingsError(f"REDRIVE_POOL_TEMPLATE={path} needs {error.args[0]} in the environment") from None
    except (OSError, ValueError) as error:
        raise SettingsError(f"REDRIVE_POOL_TEMPLATE={path} cannot be read: {error}") from None
    return found


def make_kubernetes_pool(template: Json) -> None:
    """Make it, or bring its template up to date.

    Raises:
        SettingsError: there is a pool of another type.
    """
    with reachable(), prefect_settings():
        there = ask(pools.read(POOL).or_none())
        if there is None:
            ask(pools.create({"name": POOL, "type": KIND, "base_job_template": template}))
        elif there["type"] != KIND:
            raise SettingsError(
                f"work pool {POOL} is of type {there['type']}, which Prefect cannot change: let its jobs end, delete it, register again"
            )
        else:
            ask(pools.update(POOL, {"base_job_template": template}))
