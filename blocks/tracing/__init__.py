"""Traces: what happened to a job, as spans of OpenTelemetry. Off unless the standard `OTEL_*` variables ask for it.

Danger: nothing here may import `opentelemetry`, but for the folder `sdk`, which is loaded when tracing is on.
"""
