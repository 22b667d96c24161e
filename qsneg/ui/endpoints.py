"""The typed endpoints, for gradio_client and MCP."""

from collections.abc import Iterator

import gradio as gr

from qsneg.bounds import ATTENTION_MODES
from qsneg.pages import PAGES
from qsneg.pages.page import Page
from qsneg.pages.recorded import PICTURES
from qsneg.pages.selection import Selection
from qsneg.rendering import moving, sample_pictures, sheets
from qsneg.rendering.colormaps import title_of
from qsneg.training.film import check_layer
from qsneg.ui import limits
from qsneg.ui.archive import archive
from qsneg.ui.arguments import asked, methods_of, text, whole
from qsneg.ui.compare import Comparison, labelled, steps
from qsneg.ui.components import FILES, MODEL, Choice, Picture, Whole, kept, stored
from qsneg.ui.feature_cache import Views
from qsneg.ui.selection import Subject, chosen


class Endpoints:
    """Functions over the models, with gradio's hidden components that give each its types."""

    def __init__(self, models, views: Views):
        self.models, self.views = models, views

    def translate(self, picture, method="cut", family="day2sunset", size=256, progress=gr.Progress()):
        """Translate a picture with one method.

        Args:
            picture: the picture to translate
            method: cut, qs-attn or negcut, or another method that /models lists
            family: what the model translates: day2sunset or horse2zebra-drawn, or another that /models lists
            size: short side of the result in pixels, from 64 to 2048

        Returns:
            The translated picture, a PNG file
        """
        method = text("method", method)
        comparison = self.last(picture, family, [method], size, progress)
        return stored(comparison.results[0].image, method, family, comparison.size)

    def compare(self, picture, methods=None, family="day2sunset", size=256, progress=gr.Progress()):
        """Translate a picture with several methods and lay the results side by side.

        Args:
            picture: the picture to translate
            methods: names of methods that /models lists; none for all that the family has
            family: what the models translate: day2sunset or horse2zebra-drawn, or another that /models lists
            size: short side of each picture in pixels, from 64 to 2048

        Returns:
            One labelled picture: the source, the translations, and for a drawn scene its true counterpart; and facts:
            width and height of each picture, the device, and the seconds that each method took
        """
        comparison = self.last(picture, family, methods, size, progress)
        width, height = comparison.source.size
        facts = {
            "family": family,
            "width": width,
            "height": height,
            "device": comparison.device,
            "seconds": {result.method: round(result.seconds, 3) for result in comparison.results},
        }
        facts |= {"note": comparison.note} if comparison.note else {}
        return stored(labelled(comparison), "comparison", family, int(size)), facts

    def list_models(self) -> list[dict]:
        """List the models: name, family, method, title, and the card of each (data, steps, figures).

        Returns:
            One object for each model
        """
        return [
            {
                "name": f"{family}/{method}",
                "family": family,
                "method": method,
                "title": title_of(method),
                "card": self.models.card(family, method),
            }
            for family, methods in self.models.families().items()
            for method in methods
        ]

    def draw(self, index=0, size=256):
        """Draw a test scene of horses, and the same scene with zebras: its true counterpart.

        Args:
            index: which scene of the test split, from 0
            size: side of the square pictures in pixels, a multiple of 4 from 32 to 2048

        Returns:
            The scene with horses, to be translated; and with zebras, to compare a translation with
        """
        index, size = whole("index", index, 0, 999_999), whole("size", size, *limits.DRAWN)
        seed = sample_pictures.test_seed(index)
        return tuple(stored(sample_pictures.scene(seed, size, d), "scene", index, d) for d in "AB")

    def last(self, picture, family, methods, size, progress) -> Comparison:
        """A comparison, its steps told to `progress`; without methods, of all that the family has."""
        family, methods, size = text("family", family), methods_of(methods), whole("working size", size, *limits.SIZES)
        methods = methods or self.models.families().get(family, [])
        work = steps(self.models, picture, family, methods, size)
        for number, step in enumerate(self.models.line.served(work)):
            if isinstance(step, str):
                progress((number, len(methods)), desc=step, unit="methods")
        return step

    def anchors(
        self,
        picture,
        methods=None,
        family="day2sunset",
        size=256,
        layer=16,
        mode="global",
        number=0,
        seed=0,
        progress=gr.Progress(),
    ):
        """Find the entropies and anchors (QS-Attn's selection) in each method's features of a picture.

        Args:
            picture: the picture to look into
            methods: names of methods that /models lists; none for all that the family has
            family: which models: day2sunset or horse2zebra-drawn, or another that /models lists
            size: short side in pixels; a large picture is inspected at a reduced size, which the numbers state
            layer: 0, 4, 8, 12 or 16
            mode: global, local or local+global; layers with many positions are always read in local mode
            number: how many anchors; 0 for as many as the patches of the models, the fewest of them
            seed: of the random positions beside them

        Returns:
            One labelled sheet of pictures; numbers per method: concentration in words, anchors and random positions
            as row and column, entropies' quartiles, loss; and a zip with all pictures and arrays
        """
        selection = asked(mode, layer=layer, anchors=number, seed=seed)
        return self.inspected("anchors", picture, methods, family, size, selection, progress)

    def attention(
        self,
        picture,
        x=-1,
        y=-1,
        methods=None,
        family="day2sunset",
        size=256,
        layer=12,
        mode="global",
        neighbours=6,
        radius=2,
        progress=gr.Progress(),
    ):
        """Follow one patch of a picture: its attention row, its similarity maps, its nearest patches, in each method.

        Args:
            picture: the picture to look into
            x: column of the query in pixels of the inspected source, from 0; −1 for the middle
            y: row of the query in pixels of the inspected source, from 0; −1 for the middle
            methods: names of methods that /models lists; none for all that the family has
            family: which models: day2sunset or horse2zebra-drawn, or another that /models lists
            size: short side in pixels; a large picture is inspected at a reduced size, which the numbers state
            layer: 0, 4, 8, 12 or 16
            mode: global or local
            neighbours: how many nearest patches
            radius: how many cells around the query do not count as nearest

        Returns:
            One labelled sheet of pictures; numbers per method: the position on the layer's grid, attention to itself,
            nearest patches with their cosines; and a zip with all pictures and arrays
        """
        selection = asked(mode, x=x, y=y, layer=layer, count=neighbours, radius=radius)
        return self.inspected("attention", picture, methods, family, size, selection, progress)

    def negatives(
        self,
        picture,
        x=-1,
        y=-1,
        methods=None,
        family="day2sunset",
        size=256,
        layer=12,
        mode="global",
        seed=0,
        gamma=10,
        progress=gr.Progress(),
    ):
        """Compare one patch of the translation with its positive and its negatives, in each method.

        Args:
            picture: the picture to look into
            x: column of the query in pixels of the inspected source, from 0; −1 for the middle
            y: row of the query in pixels of the inspected source, from 0; −1 for the middle
            methods: names of methods that /models lists; none for all that the family has
            family: which models: day2sunset or horse2zebra-drawn, or another that /models lists
            size: short side in pixels; a large picture is inspected at a reduced size, which the numbers state
            layer: 0, 4, 8, 12 or 16
            mode: how QS-Attn selects its negatives: global, local or local+global
            seed: of the random positions and of NEGCUT's noise
            gamma: of hDCE's weights, from 10 (the hardest) to 50

        Returns:
            One labelled sheet of pictures; numbers per method: similarity to the positive, the hardest negatives with
            their positions (of a generated one its nearest patch, a look-up), shares of the softmax, and how the force
            is spread under the weights of four papers; and a zip with all pictures and arrays
        """
        selection = asked(mode, x=x, y=y, layer=layer, seed=seed, gamma=gamma)
        return self.inspected("negatives", picture, methods, family, size, selection, progress)

    def film(self, methods=None, family="day2sunset", number=1, layer=16):
        """Give the film of a family's training: translations and anchors of one of four pictures, step by step.

        Args:
            methods: names of methods that /models lists; none for all that the family has
            family: which models: day2sunset or horse2zebra-drawn, or another that /models lists
            number: which of the four pictures that training recorded, from 1 to 4
            layer: whose anchors: 12 or 16

        Returns:
            The film, an animated WebP; and numbers per method: steps, and how many anchors stay from frame to frame,
            with the share of them, beside the share that would by chance
        """
        family, methods, size = text("family", family), methods_of(methods), limits.OFFERED[0]
        methods = self.models.check(family, methods or self.models.families().get(family, []), size)
        number, layer = whole("number of the picture", number, 1, PICTURES), whole("layer", layer)
        check_layer(layer)
        selection, subject = chosen(picture=number - 1, film_layer=layer), Subject("", "", family, tuple(methods), size)
        selection, looked = list(looked_at(PAGES["film"], self.views, subject, selection))[-1]
        if not looked.seen:
            raise ValueError(f"There is no film beside these weights of {family}: training records one.")
        frames, _ = PAGES["film"].film(looked, selection, family)
        name = f"qsneg-film-{family}-picture-{number}.webp"
        facts = {"family": family, "methods": PAGES["film"].facts(looked, selection)}
        return kept(moving.encoded(frames, "webp"), name), facts | ({"absent": looked.absent} if looked.absent else {})

    def what_if(
        self,
        picture,
        x=-1,
        y=-1,
        methods=None,
        family="day2sunset",
        size=256,
        layer=12,
        mode="global",
        seed=0,
        negatives=0,
        tau=0,
        away=0,
        first=1,
        near_x=-1,
        near_y=-1,
        progress=gr.Progress(),
    ):
        """Compute the loss of every patch anew, with other negatives or another temperature, in each method.

        Args:
            picture: the picture to look into
            x: column of the chosen patch in pixels of the inspected source, from 0; −1 for the middle
            y: row of the chosen patch in pixels of the inspected source, from 0; −1 for the middle
            methods: names of methods that /models lists; none for all that the family has
            family: which models: day2sunset or horse2zebra-drawn, or another that /models lists
            size: short side in pixels; a large picture is inspected at a reduced size, which the numbers state
            layer: 0, 4, 8, 12 or 16
            mode: how QS-Attn selects its negatives: global, local or local+global
            seed: of the random positions and of NEGCUT's noise
            negatives: how many negatives; 0 for as many as the patches of the models, the fewest of them
            tau: the temperature in hundredths; 0 for the models' own
            away: how many negatives are taken away
            first: the hardest of those, counted from the one most similar to the chosen patch, 1
            near_x: column of a place in pixels, whose nearest negatives are taken away; −1 for the hardest instead
            near_y: row of that place

        Returns:
            One labelled sheet of pictures; numbers per method: loss and length of its gradient, their means and at the
            chosen patch, beside those as trained, and where the negatives taken away lie; and a zip with all pictures
            and arrays
        """
        numbers = dict(rivals=negatives, tau=tau, away=away, first=first, near_x=near_x, near_y=near_y)
        selection = asked(mode, x=x, y=y, layer=layer, seed=seed, **numbers)
        return self.inspected("what-if", picture, methods, family, size, selection, progress)

    def inspected(self, name, picture, methods, family, size, selection: Selection, progress):
        """A page as one sheet, numbers and a zip."""
        family, methods, size = text("family", family), methods_of(methods), whole("working size", size, *limits.SIZES)
        methods = self.models.check(family, methods or self.models.families().get(family, []), size)
        subject = Subject(picture, self.models.sources.read(picture).digest, family, tuple(methods), size)
        page, progressed = PAGES[name], 0
        for found in self.models.line.served(looked_at(page, self.views, subject, selection)):
            if isinstance(found, str):
                progress((progressed, 2 * len(methods)), desc=found, unit="steps")
                progressed += 1
        selection, looked = found
        files = page.files(looked, selection)
        (width, height), layer = selection.size, selection.layer
        line = f"qsneg, {name}, {family}, {width} by {height} pixels, layer {layer}"
        facts = {"family": family, "width": width, "height": height, "methods": files["summary.json"]}
        facts |= {"absent": looked.absent} if looked.absent else {}
        made = archive(page, subject, looked, selection, files)
        return stored(sheets.of_files(files, line), name, family, f"layer-{layer}"), facts, made

    def build(self) -> None:
        """Declare them; their components are not shown."""
        families, methods = self.models.families(), self.models.present()
        with gr.Group(visible=False):
            picture = Picture(label="Picture", **FILES)
            free = dict(allow_custom_value=True)
            method = Choice(methods, value=next(iter(methods), None), label="Method", **free)
            several = Choice(methods, multiselect=True, label="Methods", **free)
            family = Choice(list(families), value=next(iter(families), None), label="Family", **free)
            size = Whole(limits.OFFERED[0], precision=0, label="Working size")
            index = Whole(0, precision=0, label="Index")
            numbers = {"Layer": 12, "Number": 0, "Seed": 0, "x": -1, "y": -1, "Neighbours": 6, "Radius": 2, "γ": 10}
            usual = [Whole(v, precision=0, label=k) for k, v in numbers.items()]
            layer, number, seed, x, y, near, radius, gamma = usual
            mode = Choice(list(ATTENTION_MODES), value="global", label="Mode", **free)
            archive, film = gr.File(label="Pictures, arrays and numbers"), gr.File(label="Film")
            image, other = (Picture(format="png", label=label) for label in ("Picture", "Counterpart"))
            numbers = {"τ": 0, "Away": 0, "First": 1, "Near x": -1, "Near y": -1}
            others = [Whole(v, precision=0, label=k) for k, v in numbers.items()]
            facts, button = gr.JSON(label="Facts"), gr.Button()
        button.click(self.translate, [picture, method, family, size], image, api_name="translate", **MODEL)
        button.click(self.compare, [picture, several, family, size], [image, facts], api_name="compare", **MODEL)
        look, seen = [several, family, size, layer, mode], [image, facts, archive]
        button.click(self.anchors, [picture, *look, number, seed], seen, api_name="anchors", **MODEL)
        button.click(self.attention, [picture, x, y, *look, near, radius], seen, api_name="attention", **MODEL)
        button.click(self.negatives, [picture, x, y, *look, seed, gamma], seen, api_name="negatives", **MODEL)
        asked_if = [picture, x, y, *look, seed, number, *others]
        button.click(self.what_if, asked_if, seen, api_name="what_if", **MODEL)
        button.click(self.film, [several, family, number, layer], [film, facts], api_name="film")
        button.click(self.draw, [index, size], [image, other], api_name="draw")
        gr.api(self.list_models, api_name="models")


def looked_at(page: Page, views: Views, subject: Subject, selection: Selection) -> Iterator[str | tuple]:
    """A sentence before everything slow; at last the selection as it applies, and what there is to see."""
    for seen in page.steps(views, subject):
        if isinstance(seen, str):
            yield seen
    selection = page.fit(selection, seen)
    yield from page.prepare(seen, selection)
    yield selection, page.look(seen, selection)
