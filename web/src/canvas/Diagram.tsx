//! The ER diagram: drawn, moved, zoomed, exported, and listed below for those who read.

import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState, type KeyboardEvent, type PointerEvent, type RefObject } from 'react';
import { fileName, saveFile } from '../conversation/transcript';
import { IconButton } from '../shell/controls';
import { DownloadIcon, FitIcon, MinusIcon, PlusIcon } from '../shell/icons';
import { useTheme } from '../shell/theme';
import { draw, sizeOf, toFile, type Drawing } from './mermaid';
import { fit, moveBy, wheelFactor, zoomAt, type Placement } from './panzoom';
import { readEntities } from './relations';

/** One diagram with its toolbar and its list. */
export default function Diagram({ source, title }: { source: string; title: string }) {
  const drawing = useDrawing(source);
  if (drawing === undefined) return <p className="p-4 text-sm text-muted" role="status">Drawing…</p>;
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      {'svg' in drawing ? <Picture svg={drawing.svg} title={title} /> : <Undrawable failure={drawing.failure} source={source} />}
      <Entities source={source} />
    </div>
  );
}

function useDrawing(source: string): Drawing | undefined {
  const theme = useTheme();
  const [drawing, setDrawing] = useState<Drawing>();
  useEffect(() => {
    let wanted = true;
    void draw(source, theme).then((next) => wanted && setDrawing(next));
    return () => {
      wanted = false;
    };
  }, [source, theme]);
  return drawing;
}

function Picture({ svg, title }: { svg: SVGSVGElement; title: string }) {
  const view = useRef<HTMLDivElement>(null);
  const sheet = useRef<HTMLDivElement>(null);
  const { placement, setPlacement, fitIn } = usePlacement(svg, view, sheet);
  const gestures = useGestures(view, setPlacement);
  const zoom = (factor: number) => {
    const box = view.current?.getBoundingClientRect();
    if (box) setPlacement((before) => zoomAt(before, factor, box.width / 2, box.height / 2));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const done = onKey(event.key, zoom, fitIn, setPlacement);
    if (done) event.preventDefault();
  };
  return (
    <div className="relative min-h-0 flex-1 border-b border-line">
      <div
        ref={view}
        data-testid="diagram"
        tabIndex={0}
        role="group"
        aria-label={`Diagram: ${title}. Arrow keys move, plus and minus zoom, zero fits`}
        onKeyDown={onKeyDown}
        {...gestures}
        className="absolute inset-0 cursor-grab touch-none overflow-hidden select-none active:cursor-grabbing"
      >
        <div
          ref={sheet}
          className="absolute top-0 left-0 origin-top-left"
          style={{ transform: `translate(${placement.x}px, ${placement.y}px) scale(${placement.scale})` }}
        />
      </div>
      <div className="absolute right-3 bottom-3 flex items-center rounded-lg border border-line bg-page">
        <IconButton label="Zoom out" onClick={() => zoom(1 / 1.25)}><MinusIcon /></IconButton>
        <span className="w-10 text-center text-sm text-muted tabular-nums" data-testid="zoom">{Math.round(placement.scale * 100)}%</span>
        <IconButton label="Zoom in" onClick={() => zoom(1.25)}><PlusIcon /></IconButton>
        <IconButton label="Fit the diagram" onClick={fitIn}><FitIcon /></IconButton>
        <IconButton label="Save as SVG" data-testid="export-svg" onClick={() => save(svg, title)}><DownloadIcon /></IconButton>
      </div>
    </div>
  );
}

type SetPlacement = (change: (before: Placement) => Placement) => void;

function onKey(key: string, zoom: (factor: number) => void, fitIn: () => void, move: SetPlacement): boolean {
  const steps: Record<string, [number, number]> = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };
  const step = steps[key];
  if (step) move((before) => moveBy(before, ...step));
  else if (key === '+' || key === '=') zoom(1.25);
  else if (key === '-') zoom(1 / 1.25);
  else if (key === '0') fitIn();
  else return false;
  return true;
}

