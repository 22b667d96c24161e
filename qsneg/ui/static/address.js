// The address of what is looked at: a new page of the app is a step back, anything else is not.
// `element`, `trigger` and `watch` are what gradio gives to a component of HTML.
{
const OURS = ["family", "example", "tab", "methods", "size", "at", "tour"];
const asks = (query) => OURS.some((name) => new URLSearchParams(query).has(name));
const page = (query) => new URLSearchParams(query).get("tab") ?? "compare";
let restoring = asks(location.search), shown = location.search;
const wanted = [...new URLSearchParams(location.search)].filter(([name]) => OURS.includes(name));
const restored = (query) => wanted.every(([name, value]) => new URLSearchParams(query).get(name) === value);
watch("value", () => requestAnimationFrame(() => {
  const query = element.querySelector("[data-query]")?.dataset.query;
  if (!query || !location.search && navigator.userActivation?.hasBeenActive === false) return;  // nobody has chosen yet
  const theme = new URLSearchParams(location.search).get("__theme");
  const run = page(query) === "learn" ? document.querySelector("[data-run]")?.dataset.run : "";  // of the page Learn
  const address = query + (run ? `&run=${run}` : "") + (theme ? `&__theme=${theme}` : "");
  restoring = restoring && !restored(address);
  if (restoring || address === location.search) return;  // what is there first is not what the address asks for
  history[page(address) === page(location.search) ? "replaceState" : "pushState"](null, "", address);
  shown = location.search;
}));
addEventListener("popstate", () => { if (location.search !== shown) location.reload(); });  // not for a place in the page
if (restoring) {
  const press = () => {
    const button = document.querySelector("#restore");
    if (button) button.click(); else setTimeout(press, 50);
  };
  setTimeout(press, 0);
  setTimeout(() => { restoring = false; }, 20000);  // what cannot be restored is left behind
}
}
