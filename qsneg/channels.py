"""How many channels pictures have, in a configuration: of domain A, of domain B, and of the networks.

config = ModelConfig(channels_a=1, channels_b=3)
config.domains, config.wide, config.rgb         # (1, 3), 3, False
"""

MOST = 16  # channels of a picture


class Channels:
    """What follows from `channels`, and from `channels_a` and `channels_b` where they are not 0."""

    def check_channels(self) -> None:
        """Raises ValueError, one sentence, where a number is out of range."""
        for name, least in (("channels", 1), ("channels_a", 0), ("channels_b", 0)):
            if not isinstance(value := getattr(self, name), int) or not least <= value <= MOST:
                raise ValueError(f"{name} must be a whole number from {least} to {MOST}, not {value}.")

    @property
    def domains(self) -> tuple[int, int]:
        """Channels of the pictures of domain A and of domain B."""
        return self.channels_a or self.channels, self.channels_b or self.channels

    @property
    def wide(self) -> int:
        """Channels that the networks work on: the larger number. A narrower picture is repeated, channel by channel,
        until there are as many, and a result is cut back to its first ones."""
        return max(self.domains)

    @property
    def rgb(self) -> bool:
        """Whether the pictures of both domains are RGB."""
        return self.domains == (3, 3)

    @property
    def channels_in_words(self) -> str:
        a, b = self.domains
        how = f"; the networks work on {self.wide}: narrower pictures are repeated, results cut back"
        return f"{a} to {b}{how if a != b else ''}"