/** Puts the drawing on its sheet and keeps it fitted until the person moves it. */
function usePlacement(svg: SVGSVGElement, view: RefObject<HTMLDivElement | null>, sheet: RefObject<HTMLDivElement | null>) {
  const [placement, place] = useState<Placement>({ x: 0, y: 0, scale: 1 });
  const touched = useRef(false);
  const fitIn = useCallback(() => {
    touched.current = false;
    if (view.current) place(fit(sizeOf(svg), { width: view.current.clientWidth, height: view.current.clientHeight }));
  }, [svg, view]);
  useLayoutEffect(() => {
    const { width, height } = sizeOf(svg);
    svg.setAttribute('width', String(width));
    svg.setAttribute('height', String(height));
    svg.style.maxWidth = 'none';
    svg.setAttribute('aria-hidden', 'true');
    sheet.current?.replaceChildren(svg);
    fitIn();
    const sizes = new ResizeObserver(() => !touched.current && fitIn());
    if (view.current) sizes.observe(view.current);
    return () => sizes.disconnect();
  }, [svg, view, sheet, fitIn]);
  const setPlacement = useCallback<SetPlacement>((change) => {
    touched.current = true;
    place(change);
  }, []);
  return { placement, setPlacement, fitIn };
}

/** Drag with one pointer, pinch with two, zoom with the wheel. */
function useGestures(view: RefObject<HTMLDivElement | null>, move: SetPlacement) {
  const pointers = useRef(new Map<number, { x: number; y: number }>());
  useEffect(() => {
    const element = view.current;
    if (!element) return;
    // React's own wheel listener is passive and could not keep the page from zooming.
    const onWheel = (event: WheelEvent) => {
      event.preventDefault();
      const box = element.getBoundingClientRect();
      move((before) => zoomAt(before, wheelFactor(event.deltaY, event.ctrlKey), event.clientX - box.left, event.clientY - box.top));
    };
    element.addEventListener('wheel', onWheel, { passive: false });
    return () => element.removeEventListener('wheel', onWheel);
  }, [view, move]);
  const onPointerDown = (event: PointerEvent<HTMLDivElement>) => {
    event.currentTarget.setPointerCapture(event.pointerId);
    pointers.current.set(event.pointerId, { x: event.clientX, y: event.clientY });
  };
  const onPointerMove = (event: PointerEvent<HTMLDivElement>) => {
    const last = pointers.current.get(event.pointerId);
    if (!last) return;
    const next = { x: event.clientX, y: event.clientY };
    pointers.current.set(event.pointerId, next);
    const other = [...pointers.current].find(([id]) => id !== event.pointerId)?.[1];
    if (!other) return move((before) => moveBy(before, next.x - last.x, next.y - last.y));
    const box = event.currentTarget.getBoundingClientRect();
    const factor = Math.hypot(next.x - other.x, next.y - other.y) / Math.max(Math.hypot(last.x - other.x, last.y - other.y), 1);
    move((before) => zoomAt(before, factor, (next.x + other.x) / 2 - box.left, (next.y + other.y) / 2 - box.top));
  };
  const onPointerEnd = (event: PointerEvent) => void pointers.current.delete(event.pointerId);
  return { onPointerDown, onPointerMove, onPointerUp: onPointerEnd, onPointerCancel: onPointerEnd };
}

function save(svg: SVGSVGElement, title: string): void {
  const background = getComputedStyle(document.documentElement).getPropertyValue('--page').trim();
  saveFile(fileName(title, 'svg'), 'image/svg+xml', toFile(svg, background));
}

function Undrawable({ failure, source }: { failure: string; source: string }) {
  return (
    <div className="min-h-0 flex-1 overflow-auto border-b border-line p-4">
      <p className="mb-3 text-sm text-bad">This diagram cannot be drawn ({failure}). Its text is kept here</p>
      <pre tabIndex={0} className="overflow-auto rounded-lg bg-side p-3 text-sm leading-5">{source}</pre>
    </div>
  );
}

function Entities({ source }: { source: string }) {
  const entities = useMemo(() => readEntities(source), [source]);
  if (entities.length === 0) return null;
  return (
    <ul aria-label="Tables of the diagram" className="max-h-[32%] shrink-0 overflow-y-auto px-4 py-3 font-mono text-sm">
      {entities.map((entity) => (
        <li key={entity.name} className="py-0.5">
          {entity.name}
          {entity.references.length > 0 && (
            <ul className="ml-1 border-l border-line pl-3 text-muted">
              {entity.references.map((reference, index) => (
                <li key={index}>{reference.label && `${reference.label} `}→ {reference.to}</li>
              ))}
            </ul>
          )}
        </li>
      ))}
    </ul>
  );
}
