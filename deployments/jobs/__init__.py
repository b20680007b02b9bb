"""Jobs that exist: finding them, showing them, and what people do to them."""
