"""The names of spans and attributes: those of the semantic conventions 1.44 for messaging, and ours for what they do not name.

`tests/unit/test_tracing_names.py` compares them with the published model.
"""

from __future__ import annotations

from typing import Final

#: Version of the conventions: https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
SCHEMA: Final = "https://opentelemetry.io/schemas/1.44.0"
#: Of our own tracer.
SCOPE: Final = "redrive"

SYSTEM: Final = "messaging.system"
OPERATION: Final = "messaging.operation.name"
OPERATION_TYPE: Final = "messaging.operation.type"
DESTINATION: Final = "messaging.destination.name"
MESSAGE_ID: Final = "messaging.message.id"
CLIENT_ID: Final = "messaging.client.id"
ERROR_TYPE: Final = "error.type"
#: Names of metrics.
OPERATION_DURATION: Final = "messaging.client.operation.duration"
PROCESS_DURATION: Final = "messaging.process.duration"
METRICS: Final = (OPERATION_DURATION, PROCESS_DURATION)
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
EXCEPTION: Final = "exception"
EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"
EXCEPTION_STACKTRACE: Final = "exception.stacktrace"

#: The job type; which try, counted from 1; crashes so far; seconds from due to started; what became of a try.
JOB: Final = "redrive.job"
TRY: Final = "redrive.try"
CRASHES: Final = "redrive.crash_count"
WAIT: Final = "redrive.queue.wait"
OUTCOME: Final = "redrive.outcome"
FINGERPRINT: Final = "redrive.fingerprint"
REASON: Final = "redrive.outcome_reason"
WORKER: Final = "redrive.worker"
STEP: Final = "redrive.step"
#: False if its key made it a job that was there.
NEW: Final = "redrive.new"
#: Of a mail that is handed over: addresses in its envelope, and those of them that the server refused.
RECIPIENTS: Final = "redrive.smtp.recipients"
REFUSED: Final = "redrive.smtp.refused"
#: What a link leads to: `created`, `previous` (try), `replaces` (a dead job), `repeats` (one that ended).
LINK: Final = "redrive.link"

#: Values of `messaging.operation.type`.
CREATE, PROCESS, SETTLE = "create", "process", "settle"
#: Kinds of spans, by their numbers in OpenTelemetry's SDK.
INTERNAL, CLIENT, PRODUCER, CONSUMER = 0, 2, 3, 4
