"""A sheet: pictures in rows and columns under headings.

from qsneg.rendering.sheets import Column, columns, grid
grid([("source", "black"), ("CUT", "#0072B2")], [[(source, ""), (result, "0.93")]]).save("sheet.png")
columns([Column("CUT", "#0072B2", [(entropy, "entropy"), (bar, "")], "0.21 s")], 384, "one line at the bottom")
"""

from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from qsneg.rendering.colormaps import colour_of, font, title_of

CELL, GAP, MARGIN, INK, SOFT = 192, 8, 28, "#333333", "#666666"
WIDTH = 384  # pixels of a picture on a sheet of files


def grid(heads: list[tuple[str, str]], rows: list[list[tuple[Image.Image, str]]]) -> Image.Image:
    """Pictures in rows under headings (text, colour), each with a word on its lower edge, if any."""
    step = CELL + GAP
    picture = Image.new("RGB", (len(heads) * step + GAP, len(rows) * step + GAP + MARGIN), "white")
    pen, letters = ImageDraw.Draw(picture), ImageFont.load_default(15)
    for x, (head, colour) in enumerate(heads):
        pen.text((GAP + x * step, GAP), head, colour, letters)
    for y, row in enumerate(rows):
        for x, (cell, word) in enumerate(row):
            left, top = GAP + x * step, MARGIN + GAP + y * step
            picture.paste(cell.resize((CELL, CELL), Image.Resampling.LANCZOS), (left, top))
            if word:
                pen.rectangle((left, top + CELL - 22, left + 40, top + CELL), "white")
                pen.text((left + 4, top + CELL - 20), word, INK, letters)
    return picture


@dataclass(frozen=True)
class Column:
    """A column of a sheet: its title and colour, pictures with captions from top to bottom, a word beside the title."""

    title: str
    colour: str
    pictures: list[tuple[Image.Image, str]]
    word: str = ""


def columns(columns: list[Column], width: int, line: str) -> Image.Image:
    """Columns side by side on white, all pictures `width` pixels wide; one line of text under them."""
    gap, text = max(8, width // 24), max(13, width // 18)
    head, small = font(text), font(max(11, text * 3 // 4))
    top = gap + text + text // 2
    fitted = [[(fit(image, width), caption) for image, caption in column.pictures] for column in columns]
    under = [[gap // 2 + text * bool(caption) for _, caption in column] for column in fitted]
    tall = max(sum(i.height + u for (i, _), u in zip(c, us)) for c, us in zip(fitted, under))
    sheet = Image.new("RGB", (gap + len(columns) * (width + gap), top + tall + gap + text), "white")
    pen = ImageDraw.Draw(sheet)
    for number, (column, pictures) in enumerate(zip(columns, fitted)):
        left, y = gap + number * (width + gap), top
        pen.rectangle((left, top - text // 4 - 1, left + width - 1, top - 2), fill=column.colour)
        pen.text((left, top - text // 2), column.title, INK, head, anchor="ls")
        pen.text((left + width, top - text // 2), column.word, SOFT, small, anchor="rs")
        for (image, caption), below in zip(pictures, under[number]):
            sheet.paste(image, (left, y), image if image.mode == "RGBA" else None)
            pen.text((left, y + image.height + gap // 4), caption, SOFT, small, anchor="la")
            y += image.height + below
    pen.text((gap, top + tall + gap // 2), line, SOFT, small, anchor="la")
    return sheet


def fit(image: Image.Image, width: int) -> Image.Image:
    """A picture brought to a width; cells stay sharp where it is enlarged."""
    kind = Image.Resampling.LANCZOS if image.width > width else Image.Resampling.NEAREST
    return image if image.width == width else image.resize((width, round(image.height * width / image.width)), kind)


def of_files(files: dict, line: str) -> Image.Image:
    """The pictures of `report.pictures`, but for the patches: a column per folder."""
    found: dict[str, list[tuple[Image.Image, str]]] = {}
    for path, image in files.items():
        if path.endswith(".png") and path.count("/") == 1:
            folder, name = path[:-4].split("/")
            found.setdefault(folder, []).append((image, "" if name.endswith("-bar") else name.replace("-", ", ")))
    return columns([Column(title_of(k), colour_of(k), pictures) for k, pictures in found.items()], WIDTH, line)
