// A line chart of votes per minute. The pets' lines differ by dashes and marks as well as by colour. The last minute is
// still running: it is not part of the lines, but a mark of its own.

import { attempt } from './fallbacks.js';

const SVG = 'http://www.w3.org/2000/svg';
const MARGIN = { top: 1, right: 1.2, bottom: 2, left: 3.7 }; // in the size of the letters

// The marks, centred on the origin, as in the page's legend (result.qtpl).
const MARKS = {
  dogs: 'M0-4a4 4 0 1 0 0 8a4 4 0 1 0 0-8Z',
  cats: 'M-4-4h8v8h-8Z',
  lizards: 'M0-4.5l5 8.5h-10Z',
};

export class Chart {
  #element;
  #pets;
  #minutes = [];
  #marked = -1;
  #cursor;
  #width = 0;
  #height = 0;
  #em = 0; // the size of the letters
  #margin = {};
  #max = 1;

  // Calls pick(index) when a pointer is over a minute.
  constructor(element, { pets, pick }) {
    this.#element = element;
    this.#pets = pets;
    const resized = attempt(() => new ResizeObserver(() => this.#draw()));
    if (resized) resized.observe(element);
    else addEventListener('resize', () => this.#draw());
    const read = (event) => {
      const x = event.clientX - element.getBoundingClientRect().left;
      const last = this.#minutes.length - 1;
      const index = Math.round(((x - this.#margin.left) / this.#plotWidth()) * last);
      pick(Math.min(Math.max(index, 0), last));
    };
    element.addEventListener('pointermove', read);
    element.addEventListener('pointerdown', read);
    element.addEventListener('pointerleave', (event) => {
      if (event.pointerType === 'mouse') pick(this.#minutes.length - 1);
    });
  }

  show(minutes) {
    this.#minutes = minutes;
    this.#draw();
  }

  // Marks one minute.
  point(index) {
    this.#marked = index;
    this.#drawCursor();
  }

  #draw() {
    this.#width = this.#element.clientWidth;
    this.#height = this.#element.clientHeight;
    if (this.#minutes.length === 0 || this.#width === 0) return;
    this.#em = Number.parseFloat(getComputedStyle(this.#element).fontSize);
    for (const side in MARGIN) this.#margin[side] = MARGIN[side] * this.#em;
    this.#max = axisEnd(Math.max(...this.#minutes.flatMap((minute) => this.#pets.map((pet) => minute[pet]))));

    const svg = draw('svg', { width: this.#width, height: this.#height, 'aria-hidden': 'true', focusable: 'false' });
    svg.append(...this.#axes(), ...this.#pets.flatMap((pet) => this.#line(pet)));
    this.#cursor = draw('g', { class: 'cursor' });
    svg.append(this.#cursor);
    this.#element.replaceChildren(svg);
    this.#drawCursor();
  }

  #axes() {
    const parts = [];
    for (const value of [0, this.#max / 2, this.#max]) {
      if (!Number.isInteger(value)) continue;
      const y = this.#y(value);
      parts.push(draw('path', { class: 'grid', d: `M${this.#margin.left} ${y}h${this.#plotWidth()}` }));
      parts.push(draw('text', { class: 'tick', x: this.#margin.left - 0.6 * this.#em, y: y + this.#em / 3, 'text-anchor': 'end' }, short(value)));
    }
    const wanted = (4 * this.#em * this.#minutes.length) / this.#plotWidth(); // minutes between two ticks, at least
    const every = [15, 30].find((minutes) => minutes >= wanted) ?? 60;
    this.#minutes.forEach(({ minute }, i) => {
      const time = new Date(minute);
      if (time.getMinutes() % every !== 0) return;
      const x = this.#x(i);
      if (x > this.#width - 2 * this.#em) return;
      parts.push(draw('path', { class: 'grid', d: `M${x} ${this.#y(0)}v4` }));
      const text = time.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
      parts.push(draw('text', { class: 'tick', x, y: this.#height - this.#em / 2, 'text-anchor': 'middle' }, text));
    });
    return parts;
  }

  #line(pet) {
    const points = this.#minutes.slice(0, -1).map((minute, i) => `${this.#x(i)} ${this.#y(minute[pet])}`);
    const last = this.#minutes.length - 1;
    return [
      draw('path', { class: 'line', 'data-pet': pet, d: `M${points.join('L')}` }),
      this.#mark(pet, last),
    ];
  }

  #mark(pet, index) {
    const at = `translate(${this.#x(index)} ${this.#y(this.#minutes[index][pet])})`;
    return draw('path', { class: 'mark', 'data-pet': pet, d: MARKS[pet], transform: at });
  }

  #drawCursor() {
    if (!this.#cursor || !this.#minutes[this.#marked]) return;
    const x = this.#x(this.#marked);
    this.#cursor.replaceChildren(
      draw('path', { class: 'guide', d: `M${x} ${this.#margin.top}V${this.#y(0)}` }),
      ...this.#pets.map((pet) => this.#mark(pet, this.#marked)),
    );
  }

  #plotWidth() {
    return this.#width - this.#margin.left - this.#margin.right;
  }

  #x(index) {
    return round(this.#margin.left + (index / (this.#minutes.length - 1)) * this.#plotWidth());
  }

  #y(votes) {
    return round(this.#height - this.#margin.bottom - (votes / this.#max) * (this.#height - this.#margin.top - this.#margin.bottom));
  }
}

// The end of the axis: the first of 4, 6, 8, 10, 20, 30, 40, 60, … that is at least n. Half of each is a whole number too.
function axisEnd(n) {
  for (let power = 1; ; power *= 10) {
    for (const step of [4, 6, 8, 10, 20, 30]) {
      if (n <= step * power) return step * power;
    }
  }
}

function short(n) {
  if (n >= 1e15) return n.toExponential().replace('+', '');
  return Intl.NumberFormat('en', { notation: 'compact' }).format(n);
}

function round(n) {
  return Math.round(n * 10) / 10;
}

function draw(name, attributes, text = '') {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
}
