# Pushes start the body of an aws_codepipeline with a trigger block, as its filters say.

# push FILE TEXT: commits the file and pushes it to main.
push() {
  mkdir -p "web/$(dirname "$1")"
  echo "$2" >"web/$1"
  commit web "$2"
  git -C web push -q origin main
}

apply || fault "no apply"
plan -detailed-exitcode || fault "the second plan is not empty"
await 'forge acme/web' headrace trigger list web
await 'is read through connection forge' headrace trigger explain web --ref refs/heads/main

push README.md "words"
words=$(git -C web rev-parse HEAD)
await 'started nothing: push\[0\]: .*README.md' headrace trigger explain web --commit "$words"

push src/main "second"
second=$(git -C web rev-parse HEAD)
await 'started execution 1 of pipeline web' headrace trigger explain web --commit "$second"
await "built second from <main> <> at $second" headrace logs 'web#1' Build/Build

git -C web tag v1.0 && git -C web push -q origin v1.0
await "built second from <> <v1.0> at $second" headrace logs 'web#2' Build/Build
await 'PollForSourceChanges' headrace execution show 'web#2' -o json

# A paused trigger starts nothing, and says why.
headrace trigger pause web/Source --reason "freeze" >pause.log || fault "no pause"
push src/main "third"
await 'paused the trigger' headrace trigger explain web --commit "$(git -C web rev-parse HEAD)"
headrace trigger resume web/Source || fault "no resume"
headrace execution list web >list.log
grep -q 'web#3' list.log && fault "a push started an execution of a paused trigger"
plan -detailed-exitcode || fault "the plan after pushes is not empty"
