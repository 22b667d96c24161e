// The examples: a click chooses one.
// `element`, `trigger` and `watch` are what gradio gives to a component of HTML.
element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) trigger("select", {index: Number(button.dataset.index)});
})
