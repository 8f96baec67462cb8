// Owns: the format of the outputs file: `key=value` lines, and `key<<END … END` for values of several lines.

export type Outputs = { readonly outputs: { readonly [name: string]: string } } | { readonly problem: string }

const KEY = /^[A-Za-z_][\w.-]*$/

/** Values by name, later lines win; or what is wrong, with the line. Empty lines are skipped. */
export function parseOutputs(text: string): Outputs {
  const outputs: { [name: string]: string } = {}
  const lines = text.split(/\r?\n/)
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!
    if (line.trim() === '') continue
    const block = /^([^=]*?)<<(.+)$/.exec(line)
    const equals = line.indexOf('=')
    const key = (block ? block[1]! : equals < 0 ? '' : line.slice(0, equals)).trim()
    if (!KEY.test(key)) {
      const shown = JSON.stringify(line.length > 80 ? `${line.slice(0, 79)}…` : line)
      return { problem: `line ${i + 1} is ${shown}; expected key=value, the key made of letters, digits, _ - and .` }
    }
    if (!block) {
      setOwn(outputs, key, line.slice(equals + 1))
      continue
    }
    const end = lines.indexOf(block[2]!, i + 1)
    if (end < 0)
      return { problem: `line ${i + 1} begins ${key}<<${block[2]} but no later line is ${JSON.stringify(block[2])}` }
    setOwn(outputs, key, lines.slice(i + 1, end).join('\n'))
    i = end
  }
  return { outputs }
}

/** Plain assignment would set the prototype for a key named `__proto__`. */
function setOwn(target: { [name: string]: string }, key: string, value: string): void {
  Object.defineProperty(target, key, { value, enumerable: true, writable: true, configurable: true })
}
