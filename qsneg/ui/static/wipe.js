// The slider under the wipe, for the keyboard.
// `element`, `trigger` and `watch` are what gradio gives to a component of HTML.
element.addEventListener("input", (event) => {  // the handle follows the slider: a drag from where it is
  const wrap = document.querySelector("#slider .slider-wrap .wrap"), handle = wrap?.querySelector(".outer");
  if (!handle) return;
  const box = handle.getBoundingClientRect(), picture = wrap.querySelector("img").getBoundingClientRect();
  const at = (type, target, x) => target.dispatchEvent(
    new MouseEvent(type, {bubbles: true, cancelable: true, view: window, clientX: x, clientY: box.top + 5}));
  const to = picture.left + event.target.value / 100 * picture.width;
  at("mousedown", handle, box.left + box.width / 2);
  at("mousemove", window, to);
  at("mouseup", window, to);
});
