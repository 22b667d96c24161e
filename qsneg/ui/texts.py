"""Words of the app: of families, of papers, and what the pages say of themselves (two sentences on what is seen and how
to read it, the formula, the paper)."""

from qsneg.config import CUT, NEGCUT, QS_ATTN

FAMILIES = {
    "day2sunset": ("Photograph to sunset", "Trained on photographs of skies: animals may turn orange."),
    "horse2zebra-drawn": ("Drawn horse to zebra", "Trained on drawn scenes: on photographs it gives nothing useful."),
}
GUIDE = {
    "anchors": (
        "Entropy says how widely a position attends over the picture: low where it stands out, high where it resembles "
        "much else. QS-Attn asks its loss at the positions of lowest entropy, the anchors; here the same rule reads "
        "each "
        "method's features, with as many random positions, as CUT draws them, on the left.",
        "S = T·T<sup>⊤</sup>, &ensp; A<sub>ij</sub> = e<sup>S<sub>ij</sub></sup> / Σ<sub>k</sub> "
        "e<sup>S<sub>ik</sub></sup>, "
        "&ensp; h<sub>i</sub> = −Σ<sub>j</sub> A<sub>ij</sub> ln A<sub>ij</sub>; &ensp; anchors: the N positions of "
        "lowest h",
        "T holds a feature vector for every position. In local mode j runs over the window of 7 × 7 positions around "
        "i; "
        "local + global selects by local entropy and gathers along global rows. Entropies here are found through their "
        "logarithm, since many are too small for ordinary numbers.",
        (QS_ATTN, CUT),
    ),
    "attention": (
        "Choose a patch of the source: the first row shows where its attention goes, the other two how similar every "
        "patch of the source and of the translation is to it. Bright places are what the network takes for the same; "
        "the "
        "numbered boxes are the nearest ones, and one and the same patch is followed through all methods and layers.",
        "attention A<sub>qj</sub> = e<sup>t<sub>q</sub>·t<sub>j</sub></sup> / Σ<sub>k</sub> "
        "e<sup>t<sub>q</sub>·t<sub>k</sub></sup>, "
        "&ensp; similarity cos(q, j) = f<sub>q</sub>·f<sub>j</sub> with |f| = 1",
        "t are the generator's own features, f those after the projection head, which the loss compares.",
        (QS_ATTN,),
    ),
    "negatives": (
        "The chosen patch of the translation, the query, should be closer to the same place of the source, its "
        "positive, "
        "than to its negatives: the closer those are, the harder. CUT and QS-Attn take patches of the picture "
        "itself; NEGCUT "
        "generates negatives that have no place, so the nearest patch to each is looked up.",
        "loss = −ln [ e<sup>q·p/τ</sup> / (e<sup>q·p/τ</sup> + Σ<sub>n</sub> e<sup>q·n/τ</sup>) ], &ensp; τ = 0.07; "
        "&ensp; "
        "NEGCUT: n = N(mean f, z), &ensp; z ∼ 𝒩(0, 1)",
        "A triangle marks the nearest patch to a generated negative, not a place that it came from. Another noise seed "
        "gives other generated negatives, and other random positions.",
        (NEGCUT, CUT),
    ),
    "loss": (
        "The contrastive loss of every patch, under each method's own negatives and on one scale. It is high where the "
        "translation no longer resembles its own place in the source more than the negatives do.",
        "loss<sub>i</sub> = −ln [ e<sup>q<sub>i</sub>·p<sub>i</sub>/τ</sup> / "
        "(e<sup>q<sub>i</sub>·p<sub>i</sub>/τ</sup> + "
        "Σ<sub>n</sub> e<sup>q<sub>i</sub>·n/τ</sup>) ], &ensp; τ = 0.07",
        "CUT: negatives at random positions. QS-Attn, at layers 12 and 16: the gathered values of its anchors. NEGCUT: "
        "generated. A guess among N negatives and the positive costs ln(N + 1).",
        (CUT, QS_ATTN, NEGCUT),
    ),
    "film": (
        "What training recorded beside the weights: the translations of four fixed pictures, the entropies of their "
        "positions and their anchors, at about twenty steps. Play it, or move the slider, and see when the change "
        "comes and "
        "where the anchors go.",
        "steps of the frames: 0, then evenly spaced on a logarithmic scale",
        "A method whose training had no frame at a step shows its latest before it; nothing is interpolated.",
        (CUT, QS_ATTN, NEGCUT),
    ),
}


def opening(name: str) -> str:
    """A page's first lines; the formula and the papers are one click away."""
    read, formula, more, papers = GUIDE[name]
    links = ""
    for paper in papers:
        link = f'<a href="{paper.url}" target="_blank" rel="noopener">{paper.name}: {paper.title}</a>'
        links += f"<li>{link}, {paper.authors}</li>"
    return (
        f'<p class="read">{read}</p><details class="formula"><summary>Formula and paper</summary><p '
        f'class="math">{formula}</p>'
        f'<p class="note">{more}</p><ul>{links}</ul></details>'
    )
