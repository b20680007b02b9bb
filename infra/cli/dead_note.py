"""`redrive dead note`: what people write about a cause, the same note that the console shows."""

from __future__ import annotations

from redrive.blocks.core.errors import ParameterError
from redrive.infra.cli.actor import Who, acting
from redrive.infra.cli.dead_filter import Flag, Json, open_ledger
from redrive.infra.cli.output import ago, out, print_json


def note_command(
    fingerprint: str, text: str | None = None, *, clear: Flag = False, who: Who = None, as_json: Json = False
) -> None:
    """Show the note about a cause, or write it in the place of the one before.

    Args:
        fingerprint: The cause, or its first digits (see `redrive dead groups`).
        text: What is known, who is at it, a link to the ticket.
        clear: Take the note away.
        who: Person, if not the one logged in (or REDRIVE_ACTOR).
        as_json: Print JSON.
    """
    if text is not None and (clear or not text.strip()):
        raise ParameterError("give a text to write, or --clear to take the note away, not both")
    with open_ledger() as ledger:
        cause = ledger.fingerprint(fingerprint)
        if text is not None or clear:
            by = acting(who, text or "")
            with by.doing("note", f"cause {cause}"):
                ledger.causes.write_note(cause, text or "", who=by.who)
        note = ledger.causes.notes([cause]).get(cause)
    if as_json:
        print_json(note)
    elif note is None:
        out.print(f"there is no note about cause {cause}", soft_wrap=True)
    else:
        out.print(f"{note.text}\n  {note.who}, {ago(note.at)}", soft_wrap=True)
