// The map's opacity on the page that is looked at.
(value) => [...document.querySelectorAll(".stage")].find((e) => e.offsetParent)?.style.setProperty("--opacity", value)
