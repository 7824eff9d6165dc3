"use strict";
// What every section uses. Texts are user data: they reach the page through text nodes and setAttribute alone.

const report = JSON.parse(document.getElementById("report-data").textContent);
const outside = report.intents.length; // the label after the last intent: out-of-scope, or rejected
const WHOLE_NUMBER = new Intl.NumberFormat("en-US");
const SVG = "http://www.w3.org/2000/svg";

function byId(id) {
  return document.getElementById(id);
}

function add(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** A new element; a child is another element, or a text. */
function make(tag, attributes = {}, ...children) {
  return add(document.createElement(tag), attributes, children);
}

function draw(tag, attributes = {}, ...children) {
  return add(document.createElementNS(SVG, tag), attributes, children);
}

function button(text, onClick, look = "") {
  const made = make("button", { type: "button", class: look }, text);
  made.addEventListener("click", onClick);
  return made;
}

/** An entry of a picture's key. */
function swatch(text, colour) {
  const made = make("span", {}, text);
  made.style.setProperty("--swatch", colour);
  return made;
}

function percent(share, digits = 1) {
  return share === null || share === undefined || Number.isNaN(share) ? "–" : `${(100 * share).toFixed(digits)}%`;
}

function count(number) {
  return WHOLE_NUMBER.format(number);
}

function trueName(label) {
  return label === outside ? "(out-of-scope)" : report.intents[label];
}

function predictedName(label) {
  return label === outside ? `${report.unknown} (rejected)` : report.intents[label];
}

function isAccepted(row, threshold = report.threshold) {
  return report.utterances.energy[row] <= threshold;
}

/** A table with one heading row. A cell is a text, a number or an element; texts stand left, all else right. */
function fillTable(table, headings, rows, leftColumns = 1) {
  const align = (column) => (column < leftColumns ? { class: "text" } : {});
  const cell = (tag, value, column) => make(tag, align(column), value instanceof Node ? value : String(value));
  const line = (tag, values) => make("tr", {}, ...values.map((value, column) => cell(tag, value, column)));
  table.replaceChildren(
    make("thead", {}, line("th", headings)),
    make("tbody", {}, ...rows.map((row) => line("td", row))),
  );
  for (const heading of table.tHead.rows[0].cells) heading.scope = "col";
}

/** Runs `redraw` with the element's size, once it is laid out and whenever its width changes; asking would lay it out. */
function onWidth(element, redraw) {
  let drawn = 0;
  new ResizeObserver((entries) => {
    const { width, height } = entries.at(-1).contentRect;
    if (!width || width === drawn) return;
    drawn = width;
    redraw(Math.floor(width), height);
  }).observe(element);
}
