"""The templates of a folder, ours or one that jobs may read, filled in within Jinja's sandbox."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from jinja2 import BaseLoader, Environment, TemplateNotFound
from jinja2.loaders import split_template_path
from jinja2.runtime import StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from redrive.blocks.access.local_files import open_file
from redrive.blocks.core.errors import PermanentError

TEMPLATES = Path(__file__).resolve().parent / "templates"
#: Bytes of a template.
TEMPLATE_LIMIT = 1024 * 1024


class _Files(BaseLoader):
    """Templates of a folder: ours, or one that jobs may read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get_source(
        self,
        environment: Environment,  # noqa: ARG002  (jinja's own signature)
        template: str,
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        path = self._folder.joinpath(*split_template_path(template))
        if self._folder == TEMPLATES and not path.exists():
            raise TemplateNotFound(template)
        with path.open("rb") if self._folder == TEMPLATES else open_file(path) as file:
            content = file.read(TEMPLATE_LIMIT + 1)
        if len(content) > TEMPLATE_LIMIT:
            raise PermanentError(f"the mail template {template} has more than {TEMPLATE_LIMIT // 1024} KB: shorten it")
        try:
            return content.decode(), None, None
        except UnicodeDecodeError as error:
            raise PermanentError(f"the mail template {template} is no text (UTF-8): save it as such") from error


def environment(folder: Path, *, escape: bool) -> SandboxedEnvironment:
    """Fills in the templates of a folder; a value that is missing is an error."""
    return SandboxedEnvironment(
        loader=_Files(folder),
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
