"""The keeper: the service that collects dead letters, rescues jobs of lost workers and resolves what was redriven."""
