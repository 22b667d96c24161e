"""Models measured and compared, the papers' claims among it."""
