"""What to do where the packages that qsneg needs are not installed, as in a Python that is not the environment's.

try:
    import typer
except ModuleNotFoundError as error:
    raise SystemExit(what_to_do(error)) from None
"""

import sys


def what_to_do(error: ModuleNotFoundError) -> str:
    """One sentence on a package that is missing."""
    return (
        f"Error: the package '{error.name}' is not there for {sys.executable or 'this Python'}: start the "
        "environment's own Python, such as .venv/bin/python, or `pip install -r requirements.txt`."
    )
