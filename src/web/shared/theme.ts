// Light or dark, before anything is drawn: this runs in the head of each page. The page's button goes from what the
// system says to the one and to the other.

const KEY = "taskhub.theme";
const NEXT: Record<string, string> = { system: "light", light: "dark", dark: "system" };
const LABELS: Record<string, string> = { system: "Theme: as the system", light: "Theme: light", dark: "Theme: dark" };

function stored(): string {
  try {
    const theme = localStorage.getItem(KEY) ?? "system";
    return theme in NEXT ? theme : "system";
  } catch {
    return "system";
  }
}

function apply(theme: string): void {
  document.documentElement.dataset["theme"] = theme;
  const button = document.getElementById("theme");
  if (!button) return;
  button.title = LABELS[theme] ?? "";
  button.setAttribute("aria-label", LABELS[theme] ?? "");
}

function next(): void {
  const theme = NEXT[stored()] ?? "system";
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // For this page alone.
  }
  apply(theme);
}

apply(stored());
document.addEventListener("DOMContentLoaded", () => {
  apply(stored());
  document.getElementById("theme")?.addEventListener("click", next);
});
addEventListener("storage", (event) => event.key === KEY && apply(stored()));
