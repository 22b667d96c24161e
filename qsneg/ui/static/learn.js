// The address of a run: whole in its field, copied on demand, and that of the page while the tab Learn is open.
// `element`, `trigger` and `watch` are what gradio gives to a component of HTML.
{
const show = () => requestAnimationFrame(() => {
  const box = element.querySelector("[data-run]");
  if (!box) return;
  const run = box.dataset.run, query = new URLSearchParams(location.search);
  box.querySelector("input").value = `${location.origin}${location.pathname}?run=${run}`;
  if (query.get("run") === run || !element.offsetParent) return;
  query.set("run", run);
  history.replaceState(null, "", "?" + query);
});
element.addEventListener("click", async (event) => {
  const button = event.target.closest(".copy"), field = element.querySelector("input");
  if (!button) return;
  field.select();
  try { await navigator.clipboard.writeText(field.value); } catch { document.execCommand("copy"); }
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
});
watch("value", show);
show();
}
