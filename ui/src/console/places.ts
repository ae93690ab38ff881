// Who and what in the house can be called.

import { TARGET_WORDS, type TargetKind } from "./choices";
import { post } from "./server";

export interface Place {
  kind: TargetKind;
  /** As the plan writes it: "group:sales". */
  target: string;
  title: string;
  number: string;
}

export interface PlacesAsked {
  search?: string;
  target?: string;
  limit?: number;
}

export function places(asked: PlacesAsked, signal?: AbortSignal): Promise<Place[]> {
  return post<Place[]>("/phone/places", asked, signal);
}

/** What is said of it beside its title. */
export function placeHint({ kind, number }: Place): string {
  return kind === "extension" ? number : `${TARGET_WORDS[kind].toLowerCase()} · ${number}`;
}
