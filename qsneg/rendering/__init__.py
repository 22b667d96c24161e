"""Arrays as pictures and files."""
