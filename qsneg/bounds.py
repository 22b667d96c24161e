"""What settings may be: the largest numbers, modes, seeds, and how many channels pictures have.

config = ModelConfig(channels_a=1, channels_b=3)
config.domains, config.wide, config.rgb         # (1, 3), 3, False
"""

LARGEST = {"width": 4096, "disc_width": 4096, "blocks": 256, "dim": 1 << 16, "patches": 1 << 20, "noise_dim": 1 << 16,
           "batch": 4096, "workers": 256, "keep": 10_000, "scenes": 1_000_000}  # fmt: skip
MOST = 16  # channels of a picture
ATTENTION_MODES = ("global", "local", "local+global")


def check_seed(seed: int) -> None:
    """Raises ValueError if a generator of random numbers cannot start from it."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 1 << 63:
        raise ValueError(f"The seed must be a whole number from 0 to 2⁶³ − 1, not {seed}.")


def check_mode(attention: str) -> None:
    """Raises ValueError if there is no such mode of attention."""
    if attention not in ATTENTION_MODES:
        raise ValueError(f"Unknown attention mode '{attention}': choose one of {', '.join(ATTENTION_MODES)}.")


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
