# A tool that holds a lock gets the time to release it when its execution is stopped.
apply
headrace run term
await locked headrace logs term Apply
headrace execution stop term --abandon --reason "wrong change"
await "releasing the lock" headrace logs term Apply
headrace logs term Apply
headrace logs term Apply | grep -q "the action was abandoned: sent SIGTERM" || fault "the log does not say why the tool ended"
[ ! -f locks/lock ] || fault "the lock is left: the tool got no signal that it could act on"
