// Runs in the explorer's element when the pointer moves: a pressed pointer drags the divider, unless the film is zoomed.
const film = event.target.closest('.bss-film > div');
const zoom = this.querySelector('[name=zoom]').value, divider = this.querySelector('[name=divider]');
if (!film || !event.buttons || zoom > 1) return;
const place = film.getBoundingClientRect();
divider.value = (event.clientX - place.left) / place.width;
divider.dispatchEvent(new Event('input', { bubbles: true }));
