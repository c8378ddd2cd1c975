// The few ways in which the page touches the document.
// Invariant: text goes in as text (`textContent`), never as markup; an element that already says it is left alone, so
// that screen readers and selections are not disturbed.

/**
 * The element that must be there.
 * @template {Element} E
 * @param {ParentNode} root
 * @param {string} selector
 * @param {new () => E} kind
 * @returns {E}
 */
export function find(root, selector, kind) {
  const found = root.querySelector(selector);
  if (!(found instanceof kind)) throw new Error(`the page lacks ${selector}`);
  return found;
}

/** @param {Element} element @param {string} text */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {HTMLElement} element @param {boolean} shown */
export function show(element, shown) {
  if (element.hidden === shown) element.hidden = !shown;
}

/**
 * Makes a list have `wanted` rows, copies of a `<template>`'s only child, and returns them.
 * @param {HTMLElement} list
 * @param {string} template its id
 * @param {number} wanted
 * @returns {HTMLElement[]}
 */
export function rows(list, template, wanted) {
  const model = find(document, `#${template}`, HTMLTemplateElement).content;
  while (list.children.length > wanted) list.lastElementChild?.remove();
  while (list.children.length < wanted) list.append(document.importNode(model, true));
  return /** @type {HTMLElement[]} */ ([...list.children]);
}
