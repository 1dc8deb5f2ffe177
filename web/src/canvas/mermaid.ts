//! Mermaid text to a clean SVG element. Loaded only when a diagram is first looked at.
//!
//! The text comes from a model, so: its directives are made comments (one of them would bring HTML labels back), strict
//! mode, no HTML labels, parsed before it is drawn, and the SVG sanitised before it enters the page.

import DOMPurify from 'dompurify';
import mermaid from 'mermaid';
import { decodeEntities } from '../markdown/text';
import type { Theme } from '../shell/theme';
import { sideways, withoutDirectives } from './source';

/** A drawn diagram, or the reason why there is none. */
export type Drawing = { readonly svg: SVGSVGElement } | { readonly failure: string };

/** What Mermaid's variables do not reach: the table's name stands out, and a label covers the line behind it. */
const style = (page: string) => `
  .marker circle { fill: ${page}; }
  .label.name tspan { font-weight: 600; }
  .edgeLabel .background, .edgeLabel rect { opacity: 1; }
  .edgeLabel .label { font-size: 13px; }
`;

let count = 0;
let configured: Theme | undefined;
let queue: Promise<unknown> = Promise.resolve();

/** Draws one diagram after the other; Mermaid's configuration is global and must not change under a drawing. */
export function draw(source: string, theme: Theme): Promise<Drawing> {
  const drawing = queue.then(() => drawNow(source, theme));
  queue = drawing;
  return drawing;
}

async function drawNow(source: string, theme: Theme): Promise<Drawing> {
  configure(theme);
  try {
    const text = sideways(withoutDirectives(source));
    await mermaid.parse(text);
    const { svg } = await mermaid.render(`diagram-${++count}`, text);
    return { svg: clean(svg) };
  } catch (error) {
    return { failure: error instanceof Error ? (error.message.split('\n')[0] ?? '') : 'unknown' };
  }
}

function configure(theme: Theme): void {
  if (configured === theme) return;
  configured = theme;
  mermaid.initialize({
    startOnLoad: false,
    securityLevel: 'strict',
    // What text may not change, should a directive be found after all.
    secure: ['secure', 'securityLevel', 'startOnLoad', 'maxTextSize', 'maxEdges', 'suppressErrorRendering', 'htmlLabels', 'themeCSS', 'themeVariables', 'fontFamily', 'er', 'flowchart'],
    htmlLabels: false,
    suppressErrorRendering: true,
    maxTextSize: 200_000,
    maxEdges: 2_000,
    deterministicIds: true,
    fontFamily: getComputedStyle(document.body).fontFamily,
    theme: 'base',
    themeVariables: colours(theme),
    themeCSS: style(colourOf('page')),
    er: { useMaxWidth: false, fontSize: 13, minEntityWidth: 80, nodeSpacing: 32, rankSpacing: 96, diagramPadding: 8 },
  });
}

/** A colour of the page. Read from it, so that the diagram always agrees with what surrounds it. */
function colourOf(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** The page's colours in Mermaid's names. */
function colours(theme: Theme): Record<string, string | boolean> {
  const of = colourOf;
  return {
    darkMode: theme === 'dark',
    fontSize: '13px',
    background: of('page'),
    mainBkg: of('page'),
    primaryColor: of('accent-tint'),
    primaryTextColor: of('ink'),
    primaryBorderColor: of('edge'),
    nodeBorder: of('edge'),
    lineColor: of('muted'),
    textColor: of('ink'),
    tertiaryColor: of('side'),
    edgeLabelBackground: of('page'),
    rowOdd: of('page'),
    rowEven: of('side'),
    attributeBackgroundColorOdd: of('page'),
    attributeBackgroundColorEven: of('side'),
  };
}

function clean(svg: string): SVGSVGElement {
  const safe = DOMPurify.sanitize(svg, { USE_PROFILES: { svg: true, svgFilters: true }, RETURN_DOM_FRAGMENT: true });
  const element = safe.querySelector('svg');
  if (!element) throw new Error('the diagram is empty');
  decodeTexts(element);
  return element;
}

/** Mermaid leaves `#34;` as an entity in SVG text, where nobody decodes it. As text it cannot become markup any more. */
function decodeTexts(svg: SVGSVGElement): void {
  for (const span of svg.querySelectorAll('tspan')) {
    if (span.childElementCount === 0 && span.textContent.includes('&')) span.textContent = decodeEntities(span.textContent);
  }
}

/** The diagram as the text of a file that stands alone. */
export function toFile(svg: SVGSVGElement, background: string): string {
  const copy = svg.cloneNode(true) as SVGSVGElement;
  const { width, height } = sizeOf(svg);
  copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  copy.setAttribute('width', String(width));
  copy.setAttribute('height', String(height));
  copy.removeAttribute('style');
  copy.style.background = background;
  return `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(copy)}\n`;
}

/** The diagram's own size in pixels. */
export function sizeOf(svg: SVGSVGElement): { width: number; height: number } {
  const [, , width = 0, height = 0] = (svg.getAttribute('viewBox') ?? '').split(/[\s,]+/).map(Number);
  return { width: width || 800, height: height || 600 };
}
