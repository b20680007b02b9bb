"""What every part of Redrive speaks of: errors, settings, policies and their decisions, texts for people."""
