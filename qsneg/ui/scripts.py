"""JavaScript of the pages: `element`, `trigger` and `watch` are what gradio gives to a gr.HTML's `js_on_load`."""

import json

CHOOSE = """element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) trigger("select", {index: Number(button.dataset.index)});
})"""
AIM = """let held = null, next = null, sent = 0;  // the pixel that was reached last; the one to be sent; when one was
const send = () => {  // one at a time, the latest next
  const mine = sent = Date.now(), at = next;
  next = null;
  setTimeout(() => { if (sent === mine) answered(); }, 3000);  // an answer may change nothing
  trigger("select", at);
};
const answered = () => { sent = 0; if (next) send(); };
const go = (stack, x, y) => {
  const {width, height} = stack.dataset, clamp = (v, most) => Math.min(Math.max(v, 0), most - 1);
  held = {x: clamp(x, +width), y: clamp(y, +height), time: Date.now()};
  next = {x: held.x, y: held.y};
  if (!sent) send();
};
watch("value", answered);
element.addEventListener("click", (event) => {
  const stack = event.target.closest(".aim");
  if (!stack) return;
  const box = stack.getBoundingClientRect(), {width, height} = stack.dataset;
  stack.focus({preventScroll: true});
  go(stack, Math.floor((event.clientX - box.left) / box.width * width),
     Math.floor((event.clientY - box.top) / box.height * height));
});
element.addEventListener("keydown", (event) => {
  const stack = event.target.closest(".aim");
  const way = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
  if (!stack || !way[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const {x, y, step} = stack.dataset, from = held && Date.now() - held.time < 1500 ? held : {x: +x, y: +y};
  const stride = (event.shiftKey ? 5 : 1) * step;
  go(stack, from.x + way[event.key][0] * stride, from.y + way[event.key][1] * stride);
});"""
FILM = """let timer = null;
const part = (name) => element.querySelector(name);
const show = () => {
  const film = part(".film");
  if (!film) return;
  const n = +part("input").value, steps = film.dataset.steps.split(" ");
  film.querySelectorAll("[data-from]").forEach((e) => { e.hidden = n < +e.dataset.from || n > +e.dataset.to; });
  part("output").textContent = "step " + Number(steps[n]).toLocaleString("en");
};
const stop = () => { clearInterval(timer); timer = null; if (part(".play")) part(".play").textContent = "Play"; };
element.addEventListener("input", (event) => { if (event.isTrusted) stop(); show(); });
element.addEventListener("click", (event) => {
  if (!event.target.closest(".play")) return;
  if (timer) return stop();
  const slider = part("input");
  if (+slider.value >= +slider.max) slider.value = 0;
  show();
  part(".play").textContent = "Pause";
  timer = setInterval(() => {
    const slider = part("input");
    if (!slider || !slider.offsetParent || +slider.value >= +slider.max) return stop();
    slider.value = +slider.value + 1;
    show();
  }, 650);
});
watch("value", show);"""
WIPE = """element.addEventListener("input", (event) => {  // the handle follows the slider: a drag from where it is
  const wrap = document.querySelector("#slider .slider-wrap .wrap"), handle = wrap?.querySelector(".outer");
  if (!handle) return;
  const box = handle.getBoundingClientRect(), picture = wrap.querySelector("img").getBoundingClientRect();
  const at = (type, target, x) => target.dispatchEvent(
    new MouseEvent(type, {bubbles: true, cancelable: true, view: window, clientX: x, clientY: box.top + 5}));
  const to = picture.left + event.target.value / 100 * picture.width;
  at("mousedown", handle, box.left + box.width / 2);
  at("mousemove", window, to);
  at("mouseup", window, to);
});"""
HANDLE = '<input type="range" min="0" max="100" value="50" aria-label="Place of the handle, percent of the width">'
FOLD = """() => { if (innerWidth < 800) document.querySelector("#settings > button")?.click() }"""  # on a phone

TOOLTIPS = (
    "() => { for (const [name, text] of Object.entries("
    + json.dumps(
        {
            "layer": "layer: index of the generator's layer whose features are read",
            "mode": "mode: what a position attends to: all positions, or a window of 7 × 7",
            "anchors": "num_anchors: how many positions of lowest entropy",
            "scale": "how values become colours",
            "seed": "seed: of random positions and of NEGCUT's noise",
            "opacity": "how strongly the map covers the picture",
            "count": "count: how many nearest patches",
            "radius": "radius: cells around the query that do not count as near",
            "row": "position: row on the layer's grid",
            "column": "position: column on the layer's grid",
        }
    )
    + ")) for (const e of document.querySelectorAll('.control.' + name)) e.title = text }"
)
OPACITY = "(value) => document.querySelector('#stage-%s').style.setProperty('--opacity', value)"
SAVE = "() => setTimeout(() => document.querySelector('#file-%s')?.click(), 200)"
