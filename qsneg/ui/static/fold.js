// On a phone the settings are folded at first.
() => { if (innerWidth < 800) document.querySelector("#settings > button")?.click() }
