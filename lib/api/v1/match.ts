/** Paths as the table of routes writes them, held against the segments of a request's path. */

export interface Match {
  readonly key: string;
}

/** Undefined when the path is not of this form. */
export function match(template: string, segments: readonly string[]): Match | undefined {
  const parts = template.slice(1).split("/");
  const at = parts.indexOf("{key}");
  if (at < 0) return parts.length === segments.length && parts.every((part, i) => part === segments[i]) ? { key: "" } : undefined;
  const behind = parts.length - at - 1;
  if (segments.length < parts.length) return undefined;
  const isSame = (part: string, i: number): boolean => part === segments[i < at ? i : segments.length - parts.length + i];
  if (!parts.every((part, i) => i === at || isSame(part, i))) return undefined;
  return { key: segments.slice(at, segments.length - behind).join("/") };
}
