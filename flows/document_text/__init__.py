"""Text and metadata out of documents, read in disposable child processes."""
