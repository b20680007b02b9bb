"""`redrive completion SHELL`: what makes a shell complete commands and options."""

from __future__ import annotations

import sys
from typing import Literal

Shell = Literal["bash", "zsh", "fish"]


def completion_command(shell: Shell) -> None:
    """Print the completion of a shell.

    Args:
        shell: `source <(redrive completion bash)` in ~/.bashrc; `redrive completion zsh > ~/.zfunc/_redrive`;
            `redrive completion fish > ~/.config/fish/completions/redrive.fish`.
    """
    from redrive.infra.cli.main import app

    sys.stdout.write(app.generate_completion(prog_name="redrive", shell=shell))
