"""A report out of its definition: data, figures, charts, and the pages made of them."""
