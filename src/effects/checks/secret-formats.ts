// Owns: which texts are taken for secrets in what an attempt added: keys whose issuers gave them a form that nothing else
// has. The forms are those their issuers document and gitleaks' and GitHub's scanners use; a guess by randomness is not
// among them, because it cries wolf. Must not: keep or print what it found.

export interface SecretFormat {
  /** As messages name it. */
  readonly name: string
  readonly pattern: RegExp
}

export const SECRET_FORMATS: readonly SecretFormat[] = [
  { name: 'AWS access key id', pattern: /(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Za-z0-9])/ },
  { name: 'Anthropic API key', pattern: /\bsk-ant-[a-z]+\d{2}-[\w-]{20,}/ },
  {
    name: 'OpenAI API key',
    pattern: /\bsk-(?:proj|svcacct|admin)-[\w-]{20,}|\bsk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}\b/,
  },
  { name: 'GitHub token', pattern: /\bgh[pousr]_[A-Za-z0-9]{36,251}\b|\bgithub_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}\b/ },
  { name: 'GitLab token', pattern: /\bgl(?:pat|dt|rt|cbt|ptt|ft|soat)-[\w-]{20,}/ },
  { name: 'Google API key', pattern: /\bAIza[\w-]{35}(?![\w-])/ },
  { name: 'Slack token', pattern: /\bxox[abeoprs]-(?:\d+-)+[\w-]{10,}|\bxapp-\d-[A-Z0-9]+-\d+-[a-z0-9]{20,}/ },
  { name: 'Slack webhook', pattern: /https:\/\/hooks\.slack\.com\/services\/T\w+\/B\w+\/\w{20,}/ },
  { name: 'Stripe secret key', pattern: /\b[rs]k_(?:live|test)_[A-Za-z0-9]{20,}\b/ },
  { name: 'npm token', pattern: /\bnpm_[A-Za-z0-9]{36}\b/ },
  { name: 'PyPI token', pattern: /\bpypi-AgEIcHlwaS5vcmc[\w-]{50,}/ },
  { name: 'Hugging Face token', pattern: /\bhf_[A-Za-z]{34}\b/ },
  { name: 'SendGrid API key', pattern: /\bSG\.[\w-]{22}\.[\w-]{43}(?![\w-])/ },
  { name: 'private key', pattern: /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----/ },
  {
    name: 'password in a URL',
    pattern:
      /\b(?:https?|ftp|ssh|postgres(?:ql)?|mysql|mongodb(?:\+srv)?|redis|amqp)s?:\/\/[^\s:@/'"<>${}*]+:(?!\/\/)[^\s:@/'"<>${}*]{6,}@[\w.-]+/,
  },
]

const ALL = new RegExp(SECRET_FORMATS.map(({ pattern }) => pattern.source).join('|'), 'g')

/** The text with every secret of these formats taken out. */
export const withoutSecrets = (text: string): string => text.replace(ALL, '***')

/** The name of the first format that a line holds. */
export const secretIn = (line: string): string | undefined =>
  SECRET_FORMATS.find(({ pattern }) => pattern.test(line))?.name
