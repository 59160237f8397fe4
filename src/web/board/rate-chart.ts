// A rate over the last minutes as a small chart. The number beside it says what it shows, so a screen reader passes it over.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 180;
const HEIGHT = 36;

export function rateChart(rates: readonly number[], places: number): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("class", "rate-chart");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const highest = Math.max(...rates, 1e-9);
  const step = WIDTH / (places - 1);
  const start = WIDTH - (rates.length - 1) * step;
  const points = rates.map((rate, at) => `${(start + at * step).toFixed(1)},${(HEIGHT - 2 - (rate / highest) * (HEIGHT - 6)).toFixed(1)}`);
  if (points.length < 2) return svg;
  const area = document.createElementNS(SVG, "polygon");
  area.setAttribute("points", `${start.toFixed(1)},${HEIGHT} ${points.join(" ")} ${WIDTH},${HEIGHT}`);
  const line = document.createElementNS(SVG, "polyline");
  line.setAttribute("points", points.join(" "));
  svg.append(area, line);
  return svg;
}
