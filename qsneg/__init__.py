"""qsneg: contrastive image-to-image translation (CUT, QS-Attn, NEGCUT), and a look at what goes on inside.

import qsneg
model = qsneg.load("horse2zebra-drawn/cut")     # a name under checkpoints/, a path, or a Hugging Face id
result = model.translate(image)                 # PIL image in, PIL image out
"""

import sys

__version__ = "0.1.0"
__all__ = ["Translator", "load"]


def what_to_do(error: ModuleNotFoundError) -> str:
    """One sentence for the terminal on a package that is missing, as in a Python that is not the environment's."""
    return (
        f"Error: the package '{error.name}' is not there for {sys.executable or 'this Python'}: start the "
        "environment's own Python, such as .venv/bin/python, or `pip install -r requirements.txt`."
    )


def __getattr__(name: str):  # so that `import qsneg` is quick: torch is imported when it is needed
    if name in __all__:
        from qsneg import translate

        if "IPython" in sys.modules:
            import qsneg.rendering.notebook  # noqa: F401 (results draw themselves)

        return getattr(translate, name)
    raise AttributeError(f"module 'qsneg' has no attribute '{name}'")
