// The wipe: two pictures under one handle, which follows the pointer and the slider.
// `element`, `trigger` and `watch` are what gradio gives to a component of HTML.
{
const kept = {left: "source", right: "", at: 50};  // over new pictures, where they are among them
const part = (name) => element.querySelector(name);
const turn = (side, key) => {
  const picture = part(`.pair .${side} img`), select = part(`select.${side}`);
  const file = part(".wipe").getAttribute(`data-file-${key}`);
  if (!file) return;
  kept[side] = select.value = key;
  picture.src = file;
  picture.alt = select.selectedOptions[0].text;
};
const move = (at) => {
  kept.at = Math.min(Math.max(at, 0), 100);
  part(".pair").style.setProperty("--at", `${kept.at}%`);
  part("input").value = kept.at;
};
const drag = (event) => {
  const box = part(".pair").getBoundingClientRect();
  move((event.clientX - box.left) / box.width * 100);
};
const again = () => {
  if (!part(".wipe")) return;
  for (const side of ["left", "right"]) turn(side, kept[side]);
  move(kept.at);
};
element.addEventListener("change", (event) => {
  if (event.target.matches("select")) turn(event.target.className, event.target.value);
});
element.addEventListener("input", (event) => { if (event.target.matches("input")) move(+event.target.value); });
element.addEventListener("pointerdown", (event) => {
  const pair = event.target.closest(".pair");
  if (!pair || event.button) return;
  pair.setPointerCapture(event.pointerId);
  drag(event);
});
element.addEventListener("pointermove", (event) => { if (event.buttons && event.target.closest(".pair")) drag(event); });
watch("value", () => requestAnimationFrame(again));
again();
}
