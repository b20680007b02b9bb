"""How the installation is: checks, the keeper's duties, the figures of `redrive top`."""
