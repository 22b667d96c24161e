// Start the download of a page's zip once it is there.
() => setTimeout(() => document.querySelector("#file-" + $name)?.click(), 200)
