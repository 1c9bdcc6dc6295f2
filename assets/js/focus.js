// Brings something that appeared with the page to attention: a summary of errors.
export function attach(element) {
  element.focus();
}
