// The page is shown once it is whole. gradio's parts come in files of their own, in any order, and each moves the others.
(() => {
  const parts = ["#to-cards", "#picture button", "#examples button", "#family input", "#methods input", "#size input", "#go",
    "#own button", "#pages [role=tab]", "#save", "#cards .image-container", "#wipe .pane"];
  const page = document.documentElement.classList;
  let since = null;  // some part is there: it does not wait for others for ever, such as those of a comparison that failed
  const look = () => {
    since ??= document.querySelector("#go") && performance.now();
    const whole = parts.every((part) => document.querySelector(part));
    whole || (since && performance.now() > since + 4000) ? page.remove("coming") : requestAnimationFrame(look);
  };
  page.add("coming");
  look();
})();
