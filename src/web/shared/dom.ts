// Small helpers to build elements. Everything the hub says goes in as text, never as markup: `el` has no way to set
// innerHTML.

import { icon as iconOf } from "./icons.ts";
import { marked } from "./marks.ts";

export const icon = iconOf;

type Child = Node | string | null | undefined | false;
type Listeners = { [K in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[K]) => void };

export interface Props {
  class?: string;
  text?: unknown;
  title?: string | undefined;
  data?: Record<string, string>;
  on?: Listeners;
  /** Any other property or attribute. */
  [name: string]: unknown;
}

/** One element. */
export function el<K extends keyof HTMLElementTagNameMap>(tag: K, props: Props = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null) continue;
    if (name === "class") node.className = String(value);
    else if (name === "text") node.textContent = marked(value);
    else if (name === "title") node.title = marked(value);
    else if (name === "data") Object.assign(node.dataset, value);
    else if (name === "on") {
      for (const [type, listener] of Object.entries(value as Listeners)) node.addEventListener(type, listener as EventListener);
    } else if (name in node && !name.startsWith("aria-")) Reflect.set(node, name, value);
    else node.setAttribute(name, String(value));
  }
  node.append(...children.filter((child): child is Node | string => child !== null && child !== undefined && child !== false));
  return node;
}

/** The element that the page has under this id. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const node = document.getElementById(id);
  if (!node) throw new Error(`the page has no #${id}`);
  return node as T;
}

/** Sets the text only if it differs: a change destroys what is selected. */
export function setText(node: HTMLElement, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}
