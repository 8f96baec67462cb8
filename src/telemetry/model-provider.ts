// Owns: whose model it is, read off its name, in the words of the GenAI conventions. Clients do not tell it, and a base URL
// may lead anywhere, so nothing else is asked.

/** OpenCode and gateways write `provider/model`; the last part tells. */
const PROVIDERS: readonly (readonly [RegExp, string])[] = [
  [/^claude/, 'anthropic'],
  [/^(?:gpt|chatgpt|codex|o\d)/, 'openai'],
  [/^gemini/, 'gcp.gemini'],
  [/^deepseek/, 'deepseek'],
  [/^(?:mistral|codestral|devstral|magistral)/, 'mistral_ai'],
  [/^grok/, 'x_ai'],
  [/^kimi/, 'moonshot_ai'],
  [/^glm/, 'z_ai'],
]

/** Undefined for a name that tells nothing. */
export function providerOf(model: string): string | undefined {
  const name = model.slice(model.lastIndexOf('/') + 1).toLowerCase()
  return PROVIDERS.find(([pattern]) => pattern.test(name))?.[1]
}
