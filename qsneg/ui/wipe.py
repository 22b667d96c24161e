"""The wipe of the Compare page: any two of its pictures under one handle. What lies left and right, and where the
handle is, is the browser's: see static/wipe.js.

wipe(pictures)          # HTML; pictures: (key, title, file, alternative text)
"""

import html

TEXT = (
    "<h3>Wipe</h3><p>Drag the handle across the picture, or move the slider under it with the arrow keys. Choose any two "
    "pictures. What keeps its place under the handle has kept its shape.</p>"
)
HANDLE = "Place of the handle, percent of the width"


def wipe(files: dict[str, str], titles: dict[str, str], size: tuple[int, int]) -> str:
    """The wipe over pictures' files by key, of one size: at first the source left, the first translation right."""
    keys = list(files)
    choices = [choice(side, titles, keys[number]) for number, side in enumerate(("left", "right"))]
    pictures = "".join(
        f'<span class="{side}"><img src="{address(files[keys[n]])}" alt="{html.escape(titles[keys[n]])}" '
        'draggable="false"></span>'
        for n, side in ((1, "right"), (0, "left"))
    )
    shape = f"aspect-ratio: {size[0]}/{size[1]}; max-width: calc(75vh * {size[0] / size[1]:.3f})"
    known = " ".join(f'data-file-{key}="{address(file)}"' for key, file in files.items())
    return (
        f'<div class="wipe" {known}><div class="pane"><div class="ends">{"".join(choices)}</div>'
        f'<div class="pair" style="{shape}">{pictures}<i class="handle"></i></div>'
        f'<input type="range" min="0" max="100" step="0.5" value="50" aria-label="{HANDLE}"></div>'
        f'<div class="said">{TEXT}</div></div>'
    )


def choice(side: str, titles: dict[str, str], chosen: str) -> str:
    """Which picture lies on a side."""
    options = "".join(
        f'<option value="{key}"{" selected" * (key == chosen)}>{html.escape(title)}</option>'
        for key, title in titles.items()
    )
    return f'<select class="{side}" aria-label="Picture on the {side}">{options}</select>'


def address(file: str) -> str:
    """Where the browser finds a file that the app has written, from the page."""
    return html.escape(f"gradio_api/file={file}")
