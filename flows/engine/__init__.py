"""How a flow follows its policy: job, step, attempt."""
