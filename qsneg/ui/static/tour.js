// The tour: a dialog over the page, whose steps are walked with buttons, dots and arrow keys; Escape closes it.
// `element`, `trigger` and `watch` are what gradio gives to a component of HTML.
{
const tour = element.closest("#tour"), part = (name) => tour.querySelector(name);
const parts = (name) => [...tour.querySelectorAll(name)], last = $count;
let now = 0, opener = null, told = "";
tour.setAttribute("role", "dialog");
tour.setAttribute("aria-modal", "true");
tour.setAttribute("aria-labelledby", "tour-title");
tour.tabIndex = -1;
const behind = () => [...tour.parentElement.children].filter((e) => e !== tour);
const tell = () => {  // once a step is filled: its first picture can be reached with the keyboard, its words are told
  const step = part(`#step-${now}`), picture = step?.querySelector(".aim");
  if (picture) picture.tabIndex = 0;
  const text = [".title", ".band > .note"].map((e) => step?.querySelector(e)?.innerText ?? "").join(". ");
  if (text === told || text.length < 5) return;
  told = text;
  part(".unseen").textContent = `Step ${now} of ${last}: ${text}`;
};
const show = (step) => {
  const was = now;
  now = step;
  tour.classList.toggle("open", now > 0);
  document.documentElement.classList.toggle("touring", now > 0);
  for (const e of behind()) e.inert = now > 0;
  if (!now) { opener?.focus(); opener = null; return; }
  parts(".step").forEach((e, n) => e.classList.toggle("now", n + 1 === now));
  parts(".dots button").forEach((e, n) => e.toggleAttribute("aria-current", n + 1 === now));
  part(".count").textContent = `${now} of ${last}`;
  part(".back").disabled = now === 1;
  part(".next").textContent = now === last ? "Done" : "Next";
  part(".leads").textContent = `Open the page ${part(`.dots [data-step="${now}"]`).dataset.page}`;
  part("#step-" + now).scrollTop = 0;
  if (!was) tour.focus({preventScroll: true});
  else if (document.activeElement.disabled || document.activeElement === document.body) part(".next").focus();
  tell();
};
const go = (step, left = 0) => {  // left: the step from which its page is opened
  if (step === now || step < 0 || step > last) return;
  show(step);
  trigger("select", {step, left});
};
document.addEventListener("click", (event) => {
  const button = event.target.closest?.("button");
  if (now && event.isTrusted && event.target.isConnected && !tour.contains(event.target)) { go(0); return; }  // beside it
  if (!button) return;
  if (button.id === "to-tour") { opener = button; go(1); return; }
  if (!tour.contains(button)) return;
  if (button.matches("[data-step]")) go(+button.dataset.step);
  else if (button.matches(".back")) go(now - 1);
  else if (button.matches(".next")) go(now === last ? 0 : now + 1);
  else if (button.matches(".leads")) {
    const title = part(`.dots [data-step="${now}"]`).dataset.page;
    go(0, now);
    const tab = [...document.querySelectorAll("#pages [role=tab]")].find((e) => e.innerText.trim() === title);
    tab?.focus();
    tab?.click();
  }
});
document.addEventListener("keydown", (event) => {
  if (!now || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") { event.preventDefault(); go(0); return; }
  if (event.key === "Tab") {  // it stays within
    const all = parts("button, input, summary, [tabindex='0']").filter((e) => e.offsetParent && !e.disabled);
    const edge = event.shiftKey ? all[0] : all.at(-1), other = event.shiftKey ? all.at(-1) : all[0];
    if (document.activeElement === edge || document.activeElement === tour && event.shiftKey) {
      event.preventDefault();
      other.focus();
    }
    return;
  }
  if (event.target.closest?.("input, .aim")) return;  // whose arrow keys do something else
  const way = {ArrowRight: 1, ArrowLeft: -1}[event.key];
  if (way && now + way) go(now + way);
});
new MutationObserver(() => requestAnimationFrame(() => { if (now) tell(); })).observe(tour, {childList: true, subtree: true});
const asked = +(new URLSearchParams(location.search).get("tour") ?? 0);
if (Number.isInteger(asked) && asked > 0 && asked <= last) {
  const ready = () => {
    if (!part(".foot") || !document.querySelector("#restore")) { setTimeout(ready, 50); return; }
    opener = document.querySelector("#to-tour");
    go(asked);
  };
  setTimeout(ready, 0);
}
}
