/** How much harm can come of something, least first. */
export type Risk = 'low' | 'moderate' | 'high' | 'critical'

/** All risks, least first. */
export const RISKS: readonly Risk[] = Object.freeze(['low', 'moderate', 'high', 'critical'] as const)

/** Whether a risk is another, or worse. */
export function atLeast(risk: Risk, floor: Risk): boolean {
  return RISKS.indexOf(risk) >= RISKS.indexOf(floor)
}
