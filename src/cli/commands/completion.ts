// Owns: the completion scripts. They ask the program itself (complete-words.ts), so that they never go stale.
import { SpanwrightError } from '../../core/error.ts'
import type { CommandFunction } from '../command-table.ts'

const BASH = `# bash completion for spanwright: put this line into ~/.bashrc
#   source <(spanwright completion bash)
_spanwright() {
  local line="\${COMP_LINE:0:COMP_POINT}" current prefix candidate
  local -a words
  read -ra words <<< "$line"
  [[ "$line" == *[[:space:]] ]] && words+=("")
  current="\${words[\${#words[@]}-1]}"
  # Readline takes : = and @ for ends of words; what stands before the last of them is already there.
  prefix="\${current%"\${current##*[:=@]}"}"
  COMPREPLY=()
  while IFS= read -r candidate; do
    COMPREPLY+=("\${candidate#"$prefix"}")
  done < <("\${words[0]}" --complete "\${words[@]:1}" 2>/dev/null)
}
complete -o default -F _spanwright spanwright
`

const ZSH = `#compdef spanwright
# zsh completion for spanwright: put this line into ~/.zshrc, after compinit
#   source <(spanwright completion zsh)
_spanwright() {
  local -a candidates
  candidates=("\${(@f)$(spanwright --complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "\${candidates[*]}" ]]; then
    compadd -- $candidates
  else
    _files
  fi
}
if [[ "\${funcstack[1]}" == "_spanwright" ]]; then
  _spanwright "$@"
else
  compdef _spanwright spanwright
fi
`

const FISH = `# fish completion for spanwright
#   spanwright completion fish > ~/.config/fish/completions/spanwright.fish
function __spanwright_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  set -l candidates (spanwright --complete $words[2..-1] "$current" 2>/dev/null)
  if test (count $candidates) -gt 0
    printf '%s\\n' $candidates
  else
    __fish_complete_path "$current"
  end
end
complete -c spanwright -f -a '(__spanwright_complete)'
`

const SCRIPTS: { readonly [shell: string]: string } = { bash: BASH, zsh: ZSH, fish: FISH }

export const completion: CommandFunction = async ({ args, output }) => {
  const [shell] = args as readonly [string]
  const script = SCRIPTS[shell]
  if (script === undefined)
    throw new SpanwrightError(
      'usage.invalid',
      `no completion for ${shell}: there is one for ${Object.keys(SCRIPTS).join(', ')}`,
    )
  output.result(script.trimEnd())
  return 0
}
