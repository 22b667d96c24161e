// The value of a map under the pointer or the finger, with its unit and its place; it lies over the page and moves nothing.
() => {
  const told = document.createElement("div"), decoded = new WeakMap();
  told.className = "value";
  told.hidden = true;
  told.ariaHidden = "true";
  document.querySelector(".gradio-container").append(told);
  const steps = (image) => {  // of a map, read once
    if (!decoded.has(image)) {
      const [rows, columns] = image.dataset.shape.split(","), bytes = Uint8Array.from(atob(image.dataset.values), (c) => c.charCodeAt(0));
      decoded.set(image, bytes.length > rows * columns ? new Uint16Array(bytes.buffer) : bytes);
    }
    return decoded.get(image);
  };
  const digits = (value) => String(Number(value.toPrecision(3))).replace("-", "−");
  const written = (value, isLog) => {  // as on the colour bars: small ones as powers of ten
    const power = isLog ? value / Math.LN10 : Math.log10(Math.abs(value));
    if (!(power < -2.5)) return digits(isLog ? Math.exp(value) : value);
    if (value === 0 && !isLog) return "0";
    const whole = Math.floor(power), sign = !isLog && value < 0 ? "−" : "";
    const raised = String(-whole).replace(/[0-9]/g, (n) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[n]);
    return `${sign}${(10 ** (power - whole)).toFixed(1)}·10⁻${raised}`;
  };
  const words = (image, event) => {
    const box = image.closest(".stack").getBoundingClientRect(), {shape, grid, ends, unit, log} = image.dataset;
    const [[rows, columns, top, left], [width, height, stride, margin], [low, high]] = [shape, grid, ends].map((v) => v.split(",").map(Number));
    const at = (share, side, first, count) => {  // the place that a click there chooses, as Grid.position has it
      const pixel = Math.min(Math.max(Math.floor(share * side), 0), side - 1);
      return Math.min(Math.ceil((pixel + margin) / stride - 0.5) - first, count - 1);
    };
    const row = at((event.clientY - box.top) / box.height, height, top, rows);
    const column = at((event.clientX - box.left) / box.width, width, left, columns);
    const all = steps(image), most = (all instanceof Uint16Array ? 65535 : 255) - 1, step = all[row * columns + column];
    const place = `row ${row + top}, column ${column + left}`;
    if (step > most) return `${place}: not looked at`;
    return `${place}: <b>${written(low + step / most * (high - low), +log)}</b> ${unit}`;
  };
  const tell = (event) => {
    const stack = event.target.closest?.(".stack");
    const image = stack && [...stack.querySelectorAll("img.over[data-values]")].find((e) => e.offsetParent);
    told.hidden = !image;
    if (!image) return;
    told.innerHTML = words(image, event);
    const {offsetWidth: width, offsetHeight: height} = told, x = event.clientX + 14, y = event.clientY - height - 10;
    told.style.left = `${Math.max(4, Math.min(x, innerWidth - width - 4))}px`;
    told.style.top = `${y < 4 ? event.clientY + 18 : y}px`;
  };
  for (const name of ["pointermove", "pointerdown"]) document.addEventListener(name, tell, {passive: true});
  for (const name of ["pointerleave", "scroll", "keydown"]) document.addEventListener(name, () => { told.hidden = true; }, {passive: true, capture: name === "scroll"});
}
