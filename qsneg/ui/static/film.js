// A film: a slider and a button move all its frames.
// `element`, `trigger` and `watch` are what gradio gives to a component of HTML.
{
let timer = null;
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
watch("value", show);
}
