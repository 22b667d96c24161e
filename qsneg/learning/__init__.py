"""Trainings that visitors of the app start and watch: runs in processes of their own, one at a time."""
