// Runs in the explorer's element whenever a control moves: hands each value to the style sheet, shows the chosen film,
// and keeps the middle of the film in the middle when the zoom changes.
const films = [...this.querySelectorAll('.bss-film')], chosen = this.querySelector('select').value;
films.forEach((film, number) => film.parentElement.hidden = number != chosen);
const film = films[chosen];
const across = (film.scrollLeft + film.clientWidth / 2) / film.scrollWidth;
const down = (film.scrollTop + film.clientHeight / 2) / film.scrollHeight;
for (const control of this.querySelectorAll('input')) {
  const value = control.type == 'checkbox' ? +control.checked : control.value;
  this.style.setProperty('--' + control.name, value);
  if (control.nextElementSibling) control.nextElementSibling.value = value;
}
film.scrollLeft = across * film.scrollWidth - film.clientWidth / 2;
film.scrollTop = down * film.scrollHeight - film.clientHeight / 2;
