"""The training loop, its film, the commands that repeat it."""
