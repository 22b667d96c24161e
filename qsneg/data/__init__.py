"""Data: pairs for training, the papers' sets, the set that draws itself."""
