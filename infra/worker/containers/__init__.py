"""Jobs that run in containers of their own: `isolation="container"`."""
