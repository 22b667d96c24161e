"""What the commands share: the kinds of their arguments, flags made from dataclasses, errors in one sentence."""

import dataclasses
import inspect
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Optional

import typer

from qsneg import what_to_do
from qsneg.config import FLAGS

Model = Annotated[str, typer.Option(help="a name such as day2sunset/cut, a path, or a Hugging Face id")]
Checkpoints = Annotated[list[str], typer.Argument(help="names, paths or Hugging Face ids")]
OutFolder = Annotated[Path, typer.Option(help="folder to write to")]
Inception = Annotated[Optional[str], typer.Option(help="weights for FID and KID: their file, or download")]
Spread = Annotated[int, typer.Option(help="also measure so many test pictures as the app does, beside the weights")]
Device = Annotated[str, typer.Option(help="auto, cuda, mps or cpu")]
Precision = Annotated[str, typer.Option(help="float32, bfloat16, or auto: bfloat16 where it is faster")]
Engine = Annotated[str, typer.Option(help="local, or ray: on a cluster, by Ray Data")]
White = Annotated[Optional[float], typer.Option(help="what is white in pictures of more than 8 bits, such as 4095")]


def with_flags(*configs: type) -> Callable[[Callable], Callable]:
    """A decorator: the command's `**fields` become one optional flag per dataclass field."""

    def extend(command: Callable) -> Callable:
        own = inspect.signature(command).parameters.values()
        parameters = [p for p in own if p.kind != inspect.Parameter.VAR_KEYWORD] + field_flags(*configs)
        command.__signature__ = inspect.Signature(parameters)
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        return command

    return extend


def field_flags(*configs: type) -> list[inspect.Parameter]:
    """One optional flag per dataclass field, its help the comment under the field."""
    flags = []
    for config in configs:
        comments = dict(re.findall(r"    (\w+): [^\n]*\n    # ([^\n]*)", inspect.getsource(config)))
        for f in dataclasses.fields(config):
            if f.name in ("method", "data"):
                continue
            kind = {bool: bool, int: int, float: float}.get(f.type, float if "float" in str(f.type) else str)
            text = f"{comments[f.name]} (default: {f.default})"
            option = typer.Option(*FLAGS.get(f.name, ()), help=text, rich_help_panel=config.__name__)
            annotation = Annotated[Optional[kind], option]
            flags.append(inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation))
    return flags


def part(text: str) -> tuple[int, int]:
    """A part as it is given on the command line, 3/16. Raises ValueError where it is not one."""
    if not re.fullmatch(r"\d+/\d+", text):
        raise ValueError(f"A part is i/n with i from 1 to n, such as 3/16, not '{text}'.")
    return tuple(map(int, text.split("/")))


def numbers(text: str) -> tuple[int, ...]:
    """Layers as they are given on the command line. Raises ValueError where they are not."""
    if not re.fullmatch(r"\d+(,\d+)*", text):
        raise ValueError(f"Layers are numbers with commas between them, such as 0,4,8, not '{text}'.")
    return tuple(map(int, text.split(",")))


def tell(report) -> None:
    """Say what is to be said of a `qsneg.bulk.files.Report`; with exit code 1 where something failed."""
    for note in report.notes:
        print(note, file=sys.stderr)
    if report.failed:
        print(f"{len(report.failed)} could not be done:", file=sys.stderr)
        for path, reason in report.failed:
            print(f"  {path}: {reason}", file=sys.stderr)
        raise typer.Exit(1)


def run(cli: typer.Typer) -> None:
    """Run a command; what the user can mend is said in one sentence on stderr, with exit code 2."""
    try:
        cli()
    except ModuleNotFoundError as error:
        sys.exit(what_to_do(error))
    except (ValueError, OSError) as error:
        reason = str(error)
        if isinstance(error, OSError) and error.strerror:  # the system's own, such as a full disk
            file = error.filename or "A file"
            reason = f"'{file}' cannot be used ({error.strerror}): make room there, or choose another place."
        print(f"Error: {reason}", file=sys.stderr)
        sys.exit(2)
    except SystemExit as end:
        if end.code == 130 and os.environ.get("RANK", "0") == "0":  # Ctrl-C; of several processes the first speaks
            print("Stopped.", file=sys.stderr)
        raise
