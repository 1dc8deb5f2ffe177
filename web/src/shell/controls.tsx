//! The few controls that the page is made of.

import type { ButtonHTMLAttributes, ReactNode } from 'react';

type ButtonProps = ButtonHTMLAttributes<HTMLButtonElement> & { ref?: React.Ref<HTMLButtonElement> };

/** A square button with an icon; `label` is its name and its tooltip. */
export function IconButton({ label, children, className = '', ...rest }: ButtonProps & { label: string; children: ReactNode }) {
  return (
    <button
      type="button"
      aria-label={label}
      title={label}
      className={`grid size-8 shrink-0 place-items-center rounded-lg text-muted pointer-coarse:size-10 hover:bg-hover hover:text-ink disabled:opacity-40 disabled:hover:bg-transparent aria-pressed:bg-accent-tint aria-pressed:text-accent ${className}`}
      {...rest}
    >
      {children}
    </button>
  );
}

/** A quiet button with words. */
export function TextButton({ className = '', ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      className={`inline-flex min-h-7 items-center pointer-coarse:min-h-9 gap-2 rounded-lg border border-line bg-page px-3 text-sm whitespace-nowrap text-ink hover:border-edge hover:bg-hover disabled:opacity-50 ${className}`}
      {...rest}
    />
  );
}

/** A calm dot: something is going on and its length is not known. */
export function Busy() {
  return <span aria-hidden="true" className="inline-block size-2 shrink-0 animate-[breathe_1.2s_ease-in-out_infinite] rounded-full bg-accent" />;
}
