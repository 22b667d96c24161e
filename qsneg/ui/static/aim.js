// A page that looks inside: the query is chosen by click or arrow keys.
// `element`, `trigger` and `watch` are what gradio gives to a component of HTML.
{
let held = null, next = null, sent = 0;  // the pixel that was reached last; the one to be sent; when one was
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
});
}
