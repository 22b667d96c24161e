// Once the page is there: arrow keys between tabs, changes told to those who do not see them, the skip link's aim; on a
// phone the settings are folded.
() => {
  const phone = innerWidth < 800;
  const settings = document.querySelector("#settings");
  if (phone) settings?.querySelector("button").click();
  settings?.classList.add("told");
  document.querySelector("#pages")?.setAttribute("tabindex", "-1");
  document.addEventListener("click", (event) => {  // a place in the page, without its <base>, which would load it anew
    const place = event.target.closest?.('a[href^="#"]'), name = place?.getAttribute("href");
    const aim = place && (document.querySelector(`#about ${name}`) ?? document.querySelector(name));
    if (!aim) return;
    event.preventDefault();
    aim.scrollIntoView();
    if (!aim.hasAttribute("tabindex")) aim.tabIndex = -1;
    aim.focus({preventScroll: true});
  });
  document.addEventListener("keydown", (event) => {
    const tab = event.target.closest?.('[role="tab"]');
    if (!tab || event.ctrlKey || event.metaKey || event.altKey) return;
    const tabs = [...tab.closest('[role="tablist"]').querySelectorAll('[role="tab"]')], last = tabs.length - 1;
    const at = tabs.indexOf(tab);
    const to = {ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at ? at - 1 : last, Home: 0, End: last}[event.key];
    if (to === undefined) return;
    event.preventDefault();
    tabs[to].focus();
    tabs[to].click();
  });
  const said = document.querySelector("#said"), words = ".status, .outdated, .tabitem .summary, #own [role=status]";
  const there = () => [...document.querySelectorAll(words)].filter((e) => e.offsetParent).map((e) => e.innerText.trim());
  let told = null, timer = null;
  const tell = () => {
    for (const table of document.querySelectorAll("#about table:not([tabindex])")) table.tabIndex = 0;  // it may scroll
    const now = there(), fresh = now.filter((text) => text && told && !told.includes(text));
    told = now;
    if (fresh.length) said.textContent = fresh.join(" ");
  };
  new MutationObserver(() => { clearTimeout(timer); timer = setTimeout(tell, 100); }).observe(
    document.querySelector("#page"), {childList: true, subtree: true, characterData: true});
}
