"""Many pictures at once: folders of them, in parts, on one machine or on a cluster."""
