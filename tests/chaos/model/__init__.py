"""A stateful test of no job disappears: a reference model, the world it is compared with, and the rules between them."""
