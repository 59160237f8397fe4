// Swagger UI over the hub's own specification, below the bar of the other pages. Its "Authorize" takes a token; one that
// was typed on another page is used until then. A stream never ends, so instead of "Execute" it has a link to the monitor.

import { bearer } from "../shared/access.ts";

const STREAM = "/api/events/stream";
const LOG_STREAM = "/api/exec/{task_id}/logs/stream";

interface Request {
  headers: Record<string, string>;
}

declare function SwaggerUIBundle(options: Record<string, unknown>): void;

SwaggerUIBundle({
  dom_id: "#ui",
  url: "/openapi.json",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: false,
  validatorUrl: null,
  // The whole list of schemas is long; the operations are what people look for.
  defaultModelsExpandDepth: 0,
  docExpansion: "list",
  onComplete: finish,
  requestInterceptor(request: Request) {
    const header = bearer()["Authorization"];
    if (header && !request.headers["Authorization"]) request.headers["Authorization"] = header;
    return request;
  },
});

function finish(): void {
  mend(document.body);
  new MutationObserver((records) => {
    for (const { addedNodes } of records) for (const node of addedNodes) if (node instanceof Element) mend(node.parentElement ?? node);
  }).observe(document.body, { childList: true, subtree: true });
}

/** Mends what Swagger UI leaves without a name, and gives the streams a way out. */
function mend(root: Element): void {
  const around = root.closest<HTMLElement>(".opblock");
  for (const block of around ? [around] : root.querySelectorAll<HTMLElement>(".opblock")) offerMonitor(block);
  // Each part is a landmark, and the headings below the title are of the second level.
  for (const [part, label] of [[".information-container", "About this API"], [".scheme-container", "Server and token"]] as const) {
    for (const node of root.querySelectorAll(`${part}:not([role])`)) {
      node.setAttribute("role", "region");
      node.setAttribute("aria-label", label);
    }
  }
  for (const heading of root.querySelectorAll("#ui .info .renderedMarkdown h3:not([aria-level])")) heading.setAttribute("aria-level", "2");
  // A link inside a button: the button writes the same address.
  for (const link of root.querySelectorAll(".opblock-summary-control a[href]")) link.removeAttribute("href");
  for (const field of root.querySelectorAll<HTMLElement>("select:not([aria-label]), input:not([aria-label]), textarea:not([aria-label])")) {
    if ([...((field as HTMLInputElement).labels ?? [])].some((label) => ownText(label) !== "")) continue;
    const row = field.closest("tr")?.getAttribute("data-param-name");
    field.setAttribute("aria-label", field.title || row || field.id || (field as HTMLInputElement).placeholder || "Value");
  }
  for (const button of root.querySelectorAll<HTMLElement>("button:not([aria-label])")) {
    if (!button.textContent?.trim() && !button.title) button.setAttribute("aria-label", "Show or hide");
  }
  // Boxes that scroll have to be reached by the keyboard.
  for (const box of root.querySelectorAll<HTMLElement>(".highlight-code > pre, .microlight, .example pre")) box.tabIndex = 0;
}

/** The text of a label, without that of the field in it. */
function ownText(label: HTMLLabelElement): string {
  const copy = label.cloneNode(true) as HTMLLabelElement;
  for (const field of copy.querySelectorAll("select, input, textarea")) field.remove();
  return copy.textContent?.trim() ?? "";
}

function offerMonitor(block: HTMLElement): void {
  const path = block.querySelector<HTMLElement>(".opblock-summary-path")?.dataset["path"];
  const slot = block.querySelector<HTMLElement>(".try-out");
  if (!slot || (path !== STREAM && path !== LOG_STREAM) || slot.dataset["replaced"]) return;
  slot.dataset["replaced"] = "true";
  const link = document.createElement("a");
  link.className = "btn open-monitor";
  link.href = path === STREAM ? "/test_sse.html" : "/";
  link.textContent = path === STREAM ? "Open in the event monitor" : "Logs are shown on the board";
  slot.replaceChildren(link);
}
