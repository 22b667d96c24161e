// The code's names of the controls, told where the pointer rests.
() => {
  for (const [name, text] of Object.entries($texts))
    for (const control of document.querySelectorAll(`.control.${name}`)) control.title = text;
}
