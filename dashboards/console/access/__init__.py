"""Who may see and do what: signing in, sessions, the guard before every page and act, the headers."""
