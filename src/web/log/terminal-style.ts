// Colours and weights of a terminal: "select graphic rendition" of ECMA-48, section 8.3.117, with the 256 and the true
// colours of xterm.

export interface Style {
  /** One of the 16 colours of the terminal, by number, or `#rrggbb`. */
  colour: string | null;
  background: string | null;
  bold: boolean;
  dim: boolean;
  italic: boolean;
  underline: boolean;
  inverse: boolean;
}

export const PLAIN: Style = Object.freeze({
  colour: null, background: null, bold: false, dim: false, italic: false, underline: false, inverse: false,
});

/** The style after `parameters`, such as `1;31`. */
export function styled(before: Style, parameters: string): Style {
  const codes = parameters.split(/[;:]/).map((code) => (code === "" ? 0 : Number(code)));
  const style = { ...before };
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at] as number;
    if (code === 38 || code === 48) {
      const [colour, used] = extended(codes, at + 1);
      at += used;
      if (code === 38) style.colour = colour;
      else style.background = colour;
    } else {
      apply(style, code);
    }
  }
  return style;
}

function apply(style: Style, code: number): void {
  if (code === 0) Object.assign(style, PLAIN);
  else if (code === 1) style.bold = true;
  else if (code === 2) style.dim = true;
  else if (code === 3) style.italic = true;
  else if (code === 4) style.underline = true;
  else if (code === 7) style.inverse = true;
  else if (code === 22) style.bold = style.dim = false;
  else if (code === 23) style.italic = false;
  else if (code === 24) style.underline = false;
  else if (code === 27) style.inverse = false;
  else if (code >= 30 && code <= 37) style.colour = String(code - 30);
  else if (code === 39) style.colour = null;
  else if (code >= 40 && code <= 47) style.background = String(code - 40);
  else if (code === 49) style.background = null;
  else if (code >= 90 && code <= 97) style.colour = String(code - 90 + 8);
  else if (code >= 100 && code <= 107) style.background = String(code - 100 + 8);
}

/** A colour of `38;5;n` or `38;2;r;g;b`, and how many numbers it takes. */
function extended(codes: number[], at: number): [string | null, number] {
  if (codes[at] === 5) return [indexed(codes[at + 1] ?? 0), 2];
  if (codes[at] === 2) return [hex(codes[at + 1], codes[at + 2], codes[at + 3]), 4];
  return [null, 1];
}

function indexed(index: number): string {
  if (index < 16) return String(index);
  if (index >= 232) {
    const grey = 8 + (index - 232) * 10;
    return hex(grey, grey, grey);
  }
  const level = (step: number) => (step === 0 ? 0 : 55 + step * 40);
  const cube = index - 16;
  return hex(level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6));
}

function hex(...parts: (number | undefined)[]): string {
  return `#${parts.map((part) => Math.min(255, Math.max(0, Math.trunc(part ?? 0) || 0)).toString(16).padStart(2, "0")).join("")}`;
}
