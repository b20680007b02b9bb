"""What the console shows live: one sample of the queues for all browsers, and the stream that carries it to them."""
