"""The exporter: what Prometheus scrapes about the queues, asked for in the background so that a scrape costs nothing."""
