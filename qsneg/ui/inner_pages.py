"""The pages beside Compare: each of `qsneg.pages` with its tab, its controls, its pictures and its download."""

from collections.abc import Iterator

import gradio as gr

from qsneg.pages.page import Looked, Page
from qsneg.pages.selection import Selection
from qsneg.ui import texts
from qsneg.ui.archive import archive
from qsneg.ui.components import AT_ONCE, PRIVATE, script
from qsneg.ui.feature_cache import Views
from qsneg.ui.film_buttons import FilmButtons
from qsneg.ui.line import Wish
from qsneg.ui.selection import Subject, Visit
from qsneg.ui.shown_page import PAGES, Bases, ShownPage


class InnerPage(ShownPage):
    """A page in its tab."""

    def __init__(self, page: Page, views: Views, visit: Visit, bases: Bases):
        with gr.Tab(page.title, id=page.name) as self.tab:
            super().__init__(page, views, visit, bases)
            gr.HTML(texts.opening(page.words))
            self.bar()
            with gr.Row(elem_classes="line"):
                self.head = gr.HTML(elem_classes="grow")
                self.films = FilmButtons(self) if page.moves else None
                look = dict(size="sm", scale=0, min_width=190, elem_classes="quiet")
                self.zip = gr.Button("Download everything (zip)", **look)
                self.file = gr.DownloadButton("zip", visible="hidden", elem_id=f"file-{page.name}")
            self.place()
        self.connect(self.visit.tab, *self.files())

    def opened(self, subject, selection, shown, held, latest=None) -> Iterator[dict]:
        yield {self.visit.tab: self.page.name}
        yield from super().opened(subject, selection, shown, held, latest)

    def turn_to(self, looking: Wish) -> str:
        """The tab was chosen."""
        looking.make()
        return self.page.name

    def filled(self, subject: Subject, selection: Selection, looked: Looked) -> dict:
        files = {part: gr.update(visible=bool(looked.seen)) for part in self.files()}
        return super().filled(subject, selection, looked) | files

    def files(self) -> list:
        """What gives the page as files, once there is something on it."""
        return [self.zip, *([self.films.place] if self.films else [])]

    def download(self, subject, shown) -> str:
        """Everything on the page, as it is shown, in one zip."""
        if shown is None:
            raise gr.Error("There is nothing on this page yet.", print_exception=False)
        subject, selection = shown
        *_, seen = self.page.steps(self.views, subject)
        looked = self.page.look(seen, selection)
        return archive(self.page, subject, looked, selection, self.page.files(looked, selection))

    def wire(self, tooltips: str) -> None:
        super().wire()
        turned = self.tab.select(self.turn_to, self.visit.looking, self.visit.tab, **AT_ONCE)
        self.follow(turned).then(None, js=tooltips, **PRIVATE)
        minimal = PAGES | dict(show_progress="minimal")
        made = self.zip.click(self.download, [self.visit.subject, self.shown], self.file, **minimal)
        made.success(None, js=script("save.js", name=self.page.name), **PRIVATE)
        if self.films:
            self.films.wire(**PAGES)
