"""Where rows come from: a CSV file, a table of an SQLite file, or a CSV or JSON answer over HTTP."""
