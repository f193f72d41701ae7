import type { components } from "./types";

export type FieldProblem = components["schemas"]["FieldProblem"];

/** What a refusal says: the service's problem+json, or one made up where no JSON came. */
export class ApiProblem extends Error {
  constructor(
    readonly status: number,
    readonly kind: string,
    readonly title: string,
    readonly detail: string,
    readonly fields: readonly FieldProblem[] = [],
    readonly requestId: string | null = null,
    readonly retryAfterS: number | null = null,
  ) {
    super(`${title}: ${detail}`);
    this.name = "ApiProblem";
  }
}

/** The service did not answer at all. */
export class ApiAway extends Error {
  constructor(readonly path: string) {
    super(`no answer to ${path}`);
    this.name = "ApiAway";
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function fieldsOf(given: unknown): FieldProblem[] {
  if (!Array.isArray(given)) return [];
  return given.filter(isRecord).map((entry) => ({
    field: String(entry.field ?? ""),
    given: entry.given ?? null,
    allowed: String(entry.allowed ?? ""),
  }));
}

/** Read a refusal; anything that is no problem+json (a proxy's page, say) becomes one with its status. */
export async function problemOf(response: Response): Promise<ApiProblem> {
  const requestId = response.headers.get("x-request-id");
  const wait = Number(response.headers.get("retry-after"));
  const retryAfterS = response.headers.has("retry-after") && Number.isFinite(wait) ? wait : null;
  const body: unknown = await response.json().catch(() => null);
  if (!isRecord(body) || typeof body.title !== "string") {
    const title = response.statusText || "The service refused";
    return new ApiProblem(response.status, "unknown", title, `HTTP ${response.status}`, [], requestId, retryAfterS);
  }
  const kind =
    String(body.type ?? "")
      .split(":")
      .at(-1) ?? "unknown";
  return new ApiProblem(
    response.status,
    kind,
    body.title,
    String(body.detail ?? ""),
    fieldsOf(body.errors),
    requestId,
    retryAfterS,
  );
}
