"""A sheet: pictures in rows and columns under headings.

from qsneg.rendering.sheets import grid
grid([("source", "black"), ("CUT", "#0072B2")], [[(source, ""), (result, "0.93")]]).save("sheet.png")
"""

from PIL import Image, ImageDraw, ImageFont

CELL, GAP, MARGIN, INK = 192, 8, 28, "#333333"


def grid(heads: list[tuple[str, str]], rows: list[list[tuple[Image.Image, str]]]) -> Image.Image:
    """Pictures in rows under headings (text, colour), each with a word on its lower edge, if any."""
    step = CELL + GAP
    picture = Image.new("RGB", (len(heads) * step + GAP, len(rows) * step + GAP + MARGIN), "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(15)
    for x, (head, colour) in enumerate(heads):
        pen.text((GAP + x * step, GAP), head, colour, font)
    for y, row in enumerate(rows):
        for x, (cell, word) in enumerate(row):
            left, top = GAP + x * step, MARGIN + GAP + y * step
            picture.paste(cell.resize((CELL, CELL), Image.Resampling.LANCZOS), (left, top))
            if word:
                pen.rectangle((left, top + CELL - 22, left + 40, top + CELL), "white")
                pen.text((left + 4, top + CELL - 20), word, INK, font)
    return picture
