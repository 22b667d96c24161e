// Zoom and pan: all pictures of the comparison together. x and y are what lies left and above, as shares of a picture.
// `element`, `trigger` and `watch` are what gradio gives to a component of HTML.
{
const pages = element.closest("#pages"), state = {zoom: 1, x: 0, y: 0}, PICTURES = ".card .image-frame img, .wipe .pair";
const clamp = (v, most) => Math.min(Math.max(v, 0), most);
const show = () => {
  const most = 1 - 1 / state.zoom;
  state.x = clamp(state.x, most); state.y = clamp(state.y, most);
  pages.style.setProperty("--zoom", state.zoom);
  pages.style.setProperty("--left", `${-100 * state.x * state.zoom}%`);
  pages.style.setProperty("--top", `${-100 * state.y * state.zoom}%`);
  pages.classList.toggle("zoomed", state.zoom > 1);
  element.querySelector("output").textContent = `${Math.round(100 * state.zoom)}\u202f%`;
};
const zoom = (factor, u = 0.5, v = 0.5) => {  // around a place, in shares of what is seen
  const x = state.x + u / state.zoom, y = state.y + v / state.zoom;
  state.zoom = Math.min(Math.max(state.zoom * factor, 1), 16);
  if (state.zoom < 1.02) state.zoom = 1;
  state.x = x - u / state.zoom; state.y = y - v / state.zoom;
  show();
};
const pan = (u, v) => { state.x += u / state.zoom; state.y += v / state.zoom; show(); };
const place = (event, frame) => {
  const box = frame.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
};
const frame = (event) => event.target.closest?.(PICTURES) && event.target.closest(".image-frame, .pair");
element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) zoom(+button.dataset.factor);
});
element.addEventListener("keydown", (event) => {
  const way = {ArrowLeft: [-0.2, 0], ArrowRight: [0.2, 0], ArrowUp: [0, -0.2], ArrowDown: [0, 0.2]}[event.key];
  if (!way || state.zoom === 1) return;
  event.preventDefault();
  pan(...way);
});
pages.addEventListener("wheel", (event) => {
  const over = frame(event);
  if (!over || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  zoom(Math.exp(-event.deltaY / 200), ...place(event, over));
}, {passive: false});
pages.addEventListener("dblclick", (event) => {
  const over = frame(event);
  if (over) zoom(state.zoom > 1 ? 1 / 16 : 3, ...place(event, over));
});
let held = null;
pages.addEventListener("pointerdown", (event) => {
  const over = frame(event);
  if (over && !over.matches(".pair") && state.zoom > 1) held = {over, at: place(event, over)};
});
pages.addEventListener("pointermove", (event) => {
  if (!held || !event.buttons) return;
  const at = place(event, held.over);
  pan(held.at[0] - at[0], held.at[1] - at[1]);
  held.at = at;
});
addEventListener("pointerup", () => { held = null; });
pages.addEventListener("dragstart", (event) => { if (state.zoom > 1 && frame(event)) event.preventDefault(); });
}
