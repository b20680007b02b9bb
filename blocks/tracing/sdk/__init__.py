"""The one place that imports `opentelemetry`; loaded when tracing is on."""
