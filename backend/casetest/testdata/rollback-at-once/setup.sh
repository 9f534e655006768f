git init -q repo
echo good >repo/release
commit repo Good
for person in bob cy dan; do
  role=approver
  [ $person != dan ] || role=deployer
  (umask 077 && headrace token create --principal $person --role default=$role >$person.token)
done

# as PERSON COMMAND: runs a command with the token of a person.
as() {
  local person=$1
  shift
  HEADRACE_TOKEN='' HEADRACE_TOKEN_FILE=$PWD/$person.token "$@"
}

# release NUMBER: starts a release that passes the approvals and the window.
release() {
  headrace run web
  await 'waits for people' headrace explain "web#$1"
  as bob headrace approve "web#$1" --yes
  as cy headrace approve "web#$1" --yes
  await 'deployment window' headrace explain "web#$1"
  headrace execution override "web#$1" --stage Production --condition before-entry --reason now
}
